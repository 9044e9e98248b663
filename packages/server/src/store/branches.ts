import { copySession } from './copy-session.ts'
import { transcriptCut } from './transcript-cut.ts'
import type { Committed, SessionChange } from './session-change.ts'
import { ExternalIdTaken } from './errors.ts'
import type { SessionRow } from './session-row.ts'
import type { SqliteAccess } from './sqlite-access.ts'

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

/** Which part of a session's log a turn takes. Null: it has not come to that. */
export interface TurnSpan {
  turnId: string
  started: number | null
  ended: number | null
  /** Its newest event. */
  last: number
}

/** What of a session a fork gets, with new names where they must be the only ones. */
export interface ForkPlan {
  from: string
  /** Events up to here, of these turns or of none. */
  seq: number
  turnIds: ReadonlyMap<string, string>
  threadIds: ReadonlyMap<string, string>
  /** Entries of inputs that come after the place: the transcript is taken up to the first of them. */
  dropped: string[]
  /** An entry as it stands in the fork. */
  rewrite(body: string): string
}

/** A workdir that is to be set back, and may be half. */
export interface PendingRestore {
  sessionId: string
  commit: string | null
}

/** The snapshots and branches of sessions. */
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

  /** Every turn's part of the log. Reads an index entry for each event. */
  turnSpans(sessionId: string): Promise<TurnSpan[]>
  /** Whether a rewind has taken what stands at `seq` out of the conversation. */
  isRewound(sessionId: string, seq: number): Promise<boolean>
  /** Events up to `seq`, and characters of the transcript. */
  sizeOf(sessionId: string, seq: number): Promise<{ events: number; transcript: number }>
  /** Makes a session out of another one, in one transaction. `change` follows what is copied. */
  createFork(row: SessionRow, plan: ForkPlan, change: SessionChange): Promise<Committed>

  /** Makes a session with a transcript that it did not write, in one transaction. Throws `ExternalIdTaken`. */
  createImported(
    row: SessionRow,
    change: SessionChange,
    entries: { uuid: string | null; body: string }[],
  ): Promise<Committed>
  /** Entries of a conversation's own transcript after `after`, in order. */
  transcriptPage(
    sessionId: string,
    after: number,
    limit: number,
  ): Promise<{ n: number; uuid: string | null; body: string }[]>
  /** Another session whose agent works in a folder now. */
  workingIn(cwd: string, exceptId: string): Promise<string | null>
  /** Workdirs that are to be set back; of one session, or all. */
  pendingRestores(sessionId: string | null): Promise<PendingRestore[]>
  endRestore(sessionId: string): Promise<void>
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

export const REWINDS_MIGRATION = `
  create table rewinds (
    session_id text not null,
    event_id text not null,
    seq integer not null,
    to_seq integer not null,
    conversation integer not null,
    pending integer not null,
    commit_id text,
    primary key (session_id, seq)
  ) without rowid;
  create index rewinds_pending on rewinds (session_id) where pending = 1;
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

/** What a rewind writes; called inside the transaction of its change, whose first event has this `seq`. */
export function writeRewind({ statement }: Pick<SqliteAccess, 'statement'>, change: SessionChange, seq: number): void {
  const { rewind, sessionId } = change
  if (!rewind) return
  const { eventId, toSeq, conversation, dropped, commit } = rewind
  const cutAt = dropped && transcriptCut(statement, sessionId, dropped)
  // Only one restore of a workdir can be going on: what an earlier one had left to do is no more wanted.
  if (commit !== undefined) statement('update rewinds set pending = 0 where session_id = ?').run(sessionId)
  statement(
    `insert into rewinds (session_id, event_id, seq, to_seq, conversation, pending, commit_id)
     values (?, ?, ?, ?, ?, ?, ?)`,
  ).run(sessionId, eventId, seq, toSeq, conversation ? 1 : 0, commit === undefined ? 0 : 1, commit ?? null)
  if (cutAt !== null)
    statement(`delete from transcript where session_id = ? and subpath = '' and n >= ?`).run(sessionId, cutAt)
}

export function sqliteBranches(
  { statement, write }: SqliteAccess,
  create: (row: SessionRow, change: SessionChange) => Committed,
): BranchStore {
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

    async turnSpans(id) {
      const rows = statement(
        `select turn_id, min(case when type = 'turn.started' then seq end) as started,
           max(case when type in ('turn.completed', 'turn.failed', 'turn.cancelled') then seq end) as ended, max(seq) as last
         from events where session_id = ? and turn_id is not null group by turn_id order by min(seq)`,
      ).all(id) as { turn_id: string; started: number | null; ended: number | null; last: number }[]
      return rows.map(({ turn_id, ...span }) => ({ turnId: turn_id, ...span }))
    },

    async isRewound(id, seq) {
      const found = statement(
        'select 1 from rewinds where session_id = ? and conversation = 1 and to_seq < ? and seq > ? limit 1',
      ).get(id, seq, seq)
      return found !== undefined
    },

    async sizeOf(id, seq) {
      const { events } = statement('select count(*) as events from events where session_id = ? and seq <= ?').get(
        id,
        seq,
      ) as { events: number }
      const { size } = statement(
        'select coalesce(sum(length(body)), 0) as size from transcript where session_id = ?',
      ).get(id) as { size: number }
      return { events, transcript: size }
    },

    createFork: (row, plan, change) =>
      write(() => {
        const { lastSeq, messageCount } = copySession(statement, row.id, plan)
        return create({ ...row, lastSeq, messageCount }, change)
      }),

    createImported: (row, change, entries) =>
      write(() => {
        const insert = statement(`insert into transcript (session_id, subpath, n, uuid, body) values (?, '', ?, ?, ?)`)
        const taken = statement(
          'select 1 from sessions where id = ? union all select 1 from tombstones where id = ? limit 1',
        ).get(row.id, row.id)
        if (taken) throw new ExternalIdTaken(row.id)
        const committed = create(row, change)
        for (const [index, entry] of entries.entries()) insert.run(row.id, index + 1, entry.uuid, entry.body)
        return committed
      }),

    async transcriptPage(id, after, limit) {
      const rows = statement(
        `select n, uuid, body from transcript where session_id = ? and subpath = '' and n > ? order by n limit ?`,
      ).all(id, after, limit)
      return rows as { n: number; uuid: string | null; body: string }[]
    },

    async workingIn(cwd, exceptId) {
      const row = statement(
        `select id from sessions where status in ('running', 'rescheduling') and cwd = ? and id <> ? limit 1`,
      ).get(cwd, exceptId) as { id: string } | undefined
      return row?.id ?? null
    },

    async pendingRestores(id) {
      const rows = statement(
        'select session_id, commit_id from rewinds where pending = 1 and (? is null or session_id = ?)',
      ).all(id, id) as { session_id: string; commit_id: string | null }[]
      return rows.map(({ session_id, commit_id }) => ({ sessionId: session_id, commit: commit_id }))
    },

    endRestore: (id) =>
      write(() => {
        statement('update rewinds set pending = 0 where session_id = ?').run(id)
      }),
  }
}
