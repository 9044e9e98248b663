import type { IncomingHttpHeaders } from 'node:http'
import type { Credential } from './credential.ts'

/** Between two ends of a connection, and nobody else's business (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const named = (connection: string | undefined): Set<string> =>
  new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()))

/** Header lines, in order and with repetitions, without those of the connection. Takes and gives `rawHeaders`. */
export function endToEnd(raw: readonly string[], connection: string | undefined): [string, string][] {
  const own = named(connection)
  const lines: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (!HOP_BY_HOP.has(name) && !own.has(name)) lines.push([raw[i]!, raw[i + 1]!])
  }
  return lines
}

/** The stand-ins that a request shows, one for each way to show a key. */
export function shownKeys(headers: IncomingHttpHeaders): { apiKey: string | null; bearer: string | null } {
  const apiKey = headers['x-api-key']
  return {
    apiKey: typeof apiKey === 'string' ? apiKey : null,
    bearer: /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? null,
  }
}

/** Headers that come from the proxy and from nobody else. */
const OURS = new Set(['host', 'x-api-key', 'authorization', 'cookie', 'expect', 'forwarded', 'x-forwarded-for'])

/**
 * What goes to the endpoint: the agent's own headers, with the real key in each place where it showed its stand-in, and
 * what the operator adds. Flat, as `rawHeaders`.
 */
export function outgoing(
  method: string | undefined,
  raw: readonly string[],
  headers: IncomingHttpHeaders,
  shown: { apiKey: boolean; bearer: boolean },
  credential: Credential,
): string[] {
  const lines: [string, string][] = [['Host', credential.base.host]]
  for (const line of endToEnd(raw, headers.connection)) {
    const name = line[0].toLowerCase()
    // Without the body that it is the length of.
    if (!OURS.has(name) && (method === 'POST' || name !== 'content-length')) lines.push(line)
  }
  if (shown.apiKey && credential.apiKey !== null) lines.push(['X-Api-Key', credential.apiKey])
  if (shown.bearer && credential.authToken !== null) lines.push(['Authorization', `Bearer ${credential.authToken}`])
  const added = new Set(credential.customHeaders.map(([name]) => name))
  const kept = lines.filter(([name]) => !added.has(name.toLowerCase()))
  return [...kept, ...credential.customHeaders].flat()
}
