/** Where an agent may fetch web pages: anywhere, only from some domains, from all but some. */
export const FETCH_BOUNDS = ['any', 'only', 'but'] as const
export type FetchBound = (typeof FETCH_BOUNDS)[number]

export interface FetchDraft {
  bound: FetchBound
  domains: string
}

export const FETCH_ANYWHERE: FetchDraft = { bound: 'any', domains: '' }

interface Config {
  allowed_domains?: string[]
  blocked_domains?: string[]
}

export function fetchOf(config: object): FetchDraft {
  const { allowed_domains: allowed, blocked_domains: blocked } = config as Config
  if (allowed) return { bound: 'only', domains: allowed.join(', ') }
  return blocked ? { bound: 'but', domains: blocked.join(', ') } : FETCH_ANYWHERE
}

const domainsIn = (list: string): string[] => list.split(/[\s,]+/).filter(Boolean)

/** As it is sent. A bound that names nothing yet is none. */
export function fetchBody({ bound, domains }: FetchDraft): Config {
  const named = domainsIn(domains)
  if (bound === 'any' || named.length === 0) return {}
  return bound === 'only' ? { allowed_domains: named } : { blocked_domains: named }
}

/** Whether a bound was chosen that bounds nothing: it must not be saved as none. */
export const lacksDomains = ({ bound, domains }: FetchDraft): boolean =>
  bound !== 'any' && domainsIn(domains).length === 0
