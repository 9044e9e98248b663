import type { ModelSource } from '../agents/model-source.ts'

/** Where the genuine agent goes when nobody tells it otherwise. */
export const FIRST_PARTY = 'https://api.anthropic.com'

/** Variables that name a way to the model which is not a key at a Messages endpoint. */
export const OTHER_WAYS = [
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_USE_FOUNDRY',
  'CLAUDE_CODE_CLIENT_CERT',
] as const

/** A key at a Messages endpoint: what the agents get a stand-in for. */
export interface Credential {
  /** Requests go to its host, below its path. */
  base: URL
  /** For `x-api-key`. */
  apiKey: string | null
  /** For `Authorization: Bearer`. */
  authToken: string | null
  /** Header lines that the operator adds to each request (`ANTHROPIC_CUSTOM_HEADERS`); a gateway's key may be in them. */
  customHeaders: [string, string][]
}

/** What there is to keep from the agents, or why it cannot be kept. Never throws. */
export function findCredential(
  env: NodeJS.ProcessEnv,
  model: Pick<ModelSource, 'source'>,
  demoUrl: string | null,
): Credential | { problem: string } {
  if (demoUrl !== null) return { base: new URL(demoUrl), apiKey: 'demo', authToken: null, customHeaders: [] }
  const other = OTHER_WAYS.find((name) => env[name])
  if (other) return { problem: `${other} is set, and the agent signs its requests by itself then` }
  const apiKey = env.ANTHROPIC_API_KEY || null
  const authToken = env.ANTHROPIC_AUTH_TOKEN || null
  if (model.source === 'none') return { problem: 'no model is configured' }
  if (apiKey === null && authToken === null)
    return {
      problem:
        'there is neither ANTHROPIC_API_KEY nor ANTHROPIC_AUTH_TOKEN; a login of Claude Code is renewed by the agent itself',
    }
  const base = URL.parse(env.ANTHROPIC_BASE_URL || FIRST_PARTY)
  if (!base || !/^https?:$/.test(base.protocol))
    return { problem: 'ANTHROPIC_BASE_URL is not an http or https address' }
  if (base.username || base.password || base.search || base.hash)
    return { problem: 'ANTHROPIC_BASE_URL holds a user, a query or a fragment' }
  const customHeaders = readHeaders(env.ANTHROPIC_CUSTOM_HEADERS ?? '')
  if (customHeaders === null) return { problem: 'ANTHROPIC_CUSTOM_HEADERS holds a line that is not a header' }
  for (const key of [apiKey, authToken])
    if (key !== null && !VALUE.test(key)) return { problem: 'the key holds characters that no header can carry' }
  return { base, apiKey, authToken, customHeaders }
}

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]+$/

/** `Name: value` lines. Null where one is not. */
function readHeaders(text: string): [string, string][] | null {
  const headers: [string, string][] = []
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
    if (colon < 1 || !NAME.test(name) || !VALUE.test(value)) return null
    headers.push([name.toLowerCase(), value])
  }
  return headers
}

/**
 * Variables of the server that an agent behind the proxy does not get: every credential that could be one of the model's,
 * and what other clouds are reached with, which it does not use.
 */
const KEPT =
  /^(AWS_|GOOGLE_|GCLOUD_|VERTEX_|CLOUD_ML_REGION$|ANTHROPIC_CUSTOM_HEADERS$|ANTHROPIC_UNIX_SOCKET$|(ANTHROPIC|CLAUDE_CODE)_\w*(KEY|TOKEN|SECRET|PASSPHRASE|PASSWORD|CREDENTIALS|CREDS_FILE|CERT|DESCRIPTOR|HEADERS)$)/

/** The server's environment without what the proxy keeps to itself. */
export function withoutCredentials(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !KEPT.test(name)))
}

/** What an agent is told instead: where the proxy is, and its stand-in in the place of each key that there is. */
export function standInEnv(credential: Credential, url: string, standIn: string, env: NodeJS.ProcessEnv) {
  const direct = [env.NO_PROXY, env.no_proxy].filter(Boolean).join(',')
  const noProxy = direct === '*' || direct === '' ? direct || '127.0.0.1' : `${direct},127.0.0.1`
  return {
    ANTHROPIC_BASE_URL: url,
    ...(credential.apiKey !== null && { ANTHROPIC_API_KEY: standIn }),
    ...(credential.authToken !== null && { ANTHROPIC_AUTH_TOKEN: standIn }),
    // The agent asks a host that it does not know less than one that it does; behind the proxy is the one it knows.
    ...(credential.base.origin === FIRST_PARTY && { _CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL: '1' }),
    // What goes to the proxy of the server goes nowhere else first.
    NO_PROXY: noProxy,
    no_proxy: noProxy,
  }
}
