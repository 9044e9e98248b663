import { newId } from '@troupe/protocol/ids'
import type { Service } from '../lib/service.ts'
import { OUTBOX, type Wakeups } from '../log/wakeups.ts'
import type { DeliveryRow } from '../store/webhooks.ts'
import { attempt, type AttemptParts } from './attempt.ts'
import { fanOut } from './fan-out.ts'

export interface DelivererParts extends AttemptParts {
  wakeups: Wakeups
  /** When the server stops, requests under way are given this long, in ms; what is cut is sent again. Default 3,000. */
  stopMs?: number
}

/** Requests at once to one endpoint; one that hangs takes nothing from the others. */
const PER_ENDPOINT = 4
/** After this a claim is void. Longer than a request may take. */
const CLAIM_MS = 60_000
/** In a wait the clock is looked at this often, should a wake-up be lost. */
const LOOK_MS = 60_000
/** Where more is due than may be sent at once, or the store failed. */
const BUSY_MS = 1_000
/** The delivery log is kept this long. */
const RETENTION_MS = 30 * 24 * 3_600_000
const PURGE_EVERY_MS = 3_600_000
const PURGE_ROWS = 500

/**
 * Tells endpoints what the outbox holds: queues a delivery for each event and endpoint that chooses it, sends what is due,
 * notes what came of it. Everything it knows is in the store, so it may die at any moment: what was not noted is sent
 * again under the same `webhook-id`. Sessions never wait for it.
 */
export class Deliverer implements Service {
  readonly #parts: DelivererParts
  readonly #holder = newId('node')
  readonly #stopping = new AbortController()
  readonly #cut = new AbortController()
  readonly #inFlight = new Map<string, { endpointId: string; done: Promise<void> }>()
  #loop: Promise<void> | null = null
  /** The store failed; said once, not every second. */
  #heldUp = false
  #purgedAt = Number.NEGATIVE_INFINITY

  constructor(parts: DelivererParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    const { store, clock } = this.#parts
    // One server holds the data folder: who else claimed anything is dead.
    await store.releaseClaims('but', this.#holder, clock.now())
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    if (!this.#loop) return
    const { store, clock, logger, stopMs = 3_000 } = this.#parts
    this.#stopping.abort()
    await this.#loop
    const timer = setTimeout(() => this.#cut.abort(new Error('the server stops')), stopMs)
    await Promise.all([...this.#inFlight.values()].map(({ done }) => done))
    clearTimeout(timer)
    await store
      .releaseClaims('of', this.#holder, clock.now())
      .catch((err: unknown) => logger.warn({ err }, 'claims on webhook deliveries could not be released'))
  }

  async #run(): Promise<void> {
    const { wakeups, logger } = this.#parts
    // Subscribed before the first look, so that what comes during one is seen by the next.
    using wakeup = wakeups.subscribe(OUTBOX)
    const { signal } = this.#stopping
    while (!signal.aborted) {
      let wait = BUSY_MS
      try {
        wait = await this.#pass()
        this.#heldUp = false
      } catch (err) {
        if (!this.#heldUp) logger.warn({ err }, 'webhooks are held up; trying again every second')
        this.#heldUp = true
      }
      const timer = setTimeout(() => wakeups.ring(OUTBOX), wait)
      await wakeup.next(signal)
      clearTimeout(timer)
    }
  }

  /** Does what is to do now; answers for how long there is nothing, in ms. */
  async #pass(): Promise<number> {
    const { store, clock } = this.#parts
    const longest = (await this.#purge()) ? BUSY_MS : LOOK_MS
    if (!(await fanOut(store, clock, this.#stopping.signal))) return longest
    const at = clock.now()
    const due = await store.nextDue()
    if (due !== null && due <= at) {
      const claim = { holder: this.#holder, at, until: at + CLAIM_MS }
      for (const delivery of await store.claimDue(claim, PER_ENDPOINT, this.#busy())) this.#begin(delivery)
    }
    const next = await store.nextDue()
    if (next === null) return longest
    return next <= at ? BUSY_MS : Math.min(next - at, longest)
  }

  /** How many requests are under way to each endpoint. */
  #busy(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { endpointId } of this.#inFlight.values()) counts[endpointId] = (counts[endpointId] ?? 0) + 1
    return counts
  }

  #begin(delivery: DeliveryRow): void {
    const { wakeups, logger } = this.#parts
    const done = attempt(this.#parts, delivery, this.#cut.signal)
      .catch((err: unknown) => logger.warn({ err, delivery: delivery.id }, 'a webhook attempt could not be noted'))
      .finally(() => {
        this.#inFlight.delete(delivery.id)
        wakeups.ring(delivery.id)
        wakeups.ring(OUTBOX)
      })
    this.#inFlight.set(delivery.id, { endpointId: delivery.endpointId, done })
  }

  /** Drops a part of what is too old; says whether there is more of it. */
  async #purge(): Promise<boolean> {
    const { store, clock } = this.#parts
    const now = clock.now()
    if (now - this.#purgedAt < PURGE_EVERY_MS) return false
    if ((await store.purge(now - RETENTION_MS, PURGE_ROWS)) === PURGE_ROWS) return true
    this.#purgedAt = now
    return false
  }
}
