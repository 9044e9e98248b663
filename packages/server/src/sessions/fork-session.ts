import type { ForkSession } from '@troupe/protocol/branch'
import { ApiError } from '@troupe/protocol/error'
import { idToUuid, newId } from '@troupe/protocol/ids'
import { mkdir } from 'node:fs/promises'
import type { Snapshots } from '../snapshots/snapshots.ts'
import { NO_USAGE } from '../store/usage.ts'
import type { SessionRow } from '../store/session-row.ts'
import { assertCanRun, sessionPaths } from './admission.ts'
import { type BranchPoint, branchPoint } from './branch-point.ts'
import type { Caller } from './caller.ts'
import { requireSession } from './change-session.ts'
import { assertCanConfine } from './confined-agent.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { asApiError } from './diff-session.ts'
import { sessionWithin } from './key-policy.ts'
import { newEvent } from './new-event.ts'
import { copiedWorktree } from './worktree.ts'
import { makeWorkdir, removeFolders } from './session-folders.ts'
import { forkedRepositories } from './session-repositories.ts'
import { transcriptRewriter } from './rewrite-transcript.ts'

/** What of a session may be copied in one step: the store does nothing else meanwhile. */
const MAX_EVENTS = 50_000
const MAX_TRANSCRIPT_CHARS = 64 * 2 ** 20

/**
 * Makes a new session that goes on where another one stood: with its history, its conversation and its files. The
 * other one is not changed. Throws what `branchPoint` throws, `session_running` where the workdir is being worked in and
 * no snapshot can stand for it, `session_too_large`, `snapshot_not_found`, `snapshots_unavailable`.
 */
export async function forkSession(
  context: SessionContext,
  caller: Caller,
  sourceId: string,
  body: ForkSession,
  idempotency: Idempotency | null,
): Promise<SessionRow> {
  const { store, snapshots, settings } = context
  const asked = await requireSession(context, sourceId)
  const share = body.files === 'share'
  assertCanRun(settings, asked.agent.permission_mode)
  await assertCanConfine(asked.options, settings)
  // Before anything is copied; what its row is made of is looked at once more.
  await sessionWithin(
    caller,
    share ? asked : { ...asked, options: { ...asked.options, ownWorkdir: true } },
    settings.defaultModel,
  )
  await snapshots.settled(asked)
  const id = newId('sesn')
  const { root } = sessionPaths(settings.sessionsDir, id)
  try {
    return await snapshots.lock.run(asked.cwd, async () => {
      // As it is now that nobody else copies or restores the workdir: a turn that begins waits for the lock.
      const source = await requireSession(context, sourceId)
      const point = await branchPoint(context, source, body.at_event_id ?? null)
      const size = await store.branches.sizeOf(sourceId, point.seq)
      if (size.events > MAX_EVENTS || size.transcript > MAX_TRANSCRIPT_CHARS)
        throw new ApiError(
          'session_too_large',
          `Session ${sourceId} has ${size.events} events and ${size.transcript} characters of transcript before that; at most ${MAX_EVENTS} and ${MAX_TRANSCRIPT_CHARS} are forked.`,
        )
      const cwd = share ? source.cwd : await makeWorkdir(settings.sessionsDir, id, source.options, settings.agentUser)
      await mkdir(root, { recursive: true, mode: 0o700 })
      const files = share
        ? { files: 'share', not_restored: [] }
        : await asApiError(() => copyFiles(context, source, id, cwd, point))
      const worktree = share ? {} : await copiedWorktree(source, cwd)
      const at = context.clock.now()
      const fork = forkOf(source, caller, id, cwd, body, point, at)
      const row = await sessionWithin(
        caller,
        { ...fork, options: { ...fork.options, ...worktree } },
        settings.defaultModel,
      )
      await store.branches.createFork(row, await forkPlan(context, source, row, point), {
        sessionId: id,
        at,
        session: {},
        repositories: { add: forkedRepositories(await store.repositories.list(sourceId), id) },
        newResources: (await store.resources.list(sourceId)).map((each) => ({
          ...each,
          id: newId('sesrsc'),
          sessionId: id,
        })),
        events: [
          newEvent('session.forked', null, at, {
            forked_from: row.options.forkedFrom,
            turn_id: point.last?.id ?? null,
            cwd,
            ...files,
          }),
        ],
        ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ session_id: id }) } }),
      })
      return requireSession(context, id)
    })
  } catch (error) {
    if (!(await store.hasSession(id))) await removeFolders(settings.sessionsDir, id)
    throw error
  }
}

