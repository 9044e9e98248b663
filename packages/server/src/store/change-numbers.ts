import { NoSuchSession, StaleEpoch, VersionConflict } from './errors.ts'
import type { SessionChange } from './session-change.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** Takes the numbers for a change and checks, in the same statement, that it may still be made. */
export function takeNumbers(
  statement: SqliteAccess['statement'],
  change: SessionChange,
  decides: boolean,
): { firstSeq: number; firstMessage: number } {
  const events = change.events?.length ?? 0
  const messages = change.messages?.length ?? 0
  const row = statement(
    `update sessions set last_seq = last_seq + ?, message_count = message_count + ?, updated_at = ?,
       version = version + ?
     where id = ? and (? is null or epoch = ?) and (? is null or version = ?)
     returning last_seq, message_count`,
  ).get(
    events,
    messages,
    change.at,
    decides ? 1 : 0,
    change.sessionId,
    change.epoch ?? null,
    change.epoch ?? null,
    change.version ?? null,
    change.version ?? null,
  ) as { last_seq: number; message_count: number } | undefined
  if (!row) refuse(statement, change)
  return { firstSeq: row.last_seq - events + 1, firstMessage: row.message_count - messages + 1 }
}

function refuse(statement: SqliteAccess['statement'], change: SessionChange): never {
  const now = statement('select epoch, version from sessions where id = ?').get(change.sessionId) as
    | { epoch: number; version: number }
    | undefined
  if (!now) throw new NoSuchSession(change.sessionId)
  if (change.epoch !== undefined && change.epoch !== now.epoch)
    throw new StaleEpoch(`${change.sessionId}: epoch ${change.epoch} is over, ${now.epoch} has begun`)
  throw new VersionConflict(`${change.sessionId}: version ${change.version} is over, it is ${now.version}`)
}
