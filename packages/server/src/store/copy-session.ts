import type { Statement } from 'better-sqlite3'
import type { ForkPlan } from './branches.ts'
import { copyOutputs } from './sqlite-outputs.ts'
import { transcriptCut } from './transcript-cut.ts'
import type { EventsTable, MessagesTable, ThreadsTable, TranscriptTable, TurnsTable } from './schema.ts'

/** Events whose text may name turns and threads; what people and agents say is copied as it is. */
const OURS = /^(session|turn|span)\./
const NAMES = /\b(?:turn|sthr)_[0-9a-z]{26}\b/g

/**
 * Copies a session's history to another id: log, turns, threads, messages, transcript and snapshots, as far as the plan
 * goes. The log is numbered anew, because what came to wait while an earlier turn ran stays behind. Answers how far it
 * goes. Called inside a transaction.
 */
export function copySession(
  statement: (text: string) => Statement,
  to: string,
  { from, seq, turnIds, threadIds, dropped, rewrite }: ForkPlan,
): { lastSeq: number; messageCount: number } {
  const turnOf = (id: string | null) => (id === null ? null : turnIds.get(id)!)
  const threadOf = (id: string | null) => (id === null ? null : (threadIds.get(id) ?? null))
  const rename = (text: string) => text.replaceAll(NAMES, (name) => turnIds.get(name) ?? threadIds.get(name) ?? name)
  const kept = (id: string | null) => id === null || turnIds.has(id)

  const insertEvent = statement(
    `insert into events (session_id, seq, id, repeats, type, turn_id, thread_id, created_at, processed_at, body)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const seqs = new Map<number, number>()
  /** The newest copied event at or before one of the session it comes from. */
  const places: { from: number; to: number }[] = []
  let lastSeq = 0
  const events = statement('select * from events where session_id = ? and seq <= ? order by seq')
  for (const row of events.all(from, seq) as EventsTable[]) {
    if (!kept(row.turn_id)) continue
    seqs.set(row.seq, ++lastSeq)
    places.push({ from: row.seq, to: lastSeq })
    const body = OURS.test(row.type) ? rename(row.body) : row.body
    const repeats = row.repeats === null ? null : (seqs.get(row.repeats) ?? null)
    const thread = threadOf(row.thread_id)
    const { id, type, created_at, processed_at } = row
    insertEvent.run(to, lastSeq, id, repeats, type, turnOf(row.turn_id), thread, created_at, processed_at, body)
  }

  const turns = statement('select * from turns where session_id = ?').all(from) as TurnsTable[]
  for (const row of turns)
    if (kept(row.id)) insertRow(statement, 'turns', { ...row, id: turnIds.get(row.id)!, session_id: to })
  const threads = statement('select * from threads where session_id = ?').all(from) as ThreadsTable[]
  for (const row of threads)
    if (threadIds.has(row.id))
      insertRow(statement, 'threads', {
        ...row,
        id: threadIds.get(row.id)!,
        session_id: to,
        parent_id: threadOf(row.parent_id),
        turn_id: row.turn_id === null ? null : (turnIds.get(row.turn_id) ?? null),
      })

  let messageCount = 0
  const insertMessage = statement(
    'insert into messages (session_id, n, turn_id, created_at, body) values (?, ?, ?, ?, ?)',
  )
  const messages = statement('select * from messages where session_id = ? order by n').all(from) as MessagesTable[]
  for (const row of messages)
    if (kept(row.turn_id)) insertMessage.run(to, ++messageCount, turnOf(row.turn_id), row.created_at, row.body)

  const insertEntry = statement('insert into transcript (session_id, subpath, n, uuid, body) values (?, ?, ?, ?, ?)')
  const cutAt = transcriptCut(statement, from, dropped)
  const entries = statement('select * from transcript where session_id = ? order by subpath, n')
  for (const row of entries.all(from) as TranscriptTable[])
    if (row.subpath !== '' || cutAt === null || row.n < cutAt)
      insertEntry.run(to, row.subpath, row.n, row.uuid, rewrite(row.body))

  copyOutputs({ statement }, from, to)

  const place = (at: number) => places.findLast((each) => each.from <= at)?.to ?? 0
  const snapshots = statement('select * from snapshots where session_id = ? and seq <= ? order by n')
  for (const row of snapshots.all(from, seq) as { turn_id: string | null; seq: number }[])
    if (kept(row.turn_id))
      insertRow(statement, 'snapshots', { ...row, session_id: to, turn_id: turnOf(row.turn_id), seq: place(row.seq) })
  const rewinds = statement('select * from rewinds where session_id = ? and seq <= ? order by seq')
  for (const row of rewinds.all(from, seq) as { seq: number; to_seq: number }[])
    insertRow(statement, 'rewinds', {
      ...row,
      session_id: to,
      pending: 0,
      seq: place(row.seq),
      to_seq: place(row.to_seq),
    })
  return { lastSeq, messageCount }
}

function insertRow(statement: (text: string) => Statement, table: string, row: object): void {
  const columns = Object.keys(row)
  statement(`insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`).run(
    ...(Object.values(row) as unknown[]),
  )
}
