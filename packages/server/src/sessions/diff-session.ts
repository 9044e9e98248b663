import type { Diff } from '@troupe/protocol/branch'
import { ApiError } from '@troupe/protocol/error'
import { iso } from '../log/wire.ts'
import { diffSnapshots, type FileState } from '../snapshots/diff.ts'
import { NoSnapshot } from '../snapshots/limits.ts'
import type { SnapshotRow } from '../store/branches.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'

/**
 * What a turn changed in the workdir, or the whole session: between the snapshot before and the one after. Waits for the
 * snapshot of a turn that has just ended. Throws `turn_not_found`, `turn_not_ended`, `snapshot_not_found` and
 * `snapshots_unavailable`.
 */
export async function diffSession(context: SessionContext, sessionId: string, turnId: string | null): Promise<Diff> {
  const { store, snapshots } = context
  const session = await requireSession(context, sessionId)
  if (turnId !== null && !(await store.readTurn(sessionId, turnId)))
    throw new ApiError('turn_not_found', `Session ${sessionId} has no turn ${turnId}.`)
  await snapshots.settled(session)
  const turn = turnId === null ? null : await store.readTurn(sessionId, turnId)
  const [from, to] = turn ? await aroundTurn(context, session, turn) : await wholeSession(context, session)
  const found = await asApiError(() =>
    diffSnapshots(snapshots.git, snapshots.gitDir(sessionId), from.commit, to.commit),
  )
  return {
    type: 'diff',
    session_id: sessionId,
    turn_id: turnId,
    from: iso(from.at),
    to: iso(to.at),
    files: found.files.map((file) => ({
      path: file.path,
      status: file.status,
      previous_path: file.previousPath,
      before: stateToWire(file.before),
      after: stateToWire(file.after),
      additions: file.additions,
      deletions: file.deletions,
      binary: file.binary,
      patch: file.patch,
      patch_truncated: file.patchCut,
    })),
    files_changed: found.changed,
    additions: found.additions,
    deletions: found.deletions,
    truncated: found.truncated,
  }
}

const stateToWire = (state: FileState | null) =>
  state && { size: state.size, mode: state.mode.toString(8).padStart(4, '0'), hash: `sha1:${state.oid}` }

async function wholeSession({ store }: SessionContext, session: SessionRow): Promise<[SnapshotRow, SnapshotRow]> {
  const first = await store.branches.snapshotAfter(session.id, 0)
  const last = await store.branches.lastSnapshot(session.id)
  if (!first || !last || last.problem !== null) throw noSnapshot(last, session, 'the last turn')
  return [first, last]
}

async function aroundTurn(context: SessionContext, session: SessionRow, turn: TurnRow) {
  if (turn.endedAt === null)
    throw new ApiError('turn_not_ended', `Turn ${turn.id} has not ended; what it changed is known then.`)
  const [before, after] = await Promise.all([filesBefore(context, turn), filesAfter(context, turn)])
  if (!before || !after) {
    const { branches } = context.store
    const said = await branches.snapshotOf(session.id, turn.id, 'after')
    throw noSnapshot(said, session, `turn ${turn.id}`)
  }
  return [before, after] as const
}

/** How the workdir stood when a turn began; null: not known. */
export async function filesBefore({ store }: SessionContext, turn: TurnRow): Promise<SnapshotRow | null> {
  const { branches } = store
  const noted = await branches.snapshotOf(turn.sessionId, turn.id, 'before')
  if (noted) return noted.problem === null ? noted : null
  const started = await eventSeq(store, turn, 'turn.started')
  return started === null ? null : branches.snapshotBefore(turn.sessionId, started)
}

/** How the workdir stood when a turn had ended; where that was not noted, when the next one began. */
export async function filesAfter({ store }: SessionContext, turn: TurnRow): Promise<SnapshotRow | null> {
  const { branches } = store
  const noted = await branches.snapshotOf(turn.sessionId, turn.id, 'after')
  if (noted) return noted.problem === null ? noted : null
  const ended = await eventSeq(store, turn, `turn.${turn.status}`)
  return ended === null ? null : branches.snapshotAfter(turn.sessionId, ended)
}

async function eventSeq(store: SessionContext['store'], turn: TurnRow, type: string): Promise<number | null> {
  const { rows } = await store.listEvents(turn.sessionId, { turnId: turn.id, types: [type] }, 'asc', 1)
  return rows[0]?.seq ?? null
}

const REASONS: Record<string, string> = {
  git_missing: 'git is not installed on the machine of the server',
  too_many_files: 'the workdir has more files than are kept',
  too_many_bytes: 'the workdir has more bytes than are kept',
  too_slow: 'it took too long',
  workdir_missing: 'the workdir was not there',
  failed: 'it failed; the log of the server has the details',
}

function noSnapshot(last: SnapshotRow | null, session: SessionRow, what: string): ApiError {
  const problem = last?.problem ?? null
  if (problem === 'git_missing') return gitMissing()
  const why =
    problem !== null
      ? REASONS[problem]
      : session.options.snapshots === 'off'
        ? 'its snapshots are off'
        : 'none was taken yet, or its server ended before it was'
  return new ApiError('snapshot_not_found', `Of ${what} of session ${session.id} there is no snapshot: ${why}.`)
}

const gitMissing = () =>
  new ApiError('snapshots_unavailable', 'git is not installed on the machine of the server; diff and rewind need it.')

/** What went wrong with a snapshot, in the API's words. */
export async function asApiError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof NoSnapshot)) throw error
    if (error.problem === 'git_missing') throw gitMissing()
    throw new ApiError('snapshots_unavailable', `${error.message} (${error.problem})`, { cause: error })
  }
}
