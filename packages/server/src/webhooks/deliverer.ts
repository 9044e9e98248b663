import { newId } from '@troupe/protocol/ids'
import { chooses, TEST_TYPE } from '@troupe/protocol/webhook'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import { OUTBOX, type Wakeups } from '../log/wakeups.ts'
import type { DeliveryRow, DisabledReason, EndpointRow, WebhookStore } from '../store/webhooks.ts'
import { pauseAfter } from './backoff.ts'
import { isOfSession, payloadOf } from './payload.ts'
import type { Send, SendResult } from './send.ts'
import { signedHeaders } from './sign.ts'

export interface DelivererParts {
  store: WebhookStore
  wakeups: Wakeups
  clock: Clock
  logger: Logger
  send: Send
  /** Of this server, for `user-agent`. */
  version: string
  /** The session as `/v1` shows it, for endpoints that include it; null when it is gone. */
  renderSession(id: string): Promise<object | null>
  random?: () => number
  /** When the server stops, requests under way are given this long, in ms; what is cut is sent again. Default 3,000. */
  stopMs?: number
}

/** Rows of one fan-out transaction, about: bounds how long other writers wait for it. */
const FAN_OUT_ROWS = 500
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
      const wait = await this.#pass().catch((err: unknown) => {
        logger.warn({ err }, 'webhooks are held up; trying again')
        return BUSY_MS
      })
      const timer = setTimeout(() => wakeups.ring(OUTBOX), wait)
      await wakeup.next(signal)
      clearTimeout(timer)
    }
  }

  /** Does what is to do now; answers for how long there is nothing, in ms. */
  async #pass(): Promise<number> {
    const { store, clock } = this.#parts
    const purging = await this.#purge()
    if ((await this.#enabled()).length === 0) return purging ? BUSY_MS : LOOK_MS
    await this.#fanOut()
    const at = clock.now()
    const due = await store.nextDue()
    if (due !== null && due <= at) {
      const claim = { holder: this.#holder, at, until: at + CLAIM_MS }
      for (const delivery of await store.claimDue(claim, PER_ENDPOINT, this.#busy())) this.#begin(delivery)
    }
    const next = await store.nextDue()
    if (purging) return BUSY_MS
    if (next === null) return LOOK_MS
    return next <= at ? BUSY_MS : Math.min(next - at, LOOK_MS)
  }

  async #enabled(): Promise<EndpointRow[]> {
    return (await this.#parts.store.listEndpoints()).filter(({ status }) => status === 'enabled')
  }

  async #fanOut(): Promise<void> {
    const { store, clock } = this.#parts
    let limit = FAN_OUT_ROWS
    while (!this.#stopping.signal.aborted) {
      const { cursor, rows } = await store.readUntold(limit)
      const last = rows.at(-1)
      if (!last) return
      // Read after the rows: an endpoint that is not among these begins to hear behind them.
      const endpoints = await this.#enabled()
      if (endpoints.length === 0) return
      const deliveries = rows.flatMap((row) =>
        endpoints
          .filter(({ afterN, types }) => afterN < row.n && chooses(types, row.type))
          .map(({ id }) => ({ ...row, id: newId('whd'), endpointId: id })),
      )
      await store.fanOut(cursor, last.n, deliveries, clock.now())
      if (rows.length < limit) return
      limit = Math.max(1, Math.floor(FAN_OUT_ROWS / endpoints.length))
    }
  }

  #busy(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { endpointId } of this.#inFlight.values()) counts[endpointId] = (counts[endpointId] ?? 0) + 1
    return counts
  }

  #begin(delivery: DeliveryRow): void {
    const { wakeups, logger } = this.#parts
    const done = this.#deliver(delivery)
      .catch((err: unknown) => logger.warn({ err, delivery: delivery.id }, 'a webhook attempt could not be noted'))
      .finally(() => {
        this.#inFlight.delete(delivery.id)
        wakeups.ring(delivery.id)
        wakeups.ring(OUTBOX)
      })
    this.#inFlight.set(delivery.id, { endpointId: delivery.endpointId, done })
  }

  async #deliver(delivery: DeliveryRow): Promise<void> {
    const { store, clock, logger, send, version } = this.#parts
    const endpoint = await store.readEndpoint(delivery.endpointId)
    if (!endpoint) return
    const body = JSON.stringify(await this.#payload(delivery, endpoint))
    const at = clock.now()
    const { secret, previousSecret, previousUntil } = endpoint
    const secrets = previousSecret && (previousUntil ?? 0) > at ? [secret, previousSecret] : [secret]
    const headers = {
      'content-type': 'application/json',
      'user-agent': `Troupe/${version}`,
      ...signedHeaders(delivery.id, at, body, secrets),
    }
    const result = await send({ url: endpoint.url, headers, body }, this.#cut.signal)
    // Cut by us: nothing was learnt, and the claim is given back.
    if (this.#cut.signal.aborted) return
    const now = clock.now()
    const outcome = this.#judge(delivery, result, now)
    const disabled = await store.note({
      id: delivery.id,
      claim: delivery.claim,
      attempt: { at, durationMs: Math.max(0, now - at), httpStatus: result.httpStatus, error: result.error },
      responseBody: result.responseBody,
      disabledEventId: newId('sevt'),
      ...outcome,
    })
    const { httpStatus: status, error } = result
    const fields = { endpoint: endpoint.id, delivery: delivery.id, status, error }
    logger.debug(fields, 'webhook attempt')
    if (disabled) logger.warn({ ...fields, reason: outcome.disable }, 'webhook endpoint disabled')
  }

  async #payload(delivery: DeliveryRow, { names, include }: EndpointRow) {
    if (!include.includes('session') || !isOfSession(delivery)) return payloadOf(delivery, names)
    return payloadOf(delivery, names, await this.#parts.renderSession(delivery.sessionId))
  }

  #judge(
    { type, attemptCount }: DeliveryRow,
    { httpStatus, refused }: SendResult,
    now: number,
  ): { status: DeliveryRow['status']; nextAt: number | null; disable: DisabledReason | null } {
    if (httpStatus !== null && httpStatus >= 200 && httpStatus < 300)
      return { status: 'delivered', nextAt: null, disable: null }
    // A test shows how it went, once, and has no consequences.
    if (type === TEST_TYPE) return { status: 'failed', nextAt: null, disable: null }
    const pause = pauseAfter(attemptCount, this.#parts.random)
    const given = pause === null ? null : now + pause
    return {
      status: given === null ? 'failed' : 'pending',
      nextAt: given,
      disable: finalReason(httpStatus, refused) ?? (given === null ? 'failing' : null),
    }
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

/** Why an endpoint is disabled at its first such answer; null where it may still come right. */
function finalReason(httpStatus: number | null, refused: boolean): DisabledReason | null {
  if (refused) return 'address_refused'
  if (httpStatus === 410) return 'gone'
  return httpStatus !== null && httpStatus >= 300 && httpStatus < 400 ? 'redirected' : null
}
