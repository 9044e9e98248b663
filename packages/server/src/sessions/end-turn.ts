import type { SessionError } from '@troupe/protocol/event'
import type { StopReason } from '@troupe/protocol/session'
import type { PromptCache } from '@troupe/protocol/turn'
import type { LedgerEntry } from '../store/ledger.ts'
import type { CachePrefix, ContextFill, SessionPatch } from '../store/session-row.ts'
import type { NewEvent } from '../store/events.ts'
import { NO_USAGE, type SdkTotals, type UsageTotals } from '../store/usage.ts'
import type { TurnRow } from '../store/turns.ts'
import type { Decision, SessionState } from './change-session.ts'
import { budgetToWire, isSpent } from './budget.ts'
import { contextToWire, contextWarning } from './context-usage.ts'
import { endThreads } from './end-threads.ts'
import { newEvent } from './new-event.ts'
import { TRANSITIONS } from './transitions.ts'
import { addUsage, usageToWire } from './usage-totals.ts'

/** How a turn ended. */
export interface TurnOutcome {
  status: 'completed' | 'failed' | 'cancelled'
  stopReason: StopReason
  error: SessionError | null
  text: string | null
  structured: unknown
  /** What the turn used, the sum of `ledger`; null when it never reached the agent. */
  usage: UsageTotals | null
  modelRequests: number | null
  /** Until when it was worked on, in ms, where that was earlier than its end: a dead server does no work. */
  activeUntil?: number
  /** The SDK's running totals after the turn, where it reported them. */
  sdkTotals?: { models: SdkTotals }
  /** The turn's entries in the accounts, as they stand now. */
  ledger?: LedgerEntry[]
  /** How its first request met the prompt cache; and what the next turn's will find. */
  cache?: PromptCache | null
  cachePrefix?: CachePrefix
  /** What fills the agent's context now, where it said. */
  context?: ContextFill
  /** The SDK's result as the origin API shows it, where there was one. */
  originResult?: Record<string, unknown>
}

/** Milliseconds that a turn has been worked on since it was last taken up. */
export const activeSince = (turn: Pick<TurnRow, 'runningSince'>, until: number): number =>
  turn.runningSince === null ? 0 : Math.max(0, until - turn.runningSince)

/** Closes what a turn had asked and nobody needs to answer any more. */
function closeApprovals(
  state: SessionState,
  turn: TurnRow,
  at: number,
): Required<Pick<Decision, 'approvals' | 'events'>> {
  const open = state.approvals.filter((row) => row.turnId === turn.id)
  return {
    approvals: open.map((row) => ({ id: row.id, patch: { status: 'cancelled', held: false } })),
    events: open
      .filter((row) => row.status === 'pending')
      .map((row) => newEvent('session.approval_closed', turn.id, at, { tool_use_id: row.id, reason: 'turn_ended' })),
  }
}

/**
 * The change that ends a turn, and, when it was the last one open, the session's work: `turn.*`, then `session.error`
 * where there was one, then `session.usage` immediately before `session.status_idle`.
 */
export function endTurn(state: SessionState, turn: TurnRow, outcome: TurnOutcome, at: number): Decision {
  const { session, openTurns } = state
  // The whole turn's; what it used before a wait for an answer stands with it.
  const turnUsage = outcome.usage ?? turn.usage ?? (outcome.status === 'cancelled' ? NO_USAGE : null)
  const modelRequests = outcome.modelRequests ?? turn.modelRequests ?? (outcome.status === 'cancelled' ? 0 : null)
  const usage = addUsage(session.usage, turnUsage)
  // At the cap nothing more is begun: turns that wait go on waiting, in an idle session, until it is raised.
  const rest = openTurns.filter((open) => open.id !== turn.id)
  const stopsHere =
    rest.length > 0 &&
    rest.every((open) => open.status === 'queued') &&
    outcome.stopReason.type !== 'requires_action' &&
    isSpent({ ...session, usage })
  const isLast = rest.length === 0 || stopsHere
  const stopReason = stopsHere ? { type: 'budget_reached' } : outcome.stopReason
  // What came before a wait for an answer is already in both sums.
  const lately = activeSince(turn, outcome.activeUntil ?? at)
  const turnMs = turn.activeMs + lately
  const activeMs = session.activeMs + lately
  const closed = closeApprovals(state, turn, at)
  const threads = endThreads(state.openThreads ?? [], turn.id, outcome, at)
  const events: NewEvent[] = [...threads.events, ...closed.events]
  if (outcome.error) events.push(newEvent('session.error', turn.id, at, { error: outcome.error }))
  events.push(
    newEvent(`turn.${outcome.status}`, turn.id, at, {
      stop_reason: outcome.stopReason,
      error: outcome.error,
      output: { text: outcome.text, structured: outcome.structured ?? null },
      usage: turnUsage && usageToWire(turnUsage, turnMs),
      cache: outcome.cache ?? null,
      model_requests: modelRequests,
      context: contextToWire(outcome.context),
    }),
    ...contextWarning(session.context, outcome.context, turn.id, at),
  )
  const patch: SessionPatch = {
    usage,
    activeMs,
    lastTurnStatus: outcome.status,
    lastError: outcome.error,
    stopReason,
    endedAt: at,
    ...(session.currentTurnId === turn.id && { currentTurnId: null }),
    ...(outcome.sdkTotals && { sdkTotals: outcome.sdkTotals }),
    ...(outcome.cachePrefix && { cachePrefix: outcome.cachePrefix }),
    ...(outcome.context && { context: outcome.context }),
    ...(outcome.originResult && { originResult: outcome.originResult }),
    // A turn that was stopped leaves the result of the one before it.
    ...(outcome.status !== 'cancelled' && {
      result: {
        turn_id: turn.id,
        text: outcome.text,
        structured: outcome.structured ?? null,
        is_error: outcome.status === 'failed',
      },
    }),
  }
  if (isLast) {
    patch.status = TRANSITIONS[session.status].end_work ?? session.status
    patch.queuedAt = null
    events.push(
      newEvent('session.usage', turn.id, at, {
        usage: usageToWire(usage, activeMs),
        budget: budgetToWire({ ...session, usage }),
      }),
      newEvent('session.status_idle', turn.id, at, { stop_reason: stopReason, stop_details: null }),
    )
  }
  if (!isLast && session.status === 'idle') {
    // It had waited for an answer; those behind it go on.
    patch.status = TRANSITIONS.idle.send ?? 'running'
    patch.queuedAt = at
    events.push(newEvent('session.status_running', turn.id, at), newEvent('session.queued', turn.id, at))
  }
  const { status, error } = outcome
  return {
    session: patch,
    ...(closed.approvals.length > 0 && { approvals: closed.approvals }),
    turns: [
      {
        id: turn.id,
        patch: {
          status,
          stopReason: outcome.stopReason,
          error,
          usage: turnUsage,
          modelRequests,
          endedAt: at,
          cache: outcome.cache ?? null,
          activeMs: turnMs,
          runningSince: null,
          resume: null,
          output: outcome.text === null ? null : { text: outcome.text, structured: outcome.structured ?? null },
        },
      },
    ],
    threads: threads.patches,
    events,
    ...(outcome.ledger && { ledger: outcome.ledger }),
  }
}

/** The outcome of a turn that was stopped before the agent took it, or while it waited for an answer. */
export const NEVER_STARTED: TurnOutcome = {
  status: 'cancelled',
  stopReason: { type: 'interrupted' },
  error: null,
  text: null,
  structured: null,
  usage: null,
  modelRequests: null,
}
