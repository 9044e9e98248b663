import type { Rewind, RewindSession } from '@troupe/protocol/branch'
import { ApiError } from '@troupe/protocol/error'
import type { RestorePlan } from '../snapshots/restore.ts'
import type { SessionPatch, SessionRow } from '../store/session-row.ts'
import { type BranchPoint, branchPoint } from './branch-point.ts'
import { changeSession, requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { asApiError } from './diff-session.ts'
import { newEvent } from './new-event.ts'

/** Paths that an answer or an event names of each kind. */
const MAX_PATHS = 1_000

/**
 * Sets a session back to where it stood: the conversation, the files, or both. The log keeps what came after; the agent
 * does not know it any more. It is decided in one transaction, with `session.rewound`; a server that dies while files
 * are being written finishes at its next start. Throws what `branchPoint` throws, `session_running`,
 * `session_terminated`, `snapshot_not_found` and `snapshots_unavailable`.
 */
export async function rewindSession(
  context: SessionContext,
  sessionId: string,
  body: RewindSession,
  idempotency: Idempotency | null,
): Promise<Rewind> {
  const { snapshots } = context
  const scope = body.scope ?? 'both'
  const asked = await requireSession(context, sessionId)
  assertIdle(asked)
  await snapshots.settled(asked)
  return snapshots.lock.run(asked.cwd, () =>
    asApiError(async () => {
      const session = await requireSession(context, sessionId)
      assertIdle(session)
      const point = await branchPoint(context, session, body.to_event_id)
      const target = scope === 'conversation' ? null : await filesOf(session, point)
      if (target && (await context.store.branches.workingIn(session.cwd, sessionId)))
        throw new ApiError(
          'session_running',
          `Another session works in ${session.cwd} now; wait until it is idle, or use "scope": "conversation".`,
        )
      await snapshots.finishRestore(session)
      const now = target && (await snapshots.take(session, null, 'rewind', session.lastSeq, undefined, true))
      const plan = target && (await snapshots.planOf(sessionId, now?.commit ?? null, target.commit))
      const answer: Rewind = {
        type: 'rewind',
        session_id: sessionId,
        to_event_id: body.to_event_id,
        to_turn_id: point.last?.id ?? null,
        scope,
        dry_run: body.dry_run ?? false,
        turns_undone: scope === 'files' ? [] : await undone(context, session, point),
        files: plan && planToWire(plan),
      }
      if (body.dry_run) return answer
      await changeSession(context, sessionId, async (state, at) => {
        assertIdle(state.session)
        if (state.openTurns.length > 0) throw running(state.session)
        // Decided on what the session was; what has changed since changes the place too.
        const place = await branchPoint(context, state.session, body.to_event_id)
        const conversation = scope !== 'files'
        const event = newEvent('session.rewound', null, at, {
          to_event_id: body.to_event_id,
          to_seq: place.seq,
          to_turn_id: place.last?.id ?? null,
          scope,
          turns_undone: answer.turns_undone,
          files: plan && countsOf(plan),
        })
        return {
          events: [event],
          session: conversation ? setBack(state.session, place) : {},
          rewind: {
            eventId: event.id,
            toSeq: place.seq,
            conversation,
            dropped: conversation ? place.dropped : null,
            commit: target ? target.commit : undefined,
          },
          ...(idempotency && { effect: { ...idempotency, result: JSON.stringify(answer) } }),
        }
      })
      if (target) await snapshots.finishRestore(session)
      return answer
    }),
  )
}

async function filesOf(session: SessionRow, point: BranchPoint) {
  const target = await point.files()
  if (target) return target
  throw new ApiError(
    'snapshot_not_found',
    `How the workdir of session ${session.id} stood then was not kept; "scope": "conversation" leaves it alone.`,
  )
}

/** The session as its last turn before the place left it. What was used stays used. */
function setBack({ options }: SessionRow, { last }: BranchPoint): SessionPatch {
  return {
    // A process that still has the old conversation is not given another turn, and writes no more of it.
    options: { ...options, rewinds: (options.rewinds ?? 0) + 1 },
    lastTurnStatus: last?.status ?? null,
    stopReason: last?.stopReason ?? null,
    lastError: last?.error ?? null,
    cachePrefix: null,
    context: null,
    result:
      last && (last.output || last.status === 'failed')
        ? {
            turn_id: last.id,
            text: last.output?.text ?? null,
            structured: last.output?.structured ?? null,
            is_error: last.status === 'failed',
          }
        : null,
  }
}

/** Turns that the conversation loses. */
async function undone({ store }: SessionContext, session: SessionRow, point: BranchPoint): Promise<string[]> {
  const later = (await store.branches.turnSpans(session.id)).filter(({ turnId }) => !point.kept.includes(turnId))
  const known = await Promise.all(
    later.map(async (span) => span.started === null || (await store.branches.isRewound(session.id, span.started))),
  )
  return later.filter((_, index) => !known[index]).map(({ turnId }) => turnId)
}

function planToWire(plan: RestorePlan): NonNullable<Rewind['files']> {
  const written = plan.write.map(({ path }) => path)
  const modes = plan.chmod.map(({ path }) => path)
  const lists = [written, plan.remove, modes, plan.lost]
  return {
    written: written.slice(0, MAX_PATHS),
    removed: plan.remove.slice(0, MAX_PATHS),
    modes: modes.slice(0, MAX_PATHS),
    not_restored: plan.lost.slice(0, MAX_PATHS),
    truncated: lists.some(({ length }) => length > MAX_PATHS),
  }
}

/** The log says how much; which files is for the answer and for a diff to say. */
const countsOf = (plan: RestorePlan) => ({
  written: plan.write.length,
  removed: plan.remove.length,
  modes: plan.chmod.length,
  not_restored: plan.lost.length,
})

function assertIdle(session: SessionRow): void {
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived; fork it instead.`)
  if (session.status !== 'idle' || session.holder !== null) throw running(session)
}

const running = (session: SessionRow) =>
  new ApiError('session_running', `Session ${session.id} has work; interrupt it and wait until it is idle.`)

/** Finishes what a dead server had begun to set back. What cannot be done now is tried again before the next turn. */
export async function finishRestores(context: SessionContext, warn: (id: string, error: unknown) => void) {
  for (const { sessionId } of await context.store.branches.pendingRestores(null)) {
    const session = await context.store.readSession(sessionId)
    if (!session) continue
    await context.snapshots.lock
      .run(session.cwd, () => context.snapshots.finishRestore(session))
      .catch((error: unknown) => warn(sessionId, error))
  }
}
