import { ApiError } from '@troupe/protocol/error'
import type { TurnRow } from '../store/turns.ts'
import { changeSession, type Decision, requireSession, type SessionState } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { endTurn, NEVER_STARTED } from './end-turn.ts'
import { interruptDecision, isInRun, newInterrupt } from './interrupt.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'

/** How long a caller that cancels is kept waiting for the end, in ms. The cancellation itself goes on. */
const CANCEL_PATIENCE_MS = 15_000

/**
 * Stops one turn: a waiting one at once, a running one through the inbox. Resolves when it has ended, or after 15 s
 * with the turn as it is. Throws `turn_not_found` and `turn_not_running`.
 */
export async function cancelTurn(
  context: SessionContext,
  sessionId: string,
  turnId: string,
  mode: 'graceful' | 'now',
  graceMs: number | null,
): Promise<TurnRow> {
  await requireSession(context, sessionId)
  const known = await context.store.readTurn(sessionId, turnId)
  if (!known) throw new ApiError('turn_not_found', `Session ${sessionId} has no turn ${turnId}.`)
  const interrupt = newInterrupt(mode, graceMs, turnId)
  const { before } = await changeSession(context, sessionId, (state, at) => {
    if (!state.openTurns.some((turn) => turn.id === turnId)) return null
    return interruptDecision(state, interrupt, at)
  })
  if (!before.openTurns.some((turn) => turn.id === turnId))
    throw new ApiError('turn_not_running', `Turn ${turnId} has already ended (${known.status}).`)
  await turnEnded(context, sessionId, turnId, CANCEL_PATIENCE_MS)
  return (await context.store.readTurn(sessionId, turnId))!
}

/**
 * Stops all work of a session, the running turn by force: what the origin API means by cancel. Resolves when the
 * session is idle. Throws `session_not_running`.
 */
export async function cancelSession(context: SessionContext, sessionId: string): Promise<void> {
  const interrupt = newInterrupt('now', null, null)
  const { before } = await changeSession(context, sessionId, (state, at) => {
    if (state.openTurns.length === 0) return null
    // Those that wait end first, so that the session is idle when the running one ends.
    const decision = cancelWaiting(state, at)
    const rest = applyDecision(state, decision)
    const [current] = rest.openTurns
    if (!current) return decision
    const stop = interruptDecision(rest, interrupt, at)
    if (!isInRun(current)) return mergeDecisions(decision, stop)
    // A turn that runs is still what the session is about.
    const { lastTurnStatus: _, endedAt: __, stopReason: ___, ...patch } = { ...decision.session, ...stop.session }
    return { ...mergeDecisions(stop, decision), session: patch }
  })
  const running = before.openTurns.find((turn) => turn.status !== 'queued')
  if (before.openTurns.length === 0)
    throw new ApiError('session_not_running', `Session ${sessionId} has nothing to cancel.`)
  if (running) await turnEnded(context, sessionId, running.id, CANCEL_PATIENCE_MS)
}

/** Ends the turns that wait for their turn. */
export function cancelWaiting(state: SessionState, at: number): Decision {
  let decision: Decision = {}
  for (const turn of state.openTurns.filter((open) => open.status === 'queued'))
    decision = mergeDecisions(decision, endTurn(applyDecision(state, decision), turn, NEVER_STARTED, at))
  return decision
}

async function turnEnded(
  context: SessionContext,
  sessionId: string,
  turnId: string,
  patienceMs: number,
): Promise<void> {
  const after = (await context.store.readSession(sessionId))?.lastSeq ?? 0
  const patience = AbortSignal.timeout(patienceMs)
  for await (const _page of context.log.follow(sessionId, after, patience)) {
    const turn = await context.store.readTurn(sessionId, turnId)
    if (!turn || turn.endedAt !== null) return
  }
}
