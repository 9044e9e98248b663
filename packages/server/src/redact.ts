import type { Config, Setting } from './config.ts'
import { ConfigSchema } from './config.ts'

export const HIDDEN = '[hidden]'

/**
 * Variables of Claude Code and its clouds whose values are known to be no secrets. Whatever is not named here is hidden:
 * a name that nobody has thought of may be a credential.
 */
const PLAIN =
  /^(ANTHROPIC_(DEFAULT_\w+_)?MODEL|ANTHROPIC_SMALL_FAST_MODEL|ANTHROPIC_(BASE_URL|VERTEX_PROJECT_ID)|AWS_(REGION|DEFAULT_REGION|PROFILE)|CLOUD_ML_REGION|VERTEX_REGION_\w+|CLAUDE_CODE_(USE|DISABLE|SKIP|MAX)_\w+|GOOGLE_CLOUD_PROJECT|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|API_TIMEOUT_MS|IS_SANDBOX|NODE_ENV)$/

/** What of the environment decides who answers for the model, and how it is reached. */
const SHOWN =
  /^(ANTHROPIC_|CLAUDE_CODE_|AWS_|GOOGLE_|GCLOUD_|CLOUD_ML_|VERTEX_|HTTPS?_PROXY$|NO_PROXY$|https?_proxy$|no_proxy$|API_TIMEOUT_MS$|IS_SANDBOX$|NODE_ENV$)/

/** Without user, password, query and fragment of any URL in it; all of those may carry a credential. Rather too much than too little: a password may hold a slash. */
export function redactUrls(text: string): string {
  return text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)\S*@/gi, `$1${HIDDEN}@`)
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/[^\s?#]*)[?#]\S*/gi, `$1?${HIDDEN}`)
}

export interface ShownConfig {
  settings: Record<Setting, unknown>
  /** Of the environment, by name. */
  environment: Record<string, string>
}

/**
 * The settings as they hold, and what of the environment decides about the model. `redact` leaves nothing in it that may
 * be a secret: it can be put into a public issue, but for paths and names of hosts.
 */
export function showConfig(config: Config, redact: boolean): ShownConfig {
  const hide = (value: unknown): unknown => {
    if (typeof value === 'string') return redactUrls(value)
    return Array.isArray(value) ? value.map(hide) : value
  }
  const settings = Object.fromEntries(
    (Object.keys(ConfigSchema.shape) as Setting[]).map((name) => [name, redact ? hide(config[name]) : config[name]]),
  ) as Record<Setting, unknown>
  const environment = Object.fromEntries(
    Object.entries(config.env)
      .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '' && SHOWN.test(entry[0]))
      .map(([name, value]) => [name, redact ? (PLAIN.test(name) ? redactUrls(value) : HIDDEN) : value])
      .toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
  ) as Record<string, string>
  return { settings, environment }
}
