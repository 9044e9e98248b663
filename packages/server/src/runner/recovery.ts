import { changeSession, type Decision, type SessionState } from '../sessions/change-session.ts'
import { accountOfCut } from '../sessions/cut-account.ts'
import type { TurnPart } from '../sessions/approval-state.ts'
import { leaveThreads } from '../sessions/end-threads.ts'
import { activeSince, type TurnOutcome } from '../sessions/end-turn.ts'
import { newEvent } from '../sessions/new-event.ts'
import type { SessionContext } from '../sessions/context.ts'
import { applyDecision, mergeDecisions } from '../sessions/merge-decisions.ts'
import { endSteeredTurn } from '../sessions/requeue-steers.ts'
import type { EventRow } from '../store/events.ts'
import type { TurnRow } from '../store/turns.ts'
import { onlyReads } from './policy.ts'
import { NO_OUTPUTS, type TurnOutputs, turnOutputs } from '../sessions/turn-outputs.ts'
import { serverRestarted, takenUpAgain } from './session-errors.ts'

/** A turn is taken up again at most this often within this time: what fails each time may be what ends the server. */
const MAX_RECOVERIES = 2
const RECOVERY_WINDOW_MS = 10 * 60_000

const RELEASED = { holder: null, leaseUntil: null }

/** A call that an agent had begun, or may have begun, when it was cut off. */
interface CutCall {
  event_id: string
  name: string
  input: unknown
}

/**
 * What becomes of a turn whose agent was cut off by the end of its server, by its session's policy: it goes on by
 * itself, or it ends with `server_restarted`, `side_effect_possible` and the call that may have run. Pending questions
 * of it are asked anew. `spent`: what its agent is known to have used. The lease ends either way.
 */
export async function recoverOrEnd(
  context: SessionContext,
  state: SessionState,
  turn: TurnRow,
  spent: TurnPart & Pick<TurnOutcome, 'activeUntil'>,
  at: number,
): Promise<Decision> {
  const policy = state.session.options.recovery ?? 'auto'
  const call = await cutCall(context, turn)
  const recent = turn.recoveries.filter((time) => at - time < RECOVERY_WINDOW_MS)
  const tooOften = recent.length >= MAX_RECOVERIES
  if (policy === 'fail' || tooOften || (policy === 'auto' && call !== null)) {
    const ended = endSteeredTurn(state, turn, { ...CUT, ...spent, error: serverRestarted(call, tooOften) }, at)
    // At its budget a session stands still, whatever waits.
    const waits = applyDecision(state, ended).openTurns.length > 0
    const queued = waits && ended.session?.status !== 'idle' ? { queuedAt: at } : {}
    return mergeDecisions(ended, { session: { ...RELEASED, ...queued } })
  }
  const pending = state.approvals.filter((row) => row.turnId === turn.id && row.status === 'pending')
  const active = activeSince(turn, spent.activeUntil ?? at)
  return mergeDecisions(leaveThreads(state, turn.id, at), {
    session: {
      ...RELEASED,
      status: 'rescheduling',
      queuedAt: at,
      activeMs: state.session.activeMs + active,
      ...(spent.sdkTotals && { sdkTotals: spent.sdkTotals }),
      ...(spent.cachePrefix && { cachePrefix: spent.cachePrefix }),
    },
    turns: [
      {
        id: turn.id,
        patch: {
          status: 'queued',
          resume: 'recovery',
          recoveries: [...recent, at],
          runningSince: null,
          activeMs: turn.activeMs + active,
          usage: spent.usage ?? turn.usage,
          modelRequests: spent.modelRequests ?? turn.modelRequests,
        },
      },
    ],
    ...(spent.ledger && { ledger: spent.ledger }),
    approvals: pending.map((row) => ({ id: row.id, patch: { status: 'cancelled', held: false } })),
    events: [
      ...pending.map((row) =>
        newEvent('session.approval_closed', turn.id, at, { tool_use_id: row.id, reason: 'asked_again' }),
      ),
      newEvent('session.error', turn.id, at, { error: takenUpAgain() }),
      newEvent('session.status_rescheduled', turn.id, at),
      newEvent('session.queued', turn.id, at),
    ],
  })
}

