import { ApiError } from '@troupe/protocol/error'
import type { SessionError } from '@troupe/protocol/event'
import { NO_USAGE } from '../store/usage.ts'
import type { TurnRow } from '../store/turns.ts'
import { changeSession, type Decision, type SessionState } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { endTurn } from './end-turn.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'

/** Sessions looked at in one sweep; those that are left come in the next, at once. */
const AT_ONCE = 100

/**
 * Ends the turns that have waited for a slot longer than their session allows. Answers when to look again, in ms; null
 * when no session waits with a limit. Because the limit is counted from when the session joined the line, which is on
 * disk, a restart prolongs nothing.
 */
export async function endOverdue(context: SessionContext): Promise<number | null> {
  const { store, clock } = context
  for (;;) {
    const { ids, next } = await store.findOverdue(clock.now(), AT_ONCE)
    if (ids.length === 0) return next
    for (const id of ids)
      await changeSession(context, id, timeOut).catch((error: unknown) => {
        // Erased since it was found.
        if (!(error instanceof ApiError)) throw error
      })
  }
}

/** Those that came later have time left; the session then waits since the first of them. Null: nothing is overdue. */
export function timeOut(before: SessionState, at: number): Decision | null {
  const { session, openTurns } = before
  const { queuedAt, maxQueueMs } = session
  if (queuedAt === null || maxQueueMs === null || queuedAt + maxQueueMs > at) return null
  const since = (turn: TurnRow) => Math.max(turn.createdAt, queuedAt)
  // None of them runs. One that had begun, and waits to go on, has waited too.
  const overdue = openTurns.filter((turn) => since(turn) + maxQueueMs <= at)
  // A place in the line without work is none.
  if (openTurns.length === 0) return { session: { queuedAt: null } }
  let decision: Decision = {}
  for (const turn of overdue)
    decision = mergeDecisions(
      decision,
      endTurn(applyDecision(before, decision), turn, failed(turn, at - since(turn)), at),
    )
  const [first] = applyDecision(before, decision).openTurns
  if (!first) return decision
  return {
    ...decision,
    session: { ...decision.session, queuedAt: since(first), lastTurnStatus: 'queued', endedAt: null },
  }
}

const failed = (turn: TurnRow, waitedMs: number) => ({
  status: 'failed' as const,
  stopReason: { type: 'retries_exhausted' },
  error: queueTimeout(Math.floor(waitedMs / 1000), turn.startedAt !== null),
  text: null,
  structured: null,
  usage: NO_USAGE,
  modelRequests: 0,
})

const queueTimeout = (seconds: number, begun: boolean): SessionError => ({
  type: 'unknown_error',
  code: 'queue_timeout',
  message: `No slot was free for ${seconds} s, longer than limits.max_queue_seconds allows; the agent ${begun ? 'did not go on' : 'never began'}. Send it again when there is less to do.`,
  retry_status: { type: 'exhausted' },
  side_effect_possible: begun,
})
