import type { SessionAgent, ToolConfig } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'

/** Where an agent's toolset lets WebFetch go; `url_sources` is told as the hosted API tells that it is not set. */
export interface FetchDomains {
  url_sources: null
  allowed_domains?: string[]
  blocked_domains?: string[]
}

export const DOMAIN_FIELDS: readonly string[] = ['allowed_domains', 'blocked_domains']

/** The domains of a configuration of `web_fetch`, as they are kept. Throws `validation_failed` where both are given. */
export function fetchDomains(config: ToolConfig | undefined, index: number): FetchDomains {
  const { allowed_domains: allowed, blocked_domains: blocked } = config ?? {}
  if (allowed && blocked)
    throw new ApiError(
      'validation_failed',
      `agent.tools[${index}]: allowed_domains and blocked_domains exclude each other.`,
    )
  const lower = (domains: string[]) => domains.map((each) => each.replace(/^[^/]*/, (host) => host.toLowerCase()))
  return {
    url_sources: null,
    ...(allowed && { allowed_domains: lower(allowed) }),
    ...(blocked && { blocked_domains: lower(blocked) }),
  }
}

/**
 * Why the agent's toolset keeps a call of WebFetch from its address; null: it does not. Neither a rule nor a person lifts
 * it. The agent itself follows redirects within one host only.
 */
export function refusedDomain(tools: SessionAgent['tools'], name: string, input: unknown): string | null {
  if (name !== 'WebFetch') return null
  const { url } = (input ?? {}) as { url?: unknown }
  for (const tool of tools) {
    if (tool.type !== 'agent_toolset_20260401') continue
    const config = (tool.configs as (ToolConfig & Partial<FetchDomains>)[] | undefined)?.find(
      (each) => each.name === 'web_fetch',
    )
    const { allowed_domains: allowed, blocked_domains: blocked } = config ?? {}
    const address = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null
    const within = (domains: string[], unclear: boolean) =>
      address === null ? unclear : domains.some((domain) => liesIn(address, domain) ?? unclear)
    if (allowed && !within(allowed, false))
      return `The agent may fetch from ${allowed.join(', ')} only${address ? `, not from ${address.hostname}` : ''}.`
    if (blocked && within(blocked, true)) return `The agent may not fetch from ${address?.hostname || 'that address'}.`
  }
  return null
}

/** `docs.example.com/guide`: the host or one below it, and what lies at or below the path. Null: nobody can tell. */
function liesIn({ hostname, pathname }: URL, domain: string): boolean | null {
  const slash = domain.indexOf('/')
  const name = slash < 0 ? domain : domain.slice(0, slash)
  const host = hostname.replace(/\.$/, '')
  if (host !== name && !host.endsWith(`.${name}`)) return false
  const path = slash < 0 ? '' : domain.slice(slash).replace(/\/+$/, '')
  if (path === '') return true
  const plain = plainPath(pathname)
  return plain === null ? null : plain === path || plain.startsWith(`${path}/`)
}

/** A path as its server may read it; null where an encoded character hides where it leads. */
function plainPath(pathname: string): string | null {
  try {
    const plain = decodeURIComponent(pathname)
    return /%2f|%5c|%25/i.test(pathname) || /\/\.{1,2}(\/|$)|\\|\/\//.test(plain) ? null : plain
  } catch {
    return null
  }
}
