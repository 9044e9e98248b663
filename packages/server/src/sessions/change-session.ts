import { ApiError } from '@troupe/protocol/error'
import { setTimeout as delay } from 'node:timers/promises'
import type { Committed, SessionChange } from '../store/session-change.ts'
import { NoSuchSession, VersionConflict } from '../store/errors.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { SessionState } from '../store/sessions.ts'
import type { SessionContext } from './context.ts'

export type { SessionState }

/** What a decision wants to change; the session, its version and the time are added. */
export type Decision = Omit<SessionChange, 'sessionId' | 'version' | 'at'>

/** Decisions that lost the race this often in a row are not a race any more. */
const MAX_ATTEMPTS = 100

/**
 * Reads a session, lets `decide` judge, and commits what it decided if the session is still as it was read; otherwise
 * decides again. So every decision is made on true facts without holding a lock: what `decide` itself reads is covered
 * too, because it is called anew each time. It must change nothing; null decides to leave things as they are. Throws what `decide` throws and `session_not_found` or `session_deleted`.
 */
export async function changeSession(
  context: SessionContext,
  sessionId: string,
  decide: (state: SessionState, at: number) => Decision | null | Promise<Decision | null>,
): Promise<{ committed: Committed; before: SessionState }> {
  for (let attempt = 1; ; attempt++) {
    const before = await context.store.readSessionState(sessionId)
    if (!before) throw await noSession(context, sessionId)
    const at = context.clock.now()
    const decision = await decide(before, at)
    if (!decision) return { committed: { events: [] }, before }
    try {
      const committed = await context.log.commit({ ...decision, sessionId, version: before.session.version, at })
      return { committed, before }
    } catch (error) {
      if (error instanceof NoSuchSession) throw await noSession(context, sessionId)
      if (!(error instanceof VersionConflict) || attempt === MAX_ATTEMPTS) throw error
      if (attempt > 3) await delay(attempt)
    }
  }
}

/** The session, or the error that says why there is none. */
export async function requireSession(context: SessionContext, sessionId: string): Promise<SessionRow> {
  const session = await context.store.readSession(sessionId)
  if (!session) throw await noSession(context, sessionId)
  return session
}

/** Whether a session was deleted, or never was: as an error. */
async function noSession(context: SessionContext, sessionId: string): Promise<ApiError> {
  if (await context.store.isDeleted(sessionId))
    return new ApiError('session_deleted', `Session ${sessionId} was deleted; its events and files are gone.`)
  return unknownSession(sessionId)
}

/** What is another workspace's is as unknown as what never was. */
export const unknownSession = (id: string) => new ApiError('session_not_found', `Session ${id} does not exist.`)
