import { newId } from '@troupe/protocol/ids'
import { setTimeout as delay } from 'node:timers/promises'
import type { Service } from '../lib/service.ts'
import { DISPATCH } from '../log/wakeups.ts'
import { removeFolders } from '../sessions/session-folders.ts'
import { expireApproval } from '../sessions/decide-approval.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Admission } from '../sessions/queue-status.ts'
import { endOverdue } from '../sessions/queue-timeout.ts'
import { Gate, type Pass } from './gate.ts'
import { LiveAgents } from './live-agents.ts'
import { MemoryBudget } from './memory-budget.ts'
import { meterMemory } from './memory-meter.ts'
import { reconcileSession } from './recovery.ts'
import { Spares } from './spares.ts'
import type { RunContext } from './run-context.ts'
import { runSession } from './session-run.ts'

export interface RunnerOptions {
  /** Sessions that run at once. */
  slots: number
  /** Bytes that agents and what they start may take before no further one is started. */
  memoryBytes: number
  /** Milliseconds that an agent is kept behind its turn; 0: it ends with the turn. */
  restMs: number
  /** Agents that are kept so, at most. */
  maxResting: number
  /** Agents started before their session, at most. */
  spares: number
  /** Milliseconds a running turn is given to end when the server stops. */
  drainMs: number
}

/** How long a claim holds without being renewed, and how often it is, in ms. */
const LEASE_MS = 30_000
const RENEW_MS = 10_000
/** Behind every wake-up stands a slow look, in ms. */
const POLL_MS = 2_000
/** Deadlines seen to at once. */
const MAX_EXPIRED = 100

/** Takes waiting sessions while there are slots and memory, and runs them. */
export class Runner implements Service {
  readonly #context: RunContext
  readonly #options: RunnerOptions
  readonly #holder = newId('node')
  readonly #runs = new Map<string, Promise<void>>()
  readonly #draining = new AbortController()
  readonly #ending = new AbortController()
  readonly #memory: MemoryBudget
  readonly #gate: Gate
  #loops: Promise<unknown> = Promise.resolve()

  readonly #live: LiveAgents
  readonly #spares: Spares

