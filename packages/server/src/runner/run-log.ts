import { setTimeout as delay } from 'node:timers/promises'
import { changeSession, type Decision, type SessionState } from '../sessions/change-session.ts'
import type { SessionChange } from '../store/session-change.ts'
import type { SessionRow } from '../store/session-row.ts'
import { StorageUnavailable } from '../store/errors.ts'
import type { RunContext } from './run-context.ts'

/** Milliseconds between two tries to write what must not be lost, at first and at most. */
const PAUSE_MS = 50
const MAX_PAUSE_MS = 2_000

/**
 * What one run writes of its session, fenced by the epoch of its claim: a run that another has taken over writes nothing
 * more and meets `StaleEpoch`. Remembers the newest event that the run has written.
 */
export class RunLog {
  readonly sessionId: string
  readonly epoch: number
  lastSeq: number
  readonly #context: RunContext
  readonly #ending: AbortSignal

  constructor(context: RunContext, claimed: SessionRow, ending: AbortSignal) {
    this.sessionId = claimed.id
    this.epoch = claimed.epoch
    this.lastSeq = claimed.lastSeq
    this.#context = context
    this.#ending = ending
  }

  now(): number {
    return this.#context.sessions.clock.now()
  }

  /** Writes what needs no look at the session first. */
  async commit(change: Omit<SessionChange, 'sessionId' | 'epoch'>): Promise<void> {
    const { sessionId, epoch } = this
    const { events } = await this.#context.sessions.log.commit({ ...change, sessionId, epoch })
    this.lastSeq = events.at(-1)?.seq ?? this.lastSeq
  }

  async change(decide: (state: SessionState, at: number) => Decision | null | Promise<Decision | null>): Promise<void> {
    const changed = await changeSession(this.#context.sessions, this.sessionId, async (state, at) => {
      const decision = await decide(state, at)
      return decision && { ...decision, epoch: this.epoch }
    })
    this.lastSeq = changed.committed.events.at(-1)?.seq ?? this.lastSeq
  }

  /** Tries until the store takes it: a turn's end must not be lost to a full disk. Gives up when the server ends. */
  async insist<T>(write: () => Promise<T>): Promise<T> {
    for (let pause = PAUSE_MS; ; pause = Math.min(pause * 2, MAX_PAUSE_MS))
      try {
        return await write()
      } catch (error) {
        if (!(error instanceof StorageUnavailable) || this.#ending.aborted) throw error
        this.#context.logger.error({ session: this.sessionId, err: error }, 'the end of a turn waits for the store')
        await delay(pause, undefined, { signal: this.#ending }).catch(() => undefined)
      }
  }
}