/** The workdir of a fork: all of the other one's, set back where it goes on from earlier. */
async function copyFiles(
  { snapshots }: SessionContext,
  source: SessionRow,
  id: string,
  cwd: string,
  point: BranchPoint,
): Promise<{ files: 'copy' | 'snapshot'; not_restored: string[] }> {
  await snapshots.copyRepository(source.id, id)
  const working = source.status === 'running' || source.status === 'rescheduling'
  if (point.atEnd && !working) {
    await snapshots.copyWorkdir(source, id, cwd)
    return { files: 'copy', not_restored: [] }
  }
  const then = await point.files()
  if (!then)
    throw new ApiError(
      'snapshot_not_found',
      `How the workdir of session ${source.id} stood then was not kept; fork it with "files": "share", or where it stands now.`,
    )
  // While an agent works in it nothing but a snapshot is whole.
  if (!working) await snapshots.copyWorkdir(source, id, cwd)
  const from = working ? null : await commitNow(snapshots, id, cwd, source)
  const { lost } = await snapshots.restoreTo(id, cwd, from, then.commit)
  return { files: working ? 'snapshot' : 'copy', not_restored: lost.slice(0, 100) }
}

/** What was just copied, as a snapshot in the fork's own repository. */
async function commitNow(snapshots: Snapshots, id: string, cwd: string, source: SessionRow): Promise<string | null> {
  return snapshots.commitOf(id, cwd, source)
}

function forkOf(
  source: SessionRow,
  caller: Caller,
  id: string,
  cwd: string,
  body: ForkSession,
  { last, kept }: BranchPoint,
  at: number,
): SessionRow {
  // What its setup left in the home is not copied, so it runs for the fork too.
  const {
    rewinds: _,
    deploymentId: _deployment,
    setUp: _setUp,
    worktree: _worktree,
    worktreeFrom: _from,
    ...options
  } = source.options
  return {
    ...source,
    id,
    status: 'idle',
    version: 0,
    lastSeq: 0,
    messageCount: 0,
    epoch: 0,
    holder: null,
    leaseUntil: null,
    queuedAt: null,
    currentTurnId: null,
    principal: caller.principal,
    workspaceId: caller.workspaceId,
    cwd,
    options: {
      ...options,
      ownWorkdir: body.files !== 'share',
      forkedFrom: { session_id: source.id, event_id: body.at_event_id ?? null },
    },
    title: body.title === undefined ? source.title : body.title,
    metadata: body.metadata ?? source.metadata,
    externalId: null,
    turnCount: kept.length === 0 ? 0 : source.turnCount,
    lastTurnStatus: last?.status ?? null,
    stopReason: last?.stopReason ?? null,
    lastError: last?.error ?? null,
    result: null,
    originResult: null,
    usage: NO_USAGE,
    sdkTotals: {},
    cachePrefix: null,
    context: null,
    activeMs: 0,
    startedAt: last?.startedAt ?? null,
    endedAt: last?.endedAt ?? null,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
  }
}

async function forkPlan({ store }: SessionContext, source: SessionRow, fork: SessionRow, point: BranchPoint) {
  const turnIds = new Map(point.kept.map((turnId) => [turnId, newId('turn')]))
  const threadIds = new Map<string, string>()
  let after: { at: number; id: string } | null = null
  for (;;) {
    const { rows, more } = await store.listThreads(source.id, undefined, 'asc', 1_000, after)
    for (const row of rows) if (row.turnId !== null && turnIds.has(row.turnId)) threadIds.set(row.id, newId('sthr'))
    const last = rows.at(-1)
    if (!more || !last) break
    after = { at: last.createdAt, id: last.id }
  }
  const { last } = point
  if (last && (last.output || last.status === 'failed'))
    fork.result = {
      turn_id: turnIds.get(last.id)!,
      text: last.output?.text ?? null,
      structured: last.output?.structured ?? null,
      is_error: last.status === 'failed',
    }
  return {
    from: source.id,
    seq: point.seq,
    turnIds,
    threadIds,
    dropped: point.dropped,
    rewrite: transcriptRewriter([
      [source.cwd, fork.cwd],
      [idToUuid(source.id), idToUuid(fork.id)],
    ]),
  }
}
