import type { SessionEvent } from '@troupe/protocol/event'
import type { EventRow } from '../store/events.ts'

export const iso = (ms: number): string => new Date(ms).toISOString()
export const isoOr = (ms: number | null): string | null => (ms === null ? null : iso(ms))

/** An event as JSON text: the envelope, then the payload's fields beside it. The stored body is not parsed. */
export function eventJson(event: EventRow): string {
  const envelope = JSON.stringify({
    id: event.id,
    seq: event.seq,
    type: event.type,
    session_id: event.sessionId,
    turn_id: event.turnId,
    session_thread_id: event.threadId,
    created_at: iso(event.createdAt),
    processed_at: isoOr(event.processedAt),
  })
  return event.body === '{}' ? envelope : `${envelope.slice(0, -1)},${event.body.slice(1)}`
}

/** An event as the object its JSON text says. */
export function eventToWire(event: EventRow): SessionEvent {
  return JSON.parse(eventJson(event)) as SessionEvent
}
