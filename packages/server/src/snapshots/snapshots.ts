import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { idToUuid } from '@troupe/protocol/ids'
import type { AgentUser } from '../lib/agent-user.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { SnapshotRow } from '../store/branches.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import type { Git } from './git.ts'
import { LIMITS, MAX_SNAPSHOT_MS, NoSnapshot, SMALL_LIMITS, type SnapshotLimits } from './limits.ts'
import { type ArchiveFormat, archiveFolder } from './archive.ts'
import { adoptStamps, assertRoom, copyFolder, copyRepository } from './copy.ts'
import { planRestore, restore, type RestorePlan } from './restore.ts'
import { scan } from './scan.ts'
import { takeSnapshot } from './take.ts'
import { WorkdirLock } from './workdir-lock.ts'

/** Which workdirs are kept: `auto` is a session's own, and a small one that the caller named. */
export type SnapshotMode = 'auto' | 'on' | 'off'

export interface SnapshotOptions {
  store: Store
  clock: Clock
  logger: Logger
  git: Git
  /** The search path to find other tools on. */
  searchPath: string | undefined
  /** Where sessions' own folders are. */
  sessionsDir: string
  /** For sessions that do not say. */
  mode: SnapshotMode
  /** Whose the workdirs are; null: the server's own user's. */
  user?: AgentUser | null
}

/** Milliseconds that a reader waits for the snapshot of a turn that has just ended. */
const MAX_SETTLE_MS = MAX_SNAPSHOT_MS + 5_000

/** The snapshots of workdirs: what a diff compares and a rewind restores. */
export class Snapshots {
  readonly #options: SnapshotOptions
  /** Whatever reads or writes a workdir as a whole holds its lock. */
  readonly lock = new WorkdirLock()
  /** Sessions in a turn, or whose turn's snapshot is still being taken. */
  readonly #open = new Map<string, PromiseWithResolvers<void>>()

  constructor(options: SnapshotOptions) {
    this.#options = options
  }

  get git(): Git {
    return this.#options.git
  }

