import { writeRewind } from './branches.ts'
import { takeNumbers } from './change-numbers.ts'
import { ExternalIdTaken, QueueFull } from './errors.ts'
import { sql } from './query.ts'
import { patchToColumns, sessionToRow, turnPatchToColumns, turnToRow } from './rows.ts'
import type { Committed, SessionChange } from './session-change.ts'
import type { SessionRow } from './session-row.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { writeApprovals } from './sqlite-approvals.ts'
import { writeRun } from './sqlite-deployments.ts'
import { writeEvents, writeMessages } from './sqlite-events.ts'
import { writeLedger } from './sqlite-ledger.ts'
import { writeOutputs } from './sqlite-outputs.ts'
import type { SqliteQueue } from './sqlite-queue.ts'
import { writeRepositories } from './sqlite-repositories.ts'
import { writeResources } from './sqlite-resources.ts'
import { threadWrites } from './sqlite-threads.ts'

/** Makes a session with its first change; called inside a transaction. */
export function createSession(
  access: SqliteAccess,
  queue: SqliteQueue,
  row: SessionRow,
  change: SessionChange,
): Committed {
  try {
    access.run(sql.insertInto('sessions').values(sessionToRow(row)))
  } catch (error) {
    if (isUnique(error)) throw new ExternalIdTaken(row.externalId ?? row.id)
    throw error
  }
  return applyChange(access, queue, change)
}

/** Writes a change, whole or, when it throws, not at all: its caller undoes what was written. */
export function applyChange(access: SqliteAccess, queue: SqliteQueue, change: SessionChange): Committed {
  const { statement, run } = access
  const { sessionId } = change
  const decides =
    change.session !== undefined ||
    change.newTurns !== undefined ||
    change.turns !== undefined ||
    change.newApprovals !== undefined ||
    change.approvals !== undefined
  const numbers = takeNumbers(statement, change, decides)
  if (change.queueLimit !== undefined && queue.depth() >= change.queueLimit)
    throw new QueueFull(`${change.queueLimit} sessions wait`)
  if (change.session) {
    const columns = patchToColumns(change.session)
    if (Object.keys(columns).length > 0)
      try {
        run(sql.updateTable('sessions').set(columns).where('id', '=', sessionId))
      } catch (error) {
        if (isUnique(error)) throw new ExternalIdTaken(change.session.externalId ?? '')
        throw error
      }
  }
  for (const turn of change.newTurns ?? []) run(sql.insertInto('turns').values(turnToRow(turn)))
  for (const { id, patch } of change.turns ?? [])
    run(sql.updateTable('turns').set(turnPatchToColumns(patch)).where('id', '=', id))
  writeApprovals(access, change)
  for (const query of threadWrites(change)) run(query)
  const events = writeEvents(access, change, numbers.firstSeq)
  writeMessages(access, change, numbers.firstMessage)
  writeRewind(access, change, numbers.firstSeq)
  if (change.deploymentRun) writeRun(access, change.deploymentRun)
  if (change.repositories) writeRepositories(access, change.sessionId, change.repositories)
  writeResources(access, change)
  writeOutputs(access, change)
  if (change.ledger) writeLedger(statement, change.ledger)
  if (change.effect) access.noteEffect(change.effect)
  return { events }
}

function isUnique(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_CONSTRAINT_UNIQUE'
}
