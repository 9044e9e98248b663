import type { ApprovalRow } from '../store/approvals.ts'
import { NO_USAGE, type TurnRow, type UsageTotals } from '../store/store.ts'
import type { Decision, SessionState } from './change-session.ts'
import { activeSince, addUsage, newEvent } from './end-turn.ts'
import { usageToWire } from './session-status.ts'

/** What a turn used since it was last taken up. */
export interface TurnPart {
  usage: UsageTotals | null
  sdkTotals: UsageTotals | null
  modelRequests: number
}

const NOTHING: TurnPart = { usage: null, sdkTotals: null, modelRequests: 0 }

const pendingOf = (state: SessionState, turn: TurnRow): ApprovalRow[] =>
  state.approvals.filter((row) => row.turnId === turn.id && row.threadId === null && row.status === 'pending')

/**
 * The change by which a turn waits for an answer: the session is idle and says what it requires. `part`: the agent has
 * gone and this is what it used; the lease ends with it. Where the answer came first, the turn goes on at once instead.
 */
export function awaitAnswer(state: SessionState, turn: TurnRow, at: number, part: TurnPart | null): Decision {
  const { session } = state
  const pending = pendingOf(state, turn)
  const { usage, sdkTotals, modelRequests } = part ?? NOTHING
  const active = activeSince(turn, at)
  const total = addUsage(session.usage, usage)
  const activeMs = session.activeMs + active
  const patch = {
    usage: turn.usage || usage ? addUsage(turn.usage ?? NO_USAGE, usage) : null,
    modelRequests: (turn.modelRequests ?? 0) + modelRequests,
    activeMs: turn.activeMs + active,
    runningSince: null,
    status: 'waiting' as const,
  }
  const released = part
    ? { holder: null, leaseUntil: null, usage: total, activeMs, ...(sdkTotals && { sdkTotals }) }
    : { activeMs }
  if (pending.length === 0)
    return {
      session: { ...released, status: 'running', lastTurnStatus: 'waiting', queuedAt: session.queuedAt ?? at },
      turns: [{ id: turn.id, patch: { ...patch, resume: 'approval' } }],
      events: session.status === 'idle' ? [newEvent('session.status_running', turn.id, at)] : [],
    }
  const stopReason = { type: 'requires_action', event_ids: pending.map((row) => row.id) }
  return {
    session: { ...released, status: 'idle', stopReason, lastTurnStatus: 'waiting', queuedAt: null },
    turns: [{ id: turn.id, patch: { ...patch, resume: part ? 'approval' : null } }],
    events: [
      newEvent('session.usage', turn.id, at, { usage: usageToWire(total, activeMs), budget: null }),
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