  /** The shadow repository of a session: outside of the workdir, gone with the session. */
  gitDir(sessionId: string): string {
    return join(this.#options.sessionsDir, idToUuid(sessionId), 'snapshots')
  }

  /** How a session's workdir is kept; null: not at all. */
  limitsOf({ options }: Pick<SessionRow, 'options'>): SnapshotLimits | null {
    const mode = options.snapshots ?? this.#options.mode
    if (mode === 'off') return null
    return mode === 'on' || options.ownWorkdir ? LIMITS : SMALL_LIMITS
  }

  /**
   * Before the agent gets a turn: waits until nobody copies or restores the workdir, and notes how it stands where that
   * is not what the last snapshot says. `mount` puts in what is to be there. Rejects where that cannot be done, and where a rewind of the files
   * was begun and cannot be finished: the agent must not see half of it.
   */
  async before(
    session: SessionRow,
    turnId: string,
    resumed: boolean,
    signal: AbortSignal,
    mount: () => Promise<void>,
  ): Promise<void> {
    this.#open.get(session.id)?.resolve()
    this.#open.set(session.id, Promise.withResolvers())
    await this.lock.run(session.cwd, async () => {
      await this.finishRestore(session)
      await mount()
    })
    if (!resumed) await this.#quietly(session, () => this.take(session, turnId, 'before', session.lastSeq, signal))
  }

  /** After a turn: what it left. The next one waits for it, its answer does not. Never rejects. */
  async after(sessionId: string, turnId: string, signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    try {
      const [session, turn] = await Promise.all([store.readSession(sessionId), store.readTurn(sessionId, turnId)])
      if (session && turn?.endedAt != null)
        await this.#quietly(session, () => this.take(session, turnId, 'after', session.lastSeq, signal))
    } catch (err) {
      this.#options.logger.warn({ session: sessionId, err }, 'a snapshot could not be noted')
    } finally {
      this.left(sessionId)
    }
  }

  /** The run of a session is over: nobody waits for a snapshot of it any more. */
  left(sessionId: string): void {
    this.#open.get(sessionId)?.resolve()
    this.#open.delete(sessionId)
  }

  /** Resolves when the snapshot of a session's last turn is taken, if the session is not at work. */
  async settled(session: SessionRow): Promise<void> {
    const open = session.status === 'running' || session.status === 'rescheduling' ? null : this.#open.get(session.id)
    if (!open) return
    const patience = new AbortController()
    await Promise.race([
      open.promise,
      delay(MAX_SETTLE_MS, undefined, { signal: patience.signal }).catch(() => undefined),
    ])
    patience.abort()
  }

  /** The shadow repository of a session that is made of another one. */
  async copyRepository(from: string, to: string): Promise<void> {
    await copyRepository(this.gitDir(from), this.gitDir(to), this.#options.searchPath)
  }

  /** All of a session's workdir to another's, with what its newest snapshot knows of it. The caller has the lock. */
  async copyWorkdir(source: SessionRow, to: string, cwd: string): Promise<void> {
    const { searchPath, store, user = null } = this.#options
    await assertRoom(source.cwd, cwd, user)
    await copyFolder(source.cwd, cwd, searchPath, false, user)
    const newest = await store.branches.newestSnapshot(source.id)
    const limits = this.limitsOf(source)
    if (!newest?.commit || !limits) return
    const quiet = AbortSignal.timeout(MAX_SNAPSHOT_MS)
    try {
      const [original, copy] = await Promise.all([
        scan(source.cwd, limits, quiet, false, user),
        scan(cwd, limits, quiet, false, user),
      ])
      await adoptStamps(this.gitDir(to), newest.commit, original, copy)
    } catch (error) {
      // Then the first snapshot reads everything.
      if (!(error instanceof NoSnapshot)) throw error
    }
  }

  /** A workdir as it stands, as a commit of a session that is being made of `source`. */
  async commitOf(sessionId: string, cwd: string, source: SessionRow): Promise<string | null> {
    const newest = await this.#options.store.branches.newestSnapshot(source.id)
    const quiet = AbortSignal.timeout(MAX_SNAPSHOT_MS)
    const taken = await takeSnapshot(
      this.git,
      this.gitDir(sessionId),
      cwd,
      newest?.commit ?? null,
      LIMITS,
      quiet,
      this.#options.user,
    )
    return taken.commit
  }

  /** A folder as an archive. */
  archive(folder: string, format: ArchiveFormat): Readable {
    return archiveFolder(folder, format, this.#options.searchPath, this.#options.user)
  }

  planOf(sessionId: string, from: string | null, to: string | null): Promise<RestorePlan> {
    return planRestore(this.git, this.gitDir(sessionId), from, to)
  }

  /** Sets a workdir that stands as `from` says back to `to`. The caller has the lock. */
  async restoreTo(sessionId: string, cwd: string, from: string | null, to: string | null): Promise<RestorePlan> {
    const plan = await this.planOf(sessionId, from, to)
    await restore(this.git, this.gitDir(sessionId), cwd, plan, this.#options.user)
    return plan
  }

  /**
   * Sets the workdir back where a rewind has decided so and it is not done, or only half. Throws `NoSnapshot` and what
   * the disk refuses; then it is still to be done. The caller has the lock.
   */
  async finishRestore(session: SessionRow): Promise<void> {
    const { branches } = this.#options.store
    const [pending] = await branches.pendingRestores(session.id)
    if (!pending) return
    const now = await this.take(session, null, 'rewind', session.lastSeq, undefined, true)
    await this.restoreTo(session.id, session.cwd, now?.commit ?? null, pending.commit)
    await this.take(session, null, 'rewind', session.lastSeq, undefined, true)
    await branches.endRestore(session.id)
  }

  /**
   * Takes a snapshot and notes it; answers what was noted, or null where the session has none. A failure is noted too,
   * and thrown as `NoSnapshot`. `held`: the caller has the lock.
   */
  async take(
    session: SessionRow,
    turnId: string | null,
    moment: SnapshotRow['moment'],
    seq: number,
    signal: AbortSignal = new AbortController().signal,
    held = false,
  ): Promise<SnapshotRow | null> {
    // What is set back is looked at whatever the setting is now: half of it must not stay.
    const limits = this.limitsOf(session) ?? (moment === 'rewind' ? LIMITS : null)
    if (!limits) return null
    const work = () => this.#take(session, limits, turnId, moment, seq, signal)
    return held ? work() : this.lock.run(session.cwd, work)
  }

  async #take(
    session: SessionRow,
    limits: SnapshotLimits,
    turnId: string | null,
    moment: SnapshotRow['moment'],
    seq: number,
    signal: AbortSignal,
  ): Promise<SnapshotRow | null> {
    const { store, clock, git, user = null } = this.#options
    const last = await store.branches.lastSnapshot(session.id)
    // A folder that the caller named and that is not small is not looked through again for every turn.
    if (limits === SMALL_LIMITS && moment !== 'rewind' && last?.problem?.startsWith('too_many')) return last
    const parent = (await store.branches.newestSnapshot(session.id))?.commit ?? null
    const at = clock.now()
    const row = { sessionId: session.id, turnId, moment, seq, at, commit: null, problem: null, files: 0, bytes: 0 }
    const began = performance.now()
    const ms = () => Math.round(performance.now() - began)
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(MAX_SNAPSHOT_MS)])
      const taken = await takeSnapshot(git, this.gitDir(session.id), session.cwd, parent, limits, within, user)
      const noted = { ...row, ...taken, ms: ms() }
      const unchanged = moment === 'before' && last !== null && last.problem === null && last.commit === taken.commit
      if (!unchanged) await store.branches.addSnapshot(noted)
      return { ...noted, n: last?.n ?? 0 }
    } catch (error) {
      const problem = error instanceof NoSnapshot ? error.problem : 'failed'
      // The server ends: the next one looks again.
      if (!signal.aborted && !(moment === 'before' && last?.problem === problem))
        await store.branches.addSnapshot({ ...row, problem, ms: ms() })
      throw error
    }
  }

  async #quietly(session: SessionRow, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (err) {
      this.#options.logger.warn({ session: session.id, err }, 'a workdir could not be kept')
    }
  }
}
