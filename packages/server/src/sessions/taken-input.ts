import type { EventRow, NewEvent } from '../store/events.ts'

/** An input as it is appended again when the agent takes it: under the same id, with the time. */
export const takenInput = ({ id, type, turnId, threadId, body, seq }: EventRow, at: number): NewEvent => ({
  id,
  type,
  turnId,
  threadId,
  processedAt: at,
  body: JSON.parse(body) as Record<string, unknown>,
  repeats: seq,
})
