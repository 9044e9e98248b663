import type { SessionError } from '@troupe/protocol/event'
import { RepositoryProblem } from '../repositories/clone.ts'
import { mountResources } from '../sessions/mount-resources.ts'
import { pendingWorktree } from '../sessions/worktree.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { NOTHING_USED } from './agent-account.ts'
import { makeWorktree } from './make-worktree.ts'
import { watchInbox } from './inbox.ts'
import type { EndedTurn } from './run-turn.ts'
import { repositoryFailed, serverRestarted, setupFailed } from './session-errors.ts'
import type { RunContext } from './run-context.ts'
import { pendingSetup, setUp, SetupProblem } from './set-up.ts'
import { brokenOff } from './turn-outcome.ts'

/**
 * Puts into a workdir what is to be there before the agent of a turn begins: a worktree, clones, files, what the setup makes. An
 * interrupt ends git or a command of the setup. Null: all is there, and its snapshot is taken. Rejects where the
 * disk refuses.
 */
export async function prepareWorkdir(
  context: RunContext,
  session: SessionRow,
  turn: TurnRow,
  lastSeq: number,
  ending: AbortSignal,
): Promise<EndedTurn | null> {
  const { sessions, snapshots } = context
  let mounting = false
  const mount = async (signal: AbortSignal) => {
    mounting = true
    await makeWorktree(context, session, turn, signal)
    await mountResources(sessions, session, signal)
    await setUp(context, session, turn, session.epoch, signal)
  }
  const before = (work: () => Promise<void>) => snapshots.before(session, turn.id, turn.resume !== null, ending, work)
  const slow =
    pendingWorktree(session) !== null ||
    pendingSetup(session).length > 0 ||
    (await sessions.store.repositories.list(session.id)).length > 0
  if (!slow) {
    // Of a server that ends, the turn itself says what becomes of it.
    await before(() => mount(ending))
    return null
  }
  const stop = new AbortController()
  const over = new AbortController()
  const interrupted = Promise.withResolvers<null>()
  const interrupt = () => {
    stop.abort()
    // Another session prepares the same folder, and this one has begun nothing in it.
    if (!mounting) interrupted.resolve(null)
  }
  const inbox = watchInbox(
    context,
    { interrupt: async () => interrupt(), kill: interrupt },
    {
      sessionId: session.id,
      epoch: session.epoch,
      turnId: turn.id,
      after: lastSeq,
      signal: over.signal,
      onInterrupt: () => undefined,
      onThreadInterrupt: () => undefined,
      // It lies in the log, and the agent is given it when it begins.
      onSteer: () => undefined,
    },
  )
  let error: SessionError | null = null
  try {
    const signal = AbortSignal.any([ending, stop.signal])
    const prepared = before(async () => {
      signal.throwIfAborted()
      await mount(signal)
    })
    prepared.catch(() => undefined)
    await Promise.race([prepared, interrupted.promise])
  } catch (problem) {
    const stopped = stop.signal.aborted || ending.aborted
    if (!stopped && !(problem instanceof RepositoryProblem || problem instanceof SetupProblem)) throw problem
    context.logger.warn({ session: session.id, err: problem }, 'a workdir could not be prepared')
    error = repositoryFailed(problem) ?? setupFailed(problem) ?? serverRestarted()
  } finally {
    over.abort()
    await inbox.ended
  }
  const used = turn.usage ? { usage: turn.usage, modelRequests: turn.modelRequests } : NOTHING_USED
  if (inbox.interrupted()) return { type: 'ended', outcome: brokenOff(null, used), last: null }
  if (error && ending.aborted) return { type: 'cut', outcome: brokenOff(serverRestarted(), used), last: null }
  return error && { type: 'ended', outcome: brokenOff(error, used), last: null }
}