  constructor(context: Omit<RunContext, 'live' | 'begun'>, options: RunnerOptions) {
    const { sessions, wakeups, logger } = context
    const { settings, clock } = sessions
    const memory = new MemoryBudget(options.memoryBytes)
    this.#live = new LiveAgents(
      sessions,
      wakeups,
      {
        restMs: options.restMs,
        max: options.maxResting,
        onRest: (sessionId) => memory.rest(sessionId, clock.now()),
        onLeft: (sessionId) => memory.leave(sessionId),
        onGone: () => wakeups.ring(DISPATCH),
      },
      logger,
    )
    this.#context = { ...context, live: this.#live, begun: (session) => this.#spares.begun(session) }
    this.#spares = new Spares(this.#context, {
      max: options.restMs === 0 ? 0 : options.spares,
      keepMs: options.restMs,
      mayStart: async () => {
        const room = memory.fits(clock.now()) && this.#gate.used < options.slots && !this.#draining.signal.aborted
        return room && (await sessions.store.queueDepth()) === 0
      },
      onThere: (sessionId) => memory.rest(sessionId, clock.now()),
      onGone: (sessionId) => {
        memory.leave(sessionId)
        wakeups.ring(DISPATCH)
      },
    })
    this.#options = options
    this.#memory = memory
    const limits = { slots: options.slots, perKey: settings.maxRunningPerKey }
    this.#gate = new Gate(limits, memory, context.backoff, clock, () => {
      if (!this.#spares.makeRoom()) this.#live.makeRoom()
    })
  }

  /** What there is to give, and what keeps the next session. */
  get admission(): Admission {
    return this.#gate.admission
  }

  /** Agents that are kept between two turns. */
  get resting(): number {
    return this.#live.size
  }

  /** Agents that wait for a session. */
  get spares(): Spares {
    return this.#spares
  }

  /** Ends what a dead server left behind, then starts to take sessions. */
  async start(): Promise<void> {
    const reaped = this.#context.agent.pidFiles.reap()
    if (reaped > 0) this.#context.logger.warn({ reaped }, 'ended agents that had outlived their server')
    await this.#reconcile()
    const { wakeups, agent } = this.#context
    const look = () => wakeups.ring(DISPATCH)
    const metering = meterMemory(this.#memory, () => agent.pidFiles.live, look, this.#ending.signal)
    this.#loops = Promise.all([this.#dispatch(), this.#renew(), metering])
  }

  /** Takes nothing new; running turns may end by themselves within `drainMs`, then are ended. */
  async stop(): Promise<void> {
    this.#draining.abort()
    const all = Promise.all(this.#runs.values())
    const patience = new AbortController()
    await Promise.race([
      all,
      delay(this.#options.drainMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ])
    patience.abort()
    this.#ending.abort()
    await all
    await Promise.all([this.#live.stop(), this.#spares.stop()])
    await this.#loops
  }

  /** No session stays running for ever: whoever held it is dead, because the data folder is ours alone. */
  async #reconcile(): Promise<void> {
    const { sessions, logger } = this.#context
    for (const id of await sessions.store.findHeld()) {
      const seized = await sessions.store.seize(id, this.#holder, sessions.clock.now() + LEASE_MS)
      if (!seized) continue
      await reconcileSession(sessions, id)
      logger.info({ session: id }, 'reconciled a session that was running when the server died')
    }
  }

  async #dispatch(): Promise<void> {
    using wakeup = this.#context.wakeups.subscribe(DISPATCH)
    const { sessions, logger } = this.#context
    const { signal } = this.#draining
    while (!signal.aborted) {
      let pause = POLL_MS
      try {
        await this.#expire()
        const overdue = await endOverdue(sessions)
        while (!signal.aborted && (await this.#takeNext()));
        this.#spares.tend()
        pause = Math.min(pause, this.#gate.waitMs() ?? pause, Math.max(0, (overdue ?? Infinity) - sessions.clock.now()))
      } catch (error) {
        logger.error({ err: error }, 'no session could be taken')
      }
      await wakeup.next(AbortSignal.any([signal, AbortSignal.timeout(pause)]))
    }
  }

  /** Approvals whose deadline has passed; looked at with every poll, so at most that much too late. */
  async #expire(): Promise<void> {
    const { sessions, logger } = this.#context
    for (const row of await sessions.store.approvals.overdue(sessions.clock.now(), MAX_EXPIRED))
      await expireApproval(sessions, row).catch((err: unknown) =>
        logger.error(
          { session: row.sessionId, approval: row.id, err },
          'an approval could not be closed at its deadline',
        ),
      )
  }

  /** Takes the session that is next. False when there is none, or nothing to run it with. */
  async #takeNext(): Promise<boolean> {
    const { store, clock } = this.#context.sessions
    const pass = (await store.queueDepth()) > 0 ? this.#gate.pass() : null
    if (!pass) return false
    const claimed = await store
      .claimNext(this.#holder, clock.now(), clock.now() + LEASE_MS, this.#gate.limits)
      .catch((error: unknown) => {
        pass.release()
        throw error
      })
    if (claimed) this.#take(claimed, pass)
    else pass.release()
    return claimed !== null
  }

  #take(claimed: SessionRow, pass: Pass): void {
    pass.assign(claimed.id)
    // The last run's process may still be on its way out; a transcript has one writer at a time.
    const before = this.#runs.get(claimed.id) ?? Promise.resolve()
    const run = before
      .then(() => runSession(this.#context, claimed, this.#draining.signal, this.#ending.signal))
      .then(() => this.#sweepErased(claimed.id))
      .catch((error: unknown) => this.#context.logger.error({ session: claimed.id, err: error }, 'a run ended badly'))
      .finally(() => {
        pass.release()
        if (this.#runs.get(claimed.id) === run) this.#runs.delete(claimed.id)
        this.#context.wakeups.ring(DISPATCH)
      })
    this.#runs.set(claimed.id, run)
  }

  /** A session may be erased while its last process is still on its way out and writing. */
  async #sweepErased(id: string): Promise<void> {
    const { store, settings } = this.#context.sessions
    if (await store.isDeleted(id)) await removeFolders(settings.sessionsDir, id)
  }

  async #renew(): Promise<void> {
    const { store, clock } = this.#context.sessions
    const { signal } = this.#ending
    while (!signal.aborted) {
      await delay(RENEW_MS, undefined, { signal }).catch(() => undefined)
      if (this.#gate.used > 0 && !signal.aborted)
        await store.renewLeases(this.#holder, clock.now() + LEASE_MS).catch((error: unknown) => {
          this.#context.logger.error({ err: error }, 'leases could not be renewed')
        })
    }
  }
}
