import type { SqliteAccess } from './sqlite-access.ts'
import type { EventRow } from './events.ts'

/** Outbox rows looked at for one page, at most: what a reader of one workspace passes over is bounded by it. */
const LOOKED_AT = 200

/** What is told of a workspace's sessions, in the order in which it was committed. */
export interface FirehosePage {
  /** `event` as its log has it, or thin where that is gone. */
  rows: { n: number; event: EventRow }[]
  /** How far was looked; the same as where it began when there is nothing new. */
  to: number
}

export interface FirehoseStore {
  /** The first and last numbers that there are; the last one outlives its row. `first` is null when no row is left. */
  bounds(): Promise<{ first: number | null; last: number }>
  /** What follows `after`, of sessions that have all these pairs now. */
  read(workspaceId: string, metadata: readonly [string, string][], after: number): Promise<FirehosePage>
}

interface Row {
  n: number
  session_id: string
  seq: number
  id: string
  repeats: number | null
  type: string
  turn_id: string | null
  thread_id: string | null
  created_at: number
  processed_at: number | null
  body: string
  workspace_id: string
}

const eventOf = (row: Row): EventRow => ({
  sessionId: row.session_id,
  seq: row.seq,
  id: row.id,
  repeats: row.repeats,
  type: row.type,
  turnId: row.turn_id,
  threadId: row.thread_id,
  createdAt: row.created_at,
  processedAt: row.processed_at,
  body: row.body,
})

export const sqliteFirehose = ({ statement }: Pick<SqliteAccess, 'statement'>): FirehoseStore => ({
  async bounds() {
    const { first } = statement('select min(n) as first from outbox').get() as { first: number | null }
    const last = statement(`select seq from sqlite_sequence where name = 'outbox'`).get() as { seq: number } | undefined
    return { first, last: last?.seq ?? 0 }
  },

  async read(workspaceId, metadata, after) {
    const looked = statement(`select max(n) as n from (select n from outbox where n > ? order by n limit ${LOOKED_AT})`)
    const { n: to } = looked.get(after) as { n: number | null }
    if (to === null) return { rows: [], to: after }
    const pairs = metadata.map(
      () => `and exists (select 1 from session_metadata m
        where m.workspace_id = o.workspace_id and m.key = ? and m.value = ? and m.session_id = o.session_id)`,
    )
    const rows = statement(
      `select o.n, o.workspace_id, o.session_id, o.seq, o.event_id as id, e.repeats, o.type, o.turn_id, o.thread_id,
         o.created_at, coalesce(e.processed_at, o.created_at) as processed_at, coalesce(e.body, '{}') as body
       from outbox o left join events e on e.session_id = o.session_id and e.seq = o.seq
       where o.n > ? and o.n <= ? and o.workspace_id = ? ${pairs.join(' ')} order by o.n`,
    ).all(after, to, workspaceId, ...metadata.flat()) as Row[]
    return { rows: rows.map((row) => ({ n: row.n, event: eventOf(row) })), to }
  },
})
