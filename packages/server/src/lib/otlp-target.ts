import { validateHeaderName, validateHeaderValue } from 'node:http'

/** Where traces go, and what is said of their sender. */
export interface OtlpTarget {
  url: string
  headers: Record<string, string>
  resource: Record<string, string>
}

/** Pairs as `OTEL_EXPORTER_OTLP_HEADERS` has them: `name=value`, comma separated, values percent-encoded. */
function pairs(text: string | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const part of (text ?? '').split(',')) {
    const at = part.indexOf('=')
    const name = part.slice(0, Math.max(0, at)).trim()
    if (name !== '') found[name] = decoded(part.slice(at + 1).trim())
  }
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Reads the environment variables by which every OpenTelemetry exporter is set up
 * (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). Null: nothing is to be sent. Throws a sentence that says
 * what is wrong where something is to be sent and cannot be.
 */
export function otlpTarget(env: NodeJS.ProcessEnv): OtlpTarget | null {
  const of = (name: string) => {
    const own = env[`OTEL_EXPORTER_OTLP_TRACES_${name}`]?.trim()
    return own ? { text: own, own: true } : { text: env[`OTEL_EXPORTER_OTLP_${name}`]?.trim() ?? '', own: false }
  }
  const endpoint = of('ENDPOINT')
  const off = env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true'
  if (off || endpoint.text === '' || env.OTEL_TRACES_EXPORTER?.trim() === 'none') return null
  const protocol = of('PROTOCOL').text
  if (protocol === 'grpc')
    throw new Error(
      'OTEL_EXPORTER_OTLP_PROTOCOL is grpc; traces are sent by HTTP: set http/json and an endpoint for it.',
    )
  const url = URL.parse(endpoint.own ? endpoint.text : `${endpoint.text.replace(/\/+$/, '')}/v1/traces`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new Error('OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https address, without a user and a password.')
  const headers = pairs(of('HEADERS').text)
  try {
    for (const [name, value] of Object.entries(headers)) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
  } catch {
    throw new Error('OTEL_EXPORTER_OTLP_HEADERS must be name=value, comma separated, as HTTP takes them.')
  }
  return {
    url: url.href,
    headers,
    resource: {
      'service.name': 'troupe',
      ...pairs(env.OTEL_RESOURCE_ATTRIBUTES),
      ...(env.OTEL_SERVICE_NAME?.trim() && { 'service.name': env.OTEL_SERVICE_NAME.trim() }),
    },
  }
}
