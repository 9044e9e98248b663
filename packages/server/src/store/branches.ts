import type { SqliteAccess } from './sqlite-webhooks.ts'

/** A snapshot of a session's workdir, or why there is none. Erased with the session. */
export interface SnapshotRow {
  sessionId: string
  n: number
  turnId: string | null
  /** `before` and `after` a turn, `rewind`: before the files were set back. */
  moment: 'before' | 'after' | 'rewind'
  /** The session's newest event then. */
  seq: number
  /** Null: nothing was in the workdir; or, with a problem, it is not known. */
  commit: string | null
  problem: string | null
  files: number
  bytes: number
  ms: number
  at: number
}

/** The snapshots of sessions. */
export interface BranchStore {
  /** Numbers and keeps a snapshot; false when the session is gone. */
  addSnapshot(row: Omit<SnapshotRow, 'n'>): Promise<boolean>
  /** The newest one that has no problem; null when there is none. */
  newestSnapshot(sessionId: string): Promise<SnapshotRow | null>
  /** The newest one whatever became of it. */
  lastSnapshot(sessionId: string): Promise<SnapshotRow | null>
  /** The newest one of a turn and moment. */
  snapshotOf(sessionId: string, turnId: string, moment: SnapshotRow['moment']): Promise<SnapshotRow | null>
  /** The first one, at or after `seq`; the last one, at or before it. Without a problem. */
  snapshotAfter(sessionId: string, seq: number): Promise<SnapshotRow | null>
  snapshotBefore(sessionId: string, seq: number): Promise<SnapshotRow | null>
}

export const BRANCHES_MIGRATION = `
  create table snapshots (
    session_id text not null,
    n integer not null,
    turn_id text,
    moment text not null,
    seq integer not null,
    commit_id text,
    problem text,
    files integer not null,
    bytes integer not null,
    ms integer not null,
    at integer not null,
    primary key (session_id, n)
  ) without rowid;
`

interface SnapshotsTable {
  session_id: string
  n: number
  turn_id: string | null
  moment: string
  seq: number
  commit_id: string | null
  problem: string | null
  files: number
  bytes: number
  ms: number
  at: number
}

const snapshotFromRow = (row: SnapshotsTable): SnapshotRow => ({
  sessionId: row.session_id,
  n: row.n,
  turnId: row.turn_id,
  moment: row.moment as SnapshotRow['moment'],
  seq: row.seq,
  commit: row.commit_id,
  problem: row.problem,
  files: row.files,
  bytes: row.bytes,
  ms: row.ms,
  at: row.at,
})

export function sqliteBranches({ statement, write }: SqliteAccess): BranchStore {
  const one = (text: string, ...given: unknown[]): SnapshotRow | null => {
    const row = statement(`select * from snapshots where session_id = ? ${text} limit 1`).get(...given)
    return row ? snapshotFromRow(row as SnapshotsTable) : null
  }
  return {
    addSnapshot: (row) =>
      write(() => {
        // What is noted after its session was erased must not come back to life.
        const session = statement('select 1 from sessions where id = ?').get(row.sessionId)
        if (!session) return false
        statement(
          `insert into snapshots (session_id, n, turn_id, moment, seq, commit_id, problem, files, bytes, ms, at)
           values (?, (select coalesce(max(n), 0) + 1 from snapshots where session_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          row.sessionId,
          row.sessionId,
          row.turnId,
          row.moment,
          row.seq,
          row.commit,
          row.problem,
          row.files,
          row.bytes,
          row.ms,
          row.at,
        )
        return true
      }),
    newestSnapshot: async (id) => one('and problem is null order by n desc', id),
    lastSnapshot: async (id) => one('order by n desc', id),
    snapshotOf: async (id, turnId, moment) => one('and turn_id = ? and moment = ? order by n desc', id, turnId, moment),
    snapshotAfter: async (id, seq) => one('and problem is null and seq >= ? order by n', id, seq),
    snapshotBefore: async (id, seq) => one('and problem is null and seq <= ? order by n desc', id, seq),
  }
}
