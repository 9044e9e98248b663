import { newId } from '@troupe/protocol/ids'
import { takeNumbers } from './change-numbers.ts'
import type { Effect } from './idempotency.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { writeOutbox } from './webhook-outbox.ts'

/** What is erased with a session. */
const TABLES_OF_A_SESSION = [
  'turns',
  'threads',
  'events',
  'messages',
  'transcript',
  'approvals',
  'grants',
  'snapshots',
  'rewinds',
  'session_resources',
  'outputs',
  'files',
  'session_repositories',
] as const

/** Erases a session with all that hangs on it and leaves a tombstone; called inside a transaction. */
export function eraseSession(
  { statement, noteEffect }: SqliteAccess,
  id: string,
  at: number,
  version?: number,
  effect?: Effect,
): void {
  takeNumbers(statement, { sessionId: id, at, ...(version !== undefined && { version }) }, true)
  for (const table of TABLES_OF_A_SESSION) statement(`delete from ${table} where session_id = ?`).run(id)
  statement(
    `insert or replace into tombstones (id, deleted_at, workspace_id)
     select id, ?, workspace_id from sessions where id = ?`,
  ).run(at, id)
  // The outbox keeps what it has to tell: names and numbers, for its time.
  const type = 'session.deleted'
  writeOutbox(statement, {
    sessionId: id,
    seq: 0,
    type,
    createdAt: at,
    id: newId('sevt'),
    turnId: null,
    threadId: null,
  })
  statement('delete from sessions where id = ?').run(id)
  if (effect) noteEffect(effect)
}
