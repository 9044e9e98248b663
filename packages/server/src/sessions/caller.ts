import type { Policy, ScopeName } from '@troupe/protocol/access'

/** Who asks, as far as rows, shares and limits need to know it. */
export interface Caller {
  /** The key that asks: what places in the line, the ledger and daily budgets are counted under. */
  principal: string
  /** What idempotency keys are counted under: a token's are not those of the key that made it. */
  credential: string
  /** Nothing of another workspace is seen or touched. */
  workspaceId: string
  /** What it may do, with what that includes. */
  scopes: ReadonlySet<ScopeName>
  /** Those of its key and of its workspace; all of them hold. */
  policies: readonly PolicyOf[]
  /** A token's: nothing but this session. */
  sessionId: string | null
  /** The `traceparent` of the request; absent: it has none, or none that can be read. */
  traceparent?: string
}

/** A policy, and whose it is: what is counted is counted under that. */
export interface PolicyOf {
  kind: 'key' | 'workspace'
  id: string
  policy: Policy
}

/** The workspace of whoever asks without a key, and of all that was made before there were workspaces. */
export const DEFAULT_WORKSPACE = 'wrkspc_default'

/** What a scope includes besides itself; `operator` and `admin` include what `holds` says. */
const INCLUDED: Partial<Record<ScopeName, ScopeName[]>> = { 'sessions:write': ['sessions:send'] }

export const withIncluded = (scopes: readonly ScopeName[]): ReadonlySet<ScopeName> =>
  new Set(scopes.flatMap((scope) => [scope, ...(INCLUDED[scope] ?? [])]))

/** Whether a caller has a scope, itself or by one that includes it. */
export function holds({ scopes }: Pick<Caller, 'scopes'>, scope: ScopeName): boolean {
  if (scopes.has(scope) || scopes.has('operator')) return true
  return scopes.has('admin') && scope !== 'operator' && scope !== 'metrics:read'
}

/** Who asks where nobody needs a key: whoever is on this machine. */
export const LOCAL_CALLER: Caller = {
  principal: 'local',
  credential: 'local',
  workspaceId: DEFAULT_WORKSPACE,
  scopes: new Set<ScopeName>(['operator']),
  policies: [],
  sessionId: null,
}

/** Who asks for what everybody may have, without a key where one is needed. */
export const NOBODY: Caller = { ...LOCAL_CALLER, principal: 'nobody', credential: 'nobody', scopes: new Set() }
