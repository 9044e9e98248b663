import type { Attempt, DeliveryRow, EndpointRow, OutboxRow } from './webhooks.ts'

export interface EndpointsTable {
  id: string
  workspace_id: string
  url: string
  description: string | null
  types: string
  names: string
  include: string
  /** `deleted` while its log is being dropped. */
  status: string
  disabled_reason: string | null
  disabled_at: number | null
  secret: string
  previous_secret: string | null
  previous_until: number | null
  after_n: number
  enabled_at: number
  last_delivered_at: number | null
  created_at: number
  updated_at: number
}

export function endpointFromRow(row: EndpointsTable): EndpointRow {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    url: row.url,
    description: row.description,
    types: JSON.parse(row.types) as string[],
    names: row.names as EndpointRow['names'],
    include: JSON.parse(row.include) as EndpointRow['include'],
    status: row.status as EndpointRow['status'],
    disabledReason: row.disabled_reason as EndpointRow['disabledReason'],
    disabledAt: row.disabled_at,
    secret: row.secret,
    previousSecret: row.previous_secret,
    previousUntil: row.previous_until,
    afterN: row.after_n,
    enabledAt: row.enabled_at,
    lastDeliveredAt: row.last_delivered_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export interface DeliveriesTable {
  id: string
  endpoint_id: string
  event_id: string
  type: string
  session_id: string
  turn_id: string | null
  thread_id: string | null
  seq: number
  occurred_at: number
  status: string
  attempt_count: number
  claim: number
  claimed_by: string | null
  next_at: number | null
  attempts: string
  response_body: string | null
  created_at: number
  queued_at: number
  delivered_at: number | null
}

export function deliveryFromRow(row: DeliveriesTable): DeliveryRow {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    type: row.type,
    sessionId: row.session_id,
    turnId: row.turn_id,
    threadId: row.thread_id,
    seq: row.seq,
    occurredAt: row.occurred_at,
    status: row.status as DeliveryRow['status'],
    attemptCount: row.attempt_count,
    claim: row.claim,
    nextAt: row.next_at,
    attempts: JSON.parse(row.attempts) as Attempt[],
    responseBody: row.response_body,
    createdAt: row.created_at,
    queuedAt: row.queued_at,
    deliveredAt: row.delivered_at,
  }
}

export interface OutboxTable {
  workspace_id: string
  n: number
  session_id: string
  seq: number
  type: string
  created_at: number
  event_id: string
  turn_id: string | null
  thread_id: string | null
}

export function outboxFromRow(row: OutboxTable): OutboxRow {
  return {
    n: row.n,
    workspaceId: row.workspace_id,
    eventId: row.event_id,
    type: row.type,
    sessionId: row.session_id,
    turnId: row.turn_id,
    threadId: row.thread_id,
    seq: row.seq,
    occurredAt: row.created_at,
  }
}
