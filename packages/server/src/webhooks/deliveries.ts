import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { chooses, TEST_TYPE } from '@troupe/protocol/webhook'
import { OUTBOX } from '../log/wakeups.ts'
import type { DeliveryRow, EndpointRow, OutboxRow } from '../store/webhooks.ts'
import { effectOf, type Key, requireEndpoint, type WebhookContext } from './endpoints.ts'

/** A test answers when its one attempt is over, at the latest after this. */
const TEST_WAIT_MS = 12_000
/** Events that one replay goes through, and how many of them in one transaction. */
export const MAX_REPLAY = 10_000
const REPLAY_PAGE = 200
/** What the outbox keeps, in ms; a range may begin a little earlier, so that "three days ago" need not be exact. */
const KEPT_MS = 3 * 24 * 3_600_000
const SLACK_MS = 3_600_000

/** Throws `webhook_delivery_not_found`. */
export async function requireDelivery(context: WebhookContext, endpointId: string, id: string): Promise<DeliveryRow> {
  const delivery = await context.store.readDelivery(endpointId, id)
  if (delivery) return delivery
  throw new ApiError(
    'webhook_delivery_not_found',
    `Webhook endpoint ${endpointId} has no delivery ${JSON.stringify(id)}.`,
  )
}

/** Throws `webhook_endpoint_not_found`, `webhook_endpoint_disabled`. */
async function requireEnabled(context: WebhookContext, id: string): Promise<EndpointRow> {
  const endpoint = await requireEndpoint(context, id)
  if (endpoint.status === 'enabled') return endpoint
  throw new ApiError(
    'webhook_endpoint_disabled',
    `Webhook endpoint ${id} is disabled (${endpoint.disabledReason}); enable it first.`,
  )
}

/** Sends `webhook.test`, once, and answers with what came of it, or as it is when that takes too long. */
export async function testEndpoint(
  context: WebhookContext,
  id: string,
  key: Key,
  gone: AbortSignal,
): Promise<DeliveryRow> {
  const { store, clock, wakeups } = context
  await requireEnabled(context, id)
  const at = clock.now()
  const deliveryId = newId('whd')
  // Subscribed before it is queued, so that its end cannot be missed.
  using wakeup = wakeups.subscribe(deliveryId)
  const event = { type: TEST_TYPE, sessionId: id, turnId: null, threadId: null, seq: 0, occurredAt: at }
  const delivery = { ...event, id: deliveryId, endpointId: id, eventId: newId('sevt') }
  await store.queueAgain([delivery], at, effectOf(key, { id: deliveryId }))
  wakeups.ring(OUTBOX)
  await wakeup.next(AbortSignal.any([gone, AbortSignal.timeout(TEST_WAIT_MS)]))
  return requireDelivery(context, id, deliveryId)
}

/** Sends a delivery again, now, under the id it had; one that is under way stays so. */
export async function redeliver(
  context: WebhookContext,
  endpointId: string,
  id: string,
  key: Key,
): Promise<DeliveryRow> {
  await requireEnabled(context, endpointId)
  const delivery = await requireDelivery(context, endpointId, id)
  // It is known by its event; the id given here is not taken.
  await context.store.queueAgain([{ ...delivery, id: newId('whd') }], context.clock.now(), effectOf(key, { id }))
  context.wakeups.ring(OUTBOX)
  return requireDelivery(context, endpointId, id)
}

export interface Replay {
  matched: number
  queued: number
  /** Where to go on when the range held more than one call goes through, in ms. */
  nextFrom: number | null
}

/**
 * Queues what happened in `from <= t < to` and the endpoint chooses, whether it was sent before or not; each event keeps
 * the id under which this endpoint got it. In steps, so that nobody waits long; one that is cut short and asked for
 * again does no harm.
 */
export async function replay(context: WebhookContext, id: string, from: number, to: number, key: Key): Promise<Replay> {
  const { store, clock, wakeups } = context
  const endpoint = await requireEnabled(context, id)
  if (to <= from || from < clock.now() - KEPT_MS - SLACK_MS)
    throw new ApiError(
      'validation_failed',
      `/from: the range must begin within the last three days, which is what is kept, and end later.`,
      { errors: [{ pointer: '/from', code: 'invalid_range', detail: 'not older than three days, and before to' }] },
    )
  const done: Replay = { matched: 0, queued: 0, nextFrom: null }
  let read = 0
  let last: OutboxRow | undefined
  for (;;) {
    const rows = await store.readTold(
      endpoint.workspaceId,
      from,
      to,
      last ? { at: last.occurredAt, n: last.n } : null,
      REPLAY_PAGE,
    )
    read += rows.length
    last = rows.at(-1)
    const chosen = rows.filter(({ type }) => chooses(endpoint.types, type))
    done.matched += chosen.length
    const deliveries = chosen.map((row) => ({ ...row, id: newId('whd'), endpointId: id }))
    done.queued += await store.queueAgain(deliveries, clock.now())
    wakeups.ring(OUTBOX)
    const ended = rows.length < REPLAY_PAGE
    if (!ended && read >= MAX_REPLAY) done.nextFrom = last!.occurredAt
    if (ended || done.nextFrom !== null) break
  }
  if (key) await store.queueAgain([], clock.now(), effectOf(key, done))
  return done
}
