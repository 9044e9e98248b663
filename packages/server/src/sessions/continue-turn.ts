import type { SessionState, Decision } from './change-session.ts'
import { isSpent } from './budget.ts'
import { newId } from '@troupe/protocol/ids'
import { newEvent } from './new-event.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'
import { queueTurn } from './queue-turn.ts'

/** What was acknowledged is not refused. */
const NO_LIMITS = { maxQueuedTurns: Number.POSITIVE_INFINITY, maxQueuedSessions: Number.MAX_SAFE_INTEGER }

/** What the agent is told when it may go on. It remembers where it was; it must not take this for a wish of the user's. */
const GO_ON =
  'The budget of this session was reached and has been raised. Continue from where you left off; do not begin anew.'

/**
 * Whether a session stands still only because of its budget, and may spend again. A session that reached it with the
 * last request of a finished turn has nothing to go on with.
 */
export function mayGoOn({ session }: SessionState): boolean {
  return session.status === 'idle' && session.stopReason?.type === 'budget_reached' && !isSpent(session)
}

/**
 * Lets a session that `mayGoOn` go on: with the turns that wait, or else with a turn of its own whose input is a
 * `system.message`. The agent is asked to continue, because a silent resume would wait for words for ever.
 */
export function goOn(state: SessionState, at: number): Decision {
  const { session, openTurns } = state
  const [waiting] = openTurns
  if (waiting)
    return {
      session: {
        status: 'running',
        queuedAt: at,
        lastTurnStatus: 'queued',
        lastError: null,
        startedAt: null,
        endedAt: null,
      },
      events: [newEvent('session.status_running', waiting.id, at), newEvent('session.queued', waiting.id, at)],
    }
  const input = { id: newId('sevt'), content: [{ type: 'text' as const, text: GO_ON }], text: '', clientId: null }
  const queued = queueTurn(state, [input], at, NO_LIMITS)
  return {
    ...queued,
    // Nobody wrote this: it is not part of the prompt.
    session: { ...queued.session, prompt: session.prompt },
    events: queued.events.map((event) => (event.id === input.id ? { ...event, type: 'system.message' } : event)),
  }
}

/** The end of a turn, and what follows at once when its budget was raised while it ran. */
export function endAndGoOn(state: SessionState, ended: Decision, at: number): Decision {
  const after = applyDecision(state, ended)
  return mayGoOn(after) ? mergeDecisions(ended, goOn(after, at)) : ended
}
