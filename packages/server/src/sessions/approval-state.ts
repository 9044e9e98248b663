import type { ApprovalRow } from '../store/approvals.ts'
import type { TurnRow } from '../store/turns.ts'
import type { Decision, SessionState } from './change-session.ts'
import { budgetToWire } from './budget.ts'
import { activeSince, type TurnOutcome } from './end-turn.ts'
import { newEvent } from './new-event.ts'
import { addUsage, usageToWire } from './usage-totals.ts'

/** The account of a turn so far, as it stands when its agent goes. */
export type TurnPart = Pick<TurnOutcome, 'usage' | 'modelRequests' | 'ledger' | 'sdkTotals' | 'cachePrefix'>

const pendingOf = (state: SessionState, turn: TurnRow): ApprovalRow[] =>
  state.approvals.filter((row) => row.turnId === turn.id && row.threadId === null && row.status === 'pending')

/**
 * The change by which a turn waits for an answer: the session is idle and says what it requires. `part`: the agent has
 * gone and this is what it used; the lease ends with it. Where the answer came first, the turn goes on at once instead.
 */
export function awaitAnswer(state: SessionState, turn: TurnRow, at: number, part: TurnPart | null): Decision {
  const { session } = state
  const pending = pendingOf(state, turn)
  const active = activeSince(turn, at)
  const activeMs = session.activeMs + active
  // Counted to the session when the turn ends; until then it stands with the turn and in the ledger.
  const usage = part?.usage ?? turn.usage
  const patch = {
    usage,
    modelRequests: part?.modelRequests ?? turn.modelRequests,
    activeMs: turn.activeMs + active,
    runningSince: null,
    status: 'waiting' as const,
  }
  const released = part
    ? {
        holder: null,
        leaseUntil: null,
        activeMs,
        ...(part.sdkTotals && { sdkTotals: part.sdkTotals }),
        ...(part.cachePrefix && { cachePrefix: part.cachePrefix }),
      }
    : { activeMs }
  const ledger = part?.ledger ? { ledger: part.ledger } : {}
  if (pending.length === 0)
    return {
      ...ledger,
      session: { ...released, status: 'running', lastTurnStatus: 'waiting', queuedAt: session.queuedAt ?? at },
      turns: [{ id: turn.id, patch: { ...patch, resume: 'approval' } }],
      events: session.status === 'idle' ? [newEvent('session.status_running', turn.id, at)] : [],
    }
  const stopReason = { type: 'requires_action', event_ids: pending.map((row) => row.id) }
  const total = addUsage(session.usage, usage)
  return {
    ...ledger,
    session: { ...released, status: 'idle', stopReason, lastTurnStatus: 'waiting', queuedAt: null },
    turns: [{ id: turn.id, patch: { ...patch, resume: part ? 'approval' : null } }],
    events: [
      newEvent('session.usage', turn.id, at, {
        usage: usageToWire(total, activeMs),
        budget: budgetToWire({ ...session, usage: total }),
      }),
      newEvent('session.status_idle', turn.id, at, { stop_reason: stopReason, stop_details: null }),
    ],
  }
}

/**
 * The change that lets a turn go on once nothing of it waits for an answer: in the process that holds it, or by joining
 * the queue for a slot. With others still pending it says idle again, with those that are left.
 */
export function goOn(state: SessionState, turn: TurnRow, decided: ApprovalRow, at: number): Decision {
  const left = pendingOf(state, turn).filter((row) => row.id !== decided.id)
  // A subagent's call: its turn was never idle for it.
  if (turn.status !== 'waiting' || decided.threadId !== null) return {}
  if (left.length > 0) {
    const stopReason = { type: 'requires_action', event_ids: left.map((row) => row.id) }
    return {
      session: { stopReason },
      events: [newEvent('session.status_idle', turn.id, at, { stop_reason: stopReason, stop_details: null })],
    }
  }
  const running = newEvent('session.status_running', turn.id, at)
  if (decided.held)
    return {
      session: { status: 'running', lastTurnStatus: 'in_progress' },
      turns: [{ id: turn.id, patch: { status: 'in_progress', runningSince: at } }],
      events: [running],
    }
  return {
    session: { status: 'running', queuedAt: at, lastError: null },
    turns: [],
    events: [running, newEvent('session.queued', turn.id, at)],
  }
}