/** Brings a session in order that a dead server held. */
export async function reconcileSession(context: SessionContext, sessionId: string): Promise<void> {
  const outputs = await outputsOfCut(context, sessionId)
  await changeSession(context, sessionId, async (state, at) => {
    const { session, openTurns } = state
    const cut = openTurns.find((turn) => turn.status !== 'queued')
    if (!cut) {
      if (openTurns.length > 0 && session.status !== 'idle') return { session: { ...RELEASED, queuedAt: at } }
      // Work without a turn cannot be; say idle rather than run for ever.
      const idle = session.status === 'idle' || session.status === 'terminated' ? {} : { status: 'idle' as const }
      return { session: { ...RELEASED, ...idle } }
    }
    const asked = state.approvals.filter((row) => row.turnId === cut.id)
    const parked = cut.resume === 'approval' && asked.length > 0
    // Its call lies in the transcript and nobody has begun it: it waits on, or is driven again.
    if (parked && asked.some((row) => row.status === 'pending'))
      return { session: { ...RELEASED, status: 'idle', queuedAt: null }, turns: [waiting(cut, session.updatedAt)] }
    if (parked)
      return {
        session: { ...RELEASED, status: 'running', queuedAt: at },
        turns: [waiting(cut, session.updatedAt)],
        events: [newEvent('session.queued', cut.id, at)],
      }
    const spent = await accountOfCut(context.store, state, cut, at)
    const ended = await recoverOrEnd(context, state, cut, { ...spent, activeUntil: session.updatedAt }, at)
    return outputs.with(ended, at)
  })
  await outputs.settle()
}

/** What lies in `outputs/` of a turn that was cut off: kept with its end, if it ends now. */
async function outputsOfCut(context: SessionContext, sessionId: string): Promise<TurnOutputs> {
  const state = await context.store.readSessionState(sessionId)
  const cut = state?.openTurns.find((turn) => turn.status !== 'queued')
  return state && cut ? turnOutputs(context, state.session, cut.id, 'cut', null) : NO_OUTPUTS
}

const waiting = (turn: TurnRow, until: number) => ({
  id: turn.id,
  patch: { status: 'waiting' as const, runningSince: null, activeMs: turn.activeMs + activeSince(turn, until) },
})

const CALLS = ['agent.tool_use', 'agent.mcp_tool_use', 'agent.custom_tool_use']
const RESULTS = ['agent.tool_result', 'agent.mcp_tool_result']

/**
 * The first call of a turn that may have had effects and would be half done, or made again, if the turn went on: it has
 * no result, or its result is in our log and had not reached the transcript. Null when there is none.
 */
async function cutCall(context: SessionContext, turn: TurnRow): Promise<CutCall | null> {
  const { store } = context
  const calls = new Map<string, EventRow>()
  const answered = new Set<string>()
  for (let after = 0; ;) {
    const filter = { turnId: turn.id, types: [...CALLS, ...RESULTS], afterSeq: after }
    const { rows, more } = await store.listEvents(turn.sessionId, filter, 'asc', 500)
    for (const row of rows) {
      const body = JSON.parse(row.body) as { tool_use_id?: string; mcp_tool_use_id?: string }
      if (CALLS.includes(row.type)) calls.set(row.id, row)
      else answered.add(body.tool_use_id ?? body.mcp_tool_use_id ?? '')
    }
    if (!more) break
    after = rows.at(-1)!.seq
  }
  const remembered = calls.size > 0 ? answeredCalls(await store.loadTranscript(turn.sessionId, '')) : new Set()
  for (const row of calls.values()) {
    const { name, input, evaluated_permission, sdk_tool_use_id } = JSON.parse(row.body) as {
      name: string
      input: unknown
      evaluated_permission?: string
      sdk_tool_use_id?: string
    }
    if (answered.has(row.id) && (row.threadId !== null || remembered.has(sdk_tool_use_id))) continue
    if (evaluated_permission === 'deny' || (row.type === 'agent.tool_use' && onlyReads(name))) continue
    // A client's tool and a question run elsewhere.
    if (row.type === 'agent.custom_tool_use') continue
    if (evaluated_permission === 'ask') {
      const approval = await store.approvals.read(row.id)
      // Not answered, refused, or answered and not handed over: it has not begun.
      if (!approval || approval.consumedAt === null || approval.status !== 'allowed') continue
    }
    return { event_id: row.id, name, input }
  }
  return null
}

/** The agent's ids of the calls whose results its transcript holds. */
function answeredCalls(transcript: string[]): Set<string> {
  const ids = new Set<string>()
  for (const line of transcript) {
    const { type, message } = JSON.parse(line) as { type?: string; message?: { content?: unknown } }
    if (type !== 'user' || !Array.isArray(message?.content)) continue
    for (const block of message.content as { type?: string; tool_use_id?: string }[])
      if (block.type === 'tool_result' && block.tool_use_id) ids.add(block.tool_use_id)
  }
  return ids
}

/** A turn whose server ended. */
const CUT: Omit<TurnOutcome, 'error'> = {
  status: 'failed',
  stopReason: { type: 'retries_exhausted' },
  text: null,
  structured: null,
  usage: null,
  modelRequests: null,
}
