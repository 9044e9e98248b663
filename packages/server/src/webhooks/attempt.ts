import { newId } from '@troupe/protocol/ids'
import { TEST_TYPE } from '@troupe/protocol/webhook'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { AttemptNote, DeliveryRow, DisabledReason, EndpointRow, WebhookStore } from '../store/webhooks.ts'
import { pauseAfter } from './backoff.ts'
import { isOfSession, payloadOf } from './payload.ts'
import type { Send, SendResult } from './send.ts'
import { signedHeaders } from './sign.ts'

export interface AttemptParts {
  store: WebhookStore
  clock: Clock
  logger: Logger
  send: Send
  /** Of this server, for `user-agent`. */
  version: string
  /** The session as `/v1` shows it, for endpoints that include it; null when it is gone. */
  renderSession(id: string): Promise<object | null>
  /** Headers that say to which trace the event belongs. */
  traceHeaders?(event: Pick<DeliveryRow, 'sessionId' | 'turnId'>): Promise<Record<string, string>>
  random?: () => number
}

/**
 * Sends a delivery that was claimed and notes what came of it. Notes nothing when `cut` aborts: then nothing was learnt.
 * What is thrown is the store's; the claim ends by itself, and the delivery is sent again.
 */
export async function attempt(parts: AttemptParts, delivery: DeliveryRow, cut: AbortSignal): Promise<void> {
  const { store, clock, logger, send, version, random } = parts
  const endpoint = await store.readEndpoint(delivery.endpointId)
  if (!endpoint) return
  const body = JSON.stringify(await payload(parts, delivery, endpoint))
  const at = clock.now()
  const headers = {
    'content-type': 'application/json',
    'user-agent': `Troupe/${version}`,
    ...(await parts.traceHeaders?.(delivery)),
    ...signedHeaders(delivery.id, at, body, validSecrets(endpoint, at)),
  }
  const result = await send({ url: endpoint.url, headers, body }, cut)
  if (cut.aborted) return
  const { httpStatus, responseBody, error } = result
  const now = clock.now()
  const outcome = judge(delivery, result, now, random)
  const disabled = await store.note({
    id: delivery.id,
    claim: delivery.claim,
    attempt: { at, durationMs: Math.max(0, now - at), httpStatus, error },
    responseBody,
    disabledEventId: newId('sevt'),
    ...outcome,
  })
  const fields = { endpoint: endpoint.id, delivery: delivery.id, status: httpStatus, error }
  logger.debug(fields, 'webhook attempt')
  if (disabled) logger.warn({ ...fields, reason: outcome.disable }, 'webhook endpoint disabled')
}

async function payload({ renderSession }: AttemptParts, delivery: DeliveryRow, { names, include }: EndpointRow) {
  if (!include.includes('session') || !isOfSession(delivery)) return payloadOf(delivery, names)
  return payloadOf(delivery, names, await renderSession(delivery.sessionId))
}

const validSecrets = ({ secret, previousSecret, previousUntil }: EndpointRow, at: number): string[] =>
  previousSecret !== null && (previousUntil ?? 0) > at ? [secret, previousSecret] : [secret]

function judge(
  { type, attemptCount }: DeliveryRow,
  { httpStatus, refused }: SendResult,
  now: number,
  random?: () => number,
): Pick<AttemptNote, 'status' | 'nextAt' | 'disable'> {
  if (httpStatus !== null && httpStatus >= 200 && httpStatus < 300)
    return { status: 'delivered', nextAt: null, disable: null }
  // A test shows how it went, once, and has no consequences.
  if (type === TEST_TYPE) return { status: 'failed', nextAt: null, disable: null }
  const pause = pauseAfter(attemptCount, random)
  const final = finalReason(httpStatus, refused)
  if (pause === null) return { status: 'failed', nextAt: null, disable: final ?? 'failing' }
  return { status: 'pending', nextAt: now + pause, disable: final }
}

/** Why the endpoint is disabled at its first such answer; null where it may still come right. */
function finalReason(httpStatus: number | null, refused: boolean): DisabledReason | null {
  if (refused) return 'address_refused'
  if (httpStatus === 410) return 'gone'
  return httpStatus !== null && httpStatus >= 300 && httpStatus < 400 ? 'redirected' : null
}
