import type { SqliteAccess } from './sqlite-access.ts'

/** How long a session is kept, in ms after its last change; null: for ever. `source`: who says so. */
export interface Ttl {
  ms: number | null
  source: 'workspace' | 'server' | null
}

/** Where a look over all sessions has come to. */
export interface RetentionPlace {
  /** '' for those with a time of their own, which come first; else a workspace. */
  lane: string
  at: number
  id: string
}

/** The part of the store's contract that is about sessions whose time is over. */
export interface RetentionStore {
  /** What sessions of a workspace have that say nothing themselves. */
  defaultTtl(workspaceId: string): Promise<Ttl>
  /**
   * Sessions at rest, of one workspace or (null) of all, whose time is over: of the next `limit` that may be, behind `from`. `next` is
   * where to go on; null: these were the last. The cost is that of looking at `limit` sessions.
   */
  expired(
    at: number,
    workspaceId: string | null,
    from: RetentionPlace | null,
    limit: number,
  ): Promise<{ ids: string[]; next: RetentionPlace | null }>
}

/**
 * What sessions say themselves lies in their options: `ttl_ms` is null for those that say nothing, and −1 for those that
 * are kept for ever. Nothing here is touched by an append to a log.
 */
export const RETENTION_MIGRATION = `
  alter table sessions add column keep integer
    generated always as (coalesce(json_extract(options, '$.retention.keep'), 0)) virtual;
  alter table sessions add column ttl_ms integer
    generated always as (case
      when json_extract(options, '$.retention.keep') then -1
      when json_type(options, '$.retention.ttlMs') = 'null' then -1
      else json_extract(options, '$.retention.ttlMs') end) virtual;
  alter table sessions add column first_over integer
    generated always as (case when ttl_ms >= 0 then created_at + ttl_ms end) virtual;
  create index sessions_first_over on sessions (first_over, id) where first_over is not null;
  alter table workspaces add column ttl_ms integer;
`

/** What waits for an answer is not over, however long it has waited. */
const AT_REST = `status in ('idle', 'terminated') and holder is null and queued_at is null
  and not exists (select 1 from approvals where session_id = sessions.id and open = 1)`

const OWN = `
  select id, first_over as at, updated_at + ttl_ms <= :at and ${AT_REST} as over from sessions
  where first_over <= :at and (first_over, id) > (:after, :id) and (:workspace is null or workspace_id = :workspace)
  order by first_over, id limit :limit`

const BY_DEFAULT = `
  select id, created_at as at, ttl_ms is null and updated_at + :ttl <= :at and ${AT_REST} as over from sessions
  where workspace_id = :lane and created_at <= :at - :ttl and (created_at, id) > (:after, :id)
  order by created_at, id limit :limit`

/** `serverTtl`: what holds where neither a session nor its workspace says anything, in ms; null: nothing. */
export function sqliteRetention({ statement }: SqliteAccess, serverTtl: number | null): RetentionStore {
  // −1 says for ever here too.
  const ttlOf = (workspaceId: string): Ttl => {
    const row = statement('select ttl_ms from workspaces where id = ?').get(workspaceId) as
      | { ttl_ms: number | null }
      | undefined
    if (row && row.ttl_ms !== null) return { ms: row.ttl_ms < 0 ? null : row.ttl_ms, source: 'workspace' }
    return { ms: serverTtl, source: serverTtl === null ? null : 'server' }
  }
  /** The first lane from this one on. */
  const laneFrom = (lane: string, inclusive: boolean, workspaceId: string | null): string | null => {
    if (lane === '' && inclusive) return ''
    const row = statement(
      `select id from workspaces where (id > :lane or (:inclusive and id = :lane)) and (:workspace is null or id = :workspace)
         and coalesce(ttl_ms, :serverTtl, -1) >= 0 order by id limit 1`,
    ).get({ lane, inclusive: inclusive ? 1 : 0, workspace: workspaceId, serverTtl }) as { id: string } | undefined
    return row?.id ?? null
  }

  return {
    defaultTtl: async (workspaceId) => ttlOf(workspaceId),

    async expired(at, workspaceId, from, limit) {
      const start = from ?? { lane: '', at: -1, id: '' }
      const lane = laneFrom(start.lane, true, workspaceId)
      if (lane === null) return { ids: [], next: null }
      const place = lane === start.lane ? start : { lane, at: -1, id: '' }
      const common = { at, after: place.at, id: place.id, limit }
      const rows = (
        lane === ''
          ? statement(OWN).all({ ...common, workspace: workspaceId })
          : statement(BY_DEFAULT).all({ ...common, lane, ttl: ttlOf(lane).ms })
      ) as { id: string; at: number; over: number }[]
      const ids = rows.filter(({ over }) => over === 1).map(({ id }) => id)
      const last = rows.at(-1)
      if (rows.length === limit && last) return { ids, next: { lane, at: last.at, id: last.id } }
      const following = laneFrom(lane, false, workspaceId)
      return { ids, next: following === null ? null : { lane: following, at: -1, id: '' } }
    },
  }
}
