import { newId } from '@troupe/protocol/ids'
import type { NewEvent } from '../store/events.ts'

/** An event that is not an input: taken at the moment it is made. */
export function newEvent(
  type: string,
  turnId: string | null,
  at: number,
  body: Record<string, unknown> = {},
): NewEvent {
  return { id: newId('sevt'), type, turnId, threadId: null, processedAt: at, body }
}
