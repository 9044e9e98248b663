import type { Retention, RetentionParam } from '@troupe/protocol/retention'
import type { SessionOptions } from '../store/session-options.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'

/** What a session says of how long it is kept; absent: nothing. */
export type OwnRetention = NonNullable<SessionOptions['retention']>

/** What a request says, as it is kept; undefined: nothing. */
export function retentionToKeep(param: RetentionParam | null | undefined): OwnRetention | undefined {
  const keep = param?.keep ?? false
  const ttl = param?.ttl_seconds
  if (!keep && ttl === undefined) return undefined
  return { keep, ...(ttl !== undefined && { ttlMs: ttl === null ? null : ttl * 1000 }) }
}

/** The options with what a change says of retention; null when nothing changes. */
export function changedRetention(
  options: SessionOptions,
  param: RetentionParam | null | undefined,
): SessionOptions | null {
  if (param === undefined) return null
  const { retention: before, ...rest } = options
  const retention = retentionToKeep(param)
  if (before?.keep === retention?.keep && before?.ttlMs === retention?.ttlMs) return null
  return retention ? { ...rest, retention } : rest
}

/** How long a session is kept, and since when nobody needs it. */
export async function retentionOf(
  store: Pick<Store, 'retention'>,
  session: Pick<SessionRow, 'options' | 'workspaceId'>,
): Promise<{ ttlMs: number | null; wire: Retention }> {
  const own = session.options.retention
  const wire = (ttlMs: number | null, source: Retention['source']) => ({
    ttlMs,
    wire: { ttl_seconds: ttlMs === null ? null : ttlMs / 1000, keep: own?.keep ?? false, source },
  })
  if (own?.keep) return wire(null, 'session')
  if (own?.ttlMs !== undefined) return wire(own.ttlMs, 'session')
  const { ms, source } = await store.retention.defaultTtl(session.workspaceId)
  return wire(ms, source)
}

/**
 * When a session is deleted if nothing happens to it, in ms; null: never, or not while it works or waits. The clock runs
 * from its last change.
 */
export const expiryOf = (
  session: Pick<SessionRow, 'status' | 'holder' | 'queuedAt' | 'updatedAt'>,
  ttlMs: number | null,
  waits: boolean,
): number | null => (ttlMs === null || waits || !atRest(session) ? null : session.updatedAt + ttlMs)

const atRest = ({ status, holder, queuedAt }: Pick<SessionRow, 'status' | 'holder' | 'queuedAt'>) =>
  (status === 'idle' || status === 'terminated') && holder === null && queuedAt === null
