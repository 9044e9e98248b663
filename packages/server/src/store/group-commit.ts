import type { Database, Statement } from 'better-sqlite3'
import { setTimeout as delay } from 'node:timers/promises'
import { StorageUnavailable } from './errors.ts'

interface Job<T = unknown> {
  run: () => T
  resolve: (value: T) => void
  reject: (error: unknown) => void
}

/** Jobs in one transaction, at most: bounds how long the event loop stands still for one flush. */
const MAX_BATCH = 256
/** How long a lock held by another process is waited for, in ms, before a write is refused. */
const LOCK_PATIENCE_MS = 5_000

/**
 * Writes share flushes: all jobs that arrive while the loop is busy or a flush runs go into the next transaction, and
 * each promise resolves after that transaction's fsync. There is no timer, so a lone write waits for nothing. Each job
 * has a savepoint of its own: one that throws takes nothing of the others with it.
 */
export class GroupCommit {
  readonly #db: Database
  readonly #savepoint: Statement
  readonly #release: Statement
  readonly #bind: <T>(run: () => T) => () => T
  #jobs: Job[] = []
  #flushing: Promise<void> | null = null

  /** `bind` takes each job, when it is given, and may put something around it. */
  constructor(db: Database, bind: <T>(run: () => T) => () => T = (run) => run) {
    this.#db = db
    this.#bind = bind
    this.#savepoint = db.prepare('savepoint job')
    this.#release = db.prepare('release job')
  }

  /** Runs `run` inside the next transaction. `run` must be synchronous and may throw to undo what it wrote. */
  write<T>(run: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#jobs.push({ run: this.#bind(run), resolve: resolve as (value: unknown) => void, reject })
    this.#flushing ??= this.#flushLoop()
    return promise
  }

  /** Resolves when everything written so far is on disk or refused. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing
  }

  async #flushLoop(): Promise<void> {
    while (this.#jobs.length > 0) {
      // Everything the loop has ready joins this batch.
      await new Promise<void>((resolve) => setImmediate(resolve))
      await this.#flush(this.#jobs.splice(0, MAX_BATCH))
    }
    // In the same step as the last look, or a write in between would wait for ever.
    this.#flushing = null
  }

  async #flush(batch: Job[]): Promise<void> {
    const begun = await this.#begin()
    if (begun !== true) {
      for (const job of batch) job.reject(begun)
      return
    }
    const outcomes: (() => void)[] = []
    try {
      for (const job of batch) outcomes.push(this.#runJob(job))
      this.#db.exec('commit')
    } catch (cause) {
      if (this.#db.inTransaction) this.#db.exec('rollback')
      // One job may have filled the disk for all: give each its own chance.
      if (batch.length > 1) for (const job of batch) await this.#flush([job])
      else batch[0]!.reject(storageError(cause))
      return
    }
    for (const settle of outcomes) settle()
  }

  /** Runs one job; throws only when the transaction itself is lost. */
  #runJob(job: Job): () => void {
    this.#savepoint.run()
    try {
      const value = job.run()
      this.#release.run()
      return () => job.resolve(value)
    } catch (error) {
      if (isStorageFailure(error) || !this.#db.inTransaction) throw error
      this.#db.exec('rollback to job')
      this.#release.run()
      return () => job.reject(error)
    }
  }

  /** SQLite's own busy wait would block the event loop, so it is off and the waiting happens here. */
  async #begin(): Promise<true | StorageUnavailable> {
    const started = performance.now()
    for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
      try {
        this.#db.exec('begin immediate')
        return true
      } catch (cause) {
        if (!isCode(cause, 'SQLITE_BUSY') || performance.now() - started > LOCK_PATIENCE_MS) return storageError(cause)
      }
      await delay(pause)
    }
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith(code)

const isStorageFailure = (error: unknown): boolean =>
  ['SQLITE_FULL', 'SQLITE_IOERR', 'SQLITE_CORRUPT', 'SQLITE_READONLY', 'SQLITE_CANTOPEN'].some((code) =>
    isCode(error, code),
  )

function storageError(cause: unknown): StorageUnavailable {
  if (isCode(cause, 'SQLITE_FULL')) return new StorageUnavailable('disk_full', cause)
  if (isCode(cause, 'SQLITE_BUSY')) return new StorageUnavailable('locked', cause)
  return new StorageUnavailable('io', cause)
}
