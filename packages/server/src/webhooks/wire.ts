import type { WebhookDelivery, WebhookEndpoint } from '@troupe/protocol/webhook'
import { iso, isoOr } from '../log/wire.ts'
import type { DeliveryRow, EndpointRow } from '../store/webhooks.ts'
import { isOfSession } from './payload.ts'

/** An endpoint as `/v1` shows it; with its secret only where one was just made. */
export function endpointToWire(endpoint: EndpointRow, now: number, withSecret = false): WebhookEndpoint {
  const { previousUntil } = endpoint
  return {
    type: 'webhook_endpoint',
    id: endpoint.id,
    url: endpoint.url,
    description: endpoint.description,
    types: endpoint.types,
    names: endpoint.names,
    include: endpoint.include,
    status: endpoint.status,
    disabled_reason: endpoint.disabledReason,
    disabled_at: isoOr(endpoint.disabledAt),
    ...(withSecret && { secret: endpoint.secret }),
    previous_secret_valid_until: previousUntil !== null && previousUntil > now ? iso(previousUntil) : null,
    last_delivered_at: isoOr(endpoint.lastDeliveredAt),
    created_at: iso(endpoint.createdAt),
    updated_at: iso(endpoint.updatedAt),
  }
}

export function deliveryToWire(delivery: DeliveryRow): WebhookDelivery {
  return {
    type: 'webhook_delivery',
    id: delivery.id,
    webhook_endpoint_id: delivery.endpointId,
    event_id: delivery.eventId,
    event_type: delivery.type,
    session_id: isOfSession(delivery) ? delivery.sessionId : null,
    status: delivery.status,
    attempt_count: delivery.attemptCount,
    next_attempt_at: delivery.status === 'pending' ? isoOr(delivery.nextAt) : null,
    attempts: delivery.attempts.map(({ at, durationMs, httpStatus, error }) => ({
      at: iso(at),
      duration_ms: durationMs,
      http_status: httpStatus,
      error,
    })),
    response_body: delivery.responseBody,
    created_at: iso(delivery.createdAt),
    delivered_at: isoOr(delivery.deliveredAt),
  }
}
