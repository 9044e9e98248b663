import { ApiError } from '@troupe/protocol/error'
import type { UpdateSession } from '@troupe/protocol/session'
import type { z } from 'zod'
import { removeUnneeded } from '../files/find-file.ts'
import type { SessionRow, SessionPatch } from '../store/session-row.ts'
import { NoSuchSession, VersionConflict } from '../store/errors.ts'
import { assertCanRun } from './admission.ts'
import { assertServersFit } from './confined-agent.ts'
import { removeFolders } from './session-folders.ts'
import { changeSession, type Decision, requireSession } from './change-session.ts'
import { changedPlace } from './queue-place.ts'
import { changedAgent } from './session-agent.ts'
import { changedSchema } from './session-schema.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { endTurn, NEVER_STARTED } from './end-turn.ts'
import { newEvent } from './new-event.ts'
import { budgetToWire } from './budget.ts'
import { goOn, mayGoOn } from './continue-turn.ts'
import { changedLimits } from './edit-limits.ts'
import type { Caller } from './caller.ts'
import { sessionWithin } from './key-policy.ts'
import { changedRetention, retentionOf } from './retention.ts'
import { limitsToWire } from './session-status.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'
import { TRANSITIONS } from './transitions.ts'

/**
 * Changes title, metadata, agent, budget, limits, retention and the place in the queue. A change that changes nothing appends nothing; a
 * budget that is raised lets a session go on that had reached it. Throws
 * `session_running` when the place is changed of a session that has one no more.
 */
export async function updateSession(
  context: SessionContext,
  caller: Pick<Caller, 'policies'>,
  sessionId: string,
  body: z.infer<typeof UpdateSession>,
): Promise<SessionRow> {
  const { settings } = context
  if (body.vault_ids !== undefined)
    throw new ApiError(
      'unsupported_feature',
      'Updating vault_ids is not supported yet; title, metadata, agent, budget, limits, retention, priority, concurrency_key and output_schema are.',
    )
  await changeSession(context, sessionId, async (state, at) => {
    const { session } = state
    const patch: SessionPatch = {}
    if (body.title !== undefined && body.title !== session.title) patch.title = body.title
    const metadata = mergeMetadata(session.metadata, body.metadata)
    if (JSON.stringify(metadata) !== JSON.stringify(session.metadata)) patch.metadata = metadata
    const other = changedAgent(state, body.agent, settings)
    const withOther = other ? { ...state, session: { ...session, agent: other } } : state
    const wanted = changedSchema(withOther, body.output_schema) ?? other
    const place = changedPlace(session, body)
    const limits = changedLimits(session, body)
    // Both within what the caller could have had from the start.
    const asked = { ...session, agent: wanted ?? session.agent, options: limits ?? session.options }
    const bounded = wanted || limits ? await sessionWithin(caller, asked, settings.defaultModel) : asked
    const agent = wanted && bounded.agent
    const kept = changedRetention(limits ? bounded.options : session.options, body.retention)
    const options = kept ?? (limits && bounded.options)
    if (other) assertCanRun(settings, other.permission_mode)
    if (other) assertServersFit(session.options, other)
    const seconds = body.limits?.max_queue_seconds
    const maxQueueMs = seconds == null ? null : seconds * 1000
    const patience = seconds === undefined || maxQueueMs === session.maxQueueMs ? null : { maxQueueMs }
    if (Object.keys(patch).length === 0 && !place && !options && !patience && !agent) return null
    const changed = {
      ...patch,
      ...place?.session,
      ...patience,
      ...(options && { options }),
      ...(agent && { agent }),
    }
    const updated = { ...session, ...changed }
    const told = {
      ...patch,
      ...place?.shown,
      ...(agent && other && { agent }),
      ...(agent && body.output_schema !== undefined && { output_schema: agent.output_schema ?? null }),
      ...((limits || patience) && { budget: budgetToWire(updated), limits: limitsToWire(updated) }),
      ...(kept && { retention: (await retentionOf(context.store, updated)).wire }),
    }
    const change: Decision = { session: changed, events: [newEvent('session.updated', null, at, told)] }
    const after = applyDecision(state, change)
    return limits && mayGoOn(after) ? mergeDecisions(change, goOn(after, at)) : change
  })
  return requireSession(context, sessionId)
}

function mergeMetadata(
  old: Record<string, string>,
  change: Record<string, string | null> | null | undefined,
): Record<string, string> {
  if (change === undefined) return old
  if (change === null) return {}
  const merged = new Map(Object.entries(old))
  for (const [key, value] of Object.entries(change))
    if (value === null) merged.delete(key)
    else merged.set(key, value)
  if (merged.size > 16)
    throw new ApiError('validation_failed', `metadata would have ${merged.size} pairs; at most 16 are kept.`, {
      errors: [{ pointer: '/metadata', code: 'too_big', detail: 'at most 16 pairs' }],
    })
  return Object.fromEntries(merged)
}

