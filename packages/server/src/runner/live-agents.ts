import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import type { Logger } from '../lib/logger.ts'
import type { Wakeups } from '../log/wakeups.ts'
import type { SessionContext } from '../sessions/context.ts'
import { removeFolders } from '../sessions/session-folders.ts'
import type { AgentProcess } from './agent-process.ts'
import type { Seat } from './seat.ts'
import { startedAs } from './started-as.ts'

/** An agent process between two runs of its session. */
export interface LiveAgent {
  agent: AgentProcess
  /** Who judges its calls; between two runs nobody, and none is allowed. */
  seat: Seat
  /** What it was started with, and cannot change any more. */
  startedAs: string
  /** Whether it has had a turn; one that has not is a spare that its session got. */
  used: boolean
}

export interface LiveOptions {
  /** Milliseconds that an agent is kept behind its turn; 0 keeps none. */
  restMs: number
  /** Kept at once, at most. */
  max: number
  /** Called when one begins to rest, and when it has gone or works again: its memory counts in between. */
  onRest(sessionId: string): void
  onLeft(sessionId: string): void
  /** Called when a process is gone: there is room again. */
  onGone(): void
}

interface Resting extends LiveAgent {
  timer: NodeJS.Timeout
  watch: AbortController
}

/** Messages that an agent with nothing to do does not send. */
const AT_WORK = new Set(['assistant', 'user', 'stream_event', 'result'])

/**
 * Keeps agents alive between the runs of their sessions, so that the next input meets one that has everything at hand
 * instead of one that must be started on its transcript. One rests until its session goes on, its time is over, its
 * memory is needed, its place is needed for another, its session is erased, archived or changed so that it would not
 * fit any more, or it works without having been asked to. The session loses nothing: its conversation is in the store.
 * Costs one process of 150–250 MB for each, a timer and a bell.
 */
export class LiveAgents {
  readonly #sessions: SessionContext
  readonly #wakeups: Wakeups
  readonly #options: LiveOptions
  readonly #logger: Logger
  /** By session; the one that has rested longest first. */
  readonly #resting = new Map<string, Resting>()
  readonly #leaving = new Map<string, Promise<void>>()

  constructor(sessions: SessionContext, wakeups: Wakeups, options: LiveOptions, logger: Logger) {
    this.#sessions = sessions
    this.#wakeups = wakeups
    this.#options = options
    this.#logger = logger
  }

  get size(): number {
    return this.#resting.size
  }

  /** Takes over the agent of a run that is over; it must be idle, with no input on its way. False: none is kept. */
  rest(sessionId: string, live: LiveAgent): boolean {
    if (this.#options.restMs === 0 || !live.agent.alive()) return false
    live.seat.leave()
    const timer = setTimeout(() => this.#drop(sessionId), this.#options.restMs)
    timer.unref()
    const resting: Resting = { ...live, timer, watch: new AbortController() }
    this.#resting.set(sessionId, resting)
    this.#options.onRest(sessionId)
    while (this.#resting.size > this.#options.max) this.#dropOldest()
    void this.#listen(sessionId, resting)
    void this.#follow(sessionId, resting)
    return true
  }

  /**
   * The session's agent, for the run that now has it; null where none rests. Waits for one that is on its way out: a
   * transcript has one writer at a time.
   */
  async take(sessionId: string): Promise<LiveAgent | null> {
    await this.#leaving.get(sessionId)
    const resting = this.#forget(sessionId)
    if (!resting) return null
    this.#options.onLeft(sessionId)
    const { agent, seat, startedAs, used } = resting
    return { agent, seat, startedAs, used }
  }

  /** Ends the one that has rested longest, for its memory, unless one is on its way out already. */
  makeRoom(): void {
    if (this.#leaving.size === 0) this.#dropOldest()
  }

  /** Ends all; resolves when they are gone. */
  async stop(): Promise<void> {
    for (const sessionId of this.#resting.keys()) this.#drop(sessionId)
    await Promise.all(this.#leaving.values())
  }

  #dropOldest(): void {
    const [oldest] = this.#resting.keys()
    if (oldest !== undefined) this.#drop(oldest)
  }

  #forget(sessionId: string): Resting | undefined {
    const resting = this.#resting.get(sessionId)
    if (!resting) return undefined
    this.#resting.delete(sessionId)
    clearTimeout(resting.timer)
    resting.watch.abort()
    return resting
  }

  #drop(sessionId: string): void {
    const resting = this.#forget(sessionId)
    if (resting) this.#end(sessionId, resting)
  }

  #end(sessionId: string, { agent, used }: LiveAgent): void {
    // One that never had anything to do has nothing to write down.
    if (!used) agent.kill()
    const gone = agent
      .stop()
      .then(() => this.#sweep(sessionId))
      .catch((err: unknown) => this.#logger.warn({ session: sessionId, err }, 'an agent at rest could not be ended'))
      .finally(() => {
        this.#leaving.delete(sessionId)
        this.#options.onLeft(sessionId)
        this.#options.onGone()
      })
    this.#leaving.set(sessionId, gone)
  }

  /** It may have written into the folder of a session that was erased while it was on its way out. */
  async #sweep(sessionId: string): Promise<void> {
    const { store, settings } = this.#sessions
    if (await store.isDeleted(sessionId)) await removeFolders(settings.sessionsDir, sessionId)
  }

  /** Ends it when it says that it works, or is gone. What it says otherwise is nobody's. */
  async #listen(sessionId: string, resting: Resting): Promise<void> {
    const { agent } = resting
    while (this.#resting.get(sessionId) === resting) {
      const { value, done } = await agent.peek()
      if (this.#resting.get(sessionId) !== resting) return
      if (done || AT_WORK.has((value as SDKMessage).type)) {
        if (!done) this.#logger.warn({ session: sessionId }, 'an agent at rest began to work by itself and was ended')
        agent.kill()
        return this.#drop(sessionId)
      }
      void agent.next()
    }
  }

  /** Ends it when its session is no more, takes nothing more, or has changed so that it would not fit any more. */
  async #follow(sessionId: string, resting: Resting): Promise<void> {
    const { signal } = resting.watch
    using wakeup = this.#wakeups.subscribe(sessionId)
    // The session of a spare is only about to be; that of another may have changed before the bell was heard here.
    for (let there = resting.used; !signal.aborted; there = true) {
      if (!there) await wakeup.next(signal)
      if (signal.aborted) return
      const session = await this.#sessions.store.readSession(sessionId).catch(() => null)
      if (signal.aborted) return
      if (!session || session.archivedAt !== null) return this.#drop(sessionId)
      // A spare is put off by the run that it does not fit: its end now would slow the start of the other.
      if (resting.used && startedAs(session) !== resting.startedAs) return this.#drop(sessionId)
      await wakeup.next(signal)
    }
  }
}
