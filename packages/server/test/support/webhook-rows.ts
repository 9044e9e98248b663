import { newId } from '@troupe/protocol/ids'
import type { AttemptNote, DeliveryRow, EndpointRow, NewDelivery } from '../../src/store/webhooks.ts'
import { newSecret } from '../../src/webhooks/sign.ts'

/** An endpoint that hears everything. */
export function endpointRow(fields: Partial<EndpointRow> = {}): Omit<EndpointRow, 'afterN' | 'enabledAt'> {
  const at = fields.createdAt ?? 1_000
  return {
    id: newId('whk'),
    workspaceId: 'wrkspc_default',
    url: 'https://hooks.example/',
    description: null,
    types: ['*'],
    names: 'stream',
    include: [],
    status: 'enabled',
    disabledReason: null,
    disabledAt: null,
    secret: newSecret(),
    previousSecret: null,
    previousUntil: null,
    lastDeliveredAt: null,
    createdAt: at,
    updatedAt: at,
    ...fields,
  }
}

export function newDelivery(endpointId: string, fields: Partial<NewDelivery> = {}): NewDelivery {
  return {
    id: newId('whd'),
    endpointId,
    eventId: newId('sevt'),
    type: 'session.status_idle',
    sessionId: newId('sesn'),
    turnId: null,
    threadId: null,
    seq: 1,
    occurredAt: 1_000,
    ...fields,
  }
}

/** The note of an attempt that got a 200. */
export function noteOf({ id, claim }: DeliveryRow, fields: Partial<AttemptNote> = {}): AttemptNote {
  return {
    id,
    claim,
    attempt: { at: 2_000, durationMs: 5, httpStatus: 200, error: null },
    responseBody: '',
    status: 'delivered',
    nextAt: null,
    disable: null,
    disabledEventId: newId('sevt'),
    ...fields,
  }
}
