import { type WebhookNames, webhookName, type WebhookPayload } from '@troupe/protocol/webhook'
import { iso } from '../log/wire.ts'
import type { ToldEvent } from '../store/webhooks.ts'

/** The tenant of everything, until there are others. */
const ORGANIZATION = 'org_default'
const WORKSPACE = 'wrkspc_default'

/** What is posted of an event; `session` where the endpoint asked for it, null when it is gone. */
export function payloadOf(event: ToldEvent, names: WebhookNames, session?: object | null): WebhookPayload {
  const ofTurn = event.type.startsWith('turn.') && event.turnId !== null
  return {
    id: event.eventId,
    type: 'event',
    created_at: iso(event.occurredAt),
    data: {
      type: webhookName(event.type, names),
      id: ofTurn ? event.turnId! : event.sessionId,
      organization_id: ORGANIZATION,
      workspace_id: WORKSPACE,
      ...(isOfSession(event) && { session_id: event.sessionId }),
      ...(event.turnId !== null && { turn_id: event.turnId }),
      ...(event.threadId !== null && { session_thread_id: event.threadId }),
      ...(event.seq > 0 && { seq: event.seq }),
      ...(session !== undefined && { session }),
    },
  }
}

/** Whether an event is about a session, and not about an endpoint. */
export const isOfSession = (event: Pick<ToldEvent, 'type'>): boolean => !event.type.startsWith('webhook')
