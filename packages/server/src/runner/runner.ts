import { newId } from '@troupe/protocol/ids'
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Service } from '../lib/service.ts'
import { DISPATCH } from '../log/wakeups.ts'
import { sessionPaths } from '../sessions/admission.ts'
import { changeSession } from '../sessions/change-session.ts'
import { accountOfCut } from '../sessions/cut-account.ts'
import { endTurn, type TurnOutcome } from '../sessions/end-turn.ts'
import type { SessionRow } from '../store/store.ts'
import { serverRestarted } from './session-errors.ts'
import { type RunContext, runSession } from './session-run.ts'

export interface RunnerOptions {
  /** Sessions that run at once. */
  slots: number
  /** Milliseconds a running turn is given to end when the server stops. */
  drainMs: number
}

/** How long a claim holds without being renewed, and how often it is, in ms. */
const LEASE_MS = 30_000
const RENEW_MS = 10_000
/** Behind every wake-up stands a slow look, in ms. */
const POLL_MS = 2_000

/** Takes waiting sessions while it has slots, oldest first, and runs them. */
export class Runner implements Service {
  readonly #context: RunContext
  readonly #options: RunnerOptions
  readonly #holder = newId('node')
  readonly #runs = new Map<string, Promise<void>>()
  readonly #draining = new AbortController()
  readonly #ending = new AbortController()
  #loops: Promise<unknown> = Promise.resolve()
  #used = 0

  constructor(context: RunContext, options: RunnerOptions) {
    this.#context = context
    this.#options = options
  }

  /** Slots and how many of them are taken. */
  get slots(): { max: number; used: number } {
    return { max: this.#options.slots, used: this.#used }
  }

  /** Ends what a dead server left behind, then starts to take sessions. */
  async start(): Promise<void> {
    const reaped = this.#context.agent.pidFiles.reap()
    if (reaped > 0) this.#context.logger.warn({ reaped }, 'ended agents that had outlived their server')
    await this.#reconcile()
    this.#loops = Promise.all([this.#dispatch(), this.#renew()])
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
    await this.#loops
  }

  /** No session stays running for ever: whoever held it is dead, because the data folder is ours alone. */
  async #reconcile(): Promise<void> {
    const { sessions, logger } = this.#context
    for (const id of await sessions.store.findHeld()) {
      const seized = await sessions.store.seize(id, this.#holder, sessions.clock.now() + LEASE_MS)
      if (!seized) continue
      await changeSession(sessions, id, async (state, at) => {
        const cut = state.openTurns.find((turn) => turn.status !== 'queued')
        const waiting = state.openTurns.length - (cut ? 1 : 0)
        const ended = cut
          ? endTurn(
              state,
              cut,
              { ...CUT, ...(await accountOfCut(sessions.store, state, cut, at)), activeUntil: state.session.updatedAt },
              at,
            )
          : { session: {} }
        const released = { holder: null, leaseUntil: null }
        // At its budget a session stands still, whatever waits.
        if (waiting > 0 && ended.session?.status !== 'idle')
          return { ...ended, session: { ...ended.session, ...released, queuedAt: at } }
        // Work without a turn cannot be; say idle rather than run for ever.
        const idle =
          cut || state.session.status === 'idle' || state.session.status === 'terminated'
            ? {}
            : { status: 'idle' as const }
        return { ...ended, session: { ...ended.session, ...released, ...idle } }
      })
      logger.info({ session: id }, 'reconciled a session that was running when the server died')
    }
  }

  async #dispatch(): Promise<void> {
    using wakeup = this.#context.wakeups.subscribe(DISPATCH)
    const { store, clock } = this.#context.sessions
    const { signal } = this.#draining
    while (!signal.aborted) {
      try {
        while (this.#used < this.#options.slots && !signal.aborted) {
          const claimed = await store.claimNext(this.#holder, clock.now(), clock.now() + LEASE_MS)
          if (!claimed) break
          this.#take(claimed)
        }
      } catch (error) {
        this.#context.logger.error({ err: error }, 'no session could be taken')
      }
      await wakeup.next(AbortSignal.any([signal, AbortSignal.timeout(POLL_MS)]))
    }
  }

  #take(claimed: SessionRow): void {
    this.#used++
    // The last run's process may still be on its way out; a transcript has one writer at a time.
    const before = this.#runs.get(claimed.id) ?? Promise.resolve()
    const run = before
      .then(() => runSession(this.#context, claimed, this.#draining.signal, this.#ending.signal))
      .then(() => this.#sweepErased(claimed.id))
      .catch((error: unknown) => this.#context.logger.error({ session: claimed.id, err: error }, 'a run ended badly'))
      .finally(() => {
        this.#used--
        if (this.#runs.get(claimed.id) === run) this.#runs.delete(claimed.id)
        this.#context.wakeups.ring(DISPATCH)
      })
    this.#runs.set(claimed.id, run)
  }

  /** A session may be erased while its last process is still on its way out and writing. */
  async #sweepErased(id: string): Promise<void> {
    const { store, settings } = this.#context.sessions
    if (await store.isDeleted(id))
      await rm(sessionPaths(settings.sessionsDir, id).root, { recursive: true, force: true })
  }

  async #renew(): Promise<void> {
    const { store, clock } = this.#context.sessions
    const { signal } = this.#ending
    while (!signal.aborted) {
      await delay(RENEW_MS, undefined, { signal }).catch(() => undefined)
      if (this.#used > 0 && !signal.aborted)
        await store.renewLeases(this.#holder, clock.now() + LEASE_MS).catch((error: unknown) => {
          this.#context.logger.error({ err: error }, 'leases could not be renewed')
        })
    }
  }
}

/** A turn whose server died. */
const CUT: TurnOutcome = {
  status: 'failed',
  stopReason: { type: 'retries_exhausted' },
  error: serverRestarted(),
  text: null,
  structured: null,
  usage: null,
  modelRequests: null,
}