/** Keeps the history and takes no more input. Archiving twice is one archiving. Throws `session_running`. */
export async function archiveSession(context: SessionContext, sessionId: string): Promise<SessionRow> {
  await changeSession(context, sessionId, (state, at) => {
    const { session } = state
    const status = TRANSITIONS[session.status].archive
    if (status === null || session.holder !== null) throw running(session)
    if (session.archivedAt !== null) return null
    // A turn that waits for an answer, and those behind it, end with the session.
    let ended: Decision = {}
    for (const turn of state.openTurns.toReversed())
      ended = mergeDecisions(ended, endTurn(applyDecision(state, ended), turn, NEVER_STARTED, at))
    return mergeDecisions(ended, {
      session: { status, archivedAt: at, queuedAt: null },
      events: [newEvent('session.status_terminated', null, at, { reason: 'archived' })],
    })
  })
  return requireSession(context, sessionId)
}

/** Erases a session: log, turns, transcript, its own workdir and config dir. Throws `session_running`. */
export async function deleteSession(
  context: SessionContext,
  sessionId: string,
  idempotency: Idempotency | null = null,
): Promise<void> {
  await erase(context, sessionId, idempotency, () => true)
}

/**
 * Erases a session if `may` says so of it as it stands, whoever else changes it meanwhile. False: it stays, is at work,
 * or is not there.
 */
export async function deleteIf(
  context: SessionContext,
  sessionId: string,
  may: (session: SessionRow) => boolean | Promise<boolean>,
): Promise<boolean> {
  try {
    return await erase(context, sessionId, null, may)
  } catch (error) {
    // One that came to life meanwhile, or was deleted by another, is not ours to erase.
    if (error instanceof ApiError) return false
    throw error
  }
}

async function erase(
  context: SessionContext,
  sessionId: string,
  idempotency: Idempotency | null,
  may: (session: SessionRow) => boolean | Promise<boolean>,
): Promise<boolean> {
  let contents: string[] = []
  for (;;) {
    const session = await requireSession(context, sessionId)
    if (TRANSITIONS[session.status].delete === null || session.holder !== null) throw running(session)
    if (!(await may(session))) return false
    try {
      const effect = idempotency ? { ...idempotency, result: JSON.stringify({ session_id: sessionId }) } : undefined
      const { resources, outputs } = context.store
      const given = (await resources.list(sessionId)).map(({ fileId }) => fileId)
      contents = [...given, ...(await outputs.files(sessionId))]
      await context.log.deleteSession(sessionId, context.clock.now(), session.version, effect)
      break
    } catch (error) {
      if (error instanceof VersionConflict) continue
      if (!(error instanceof NoSuchSession)) throw error
    }
  }
  await removeUnneeded(context.files, contents)
  // A workdir the caller named is the caller's; only what the server made is removed.
  await removeFolders(context.settings.sessionsDir, sessionId).catch((error: NodeJS.ErrnoException) => {
    // The last process is still on its way out and writing; its run removes the rest when it has gone.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EBUSY') throw error
  })
  return true
}

const running = (session: SessionRow) =>
  new ApiError(
    'session_running',
    session.status === 'idle'
      ? `The agent of session ${session.id} is held for an answer; give it, or interrupt the session.`
      : `Session ${session.id} is ${session.status}; interrupt it and wait until it is idle.`,
  )

/** Sessions erased in one sweep, at most; a caller repeats until `matched` is 0. */
export const MAX_PRUNE = 10_000

/**
 * Erases sessions of a workspace (null: of all) that have not changed (or, for the origin API, ended) since `before`; not
 * those that are to be kept.
 */
export async function pruneSessions(
  context: SessionContext,
  workspaceId: string | null,
  before: number,
  statuses: ('idle' | 'terminated')[],
  dryRun: boolean,
  field: 'updated' | 'ended',
): Promise<{ matched: number; deleted: number }> {
  const ids = await context.store.findPrunable(workspaceId, before, statuses, MAX_PRUNE, field)
  let deleted = 0
  if (!dryRun)
    for (const id of ids) {
      const still = (session: SessionRow) =>
        !session.options.retention?.keep &&
        (statuses as string[]).includes(session.status) &&
        ((field === 'updated' ? session.updatedAt : session.endedAt) ?? Infinity) < before
      if (await deleteIf(context, id, still)) deleted++
    }
  return { matched: ids.length, deleted }
}
