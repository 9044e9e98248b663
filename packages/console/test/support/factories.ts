import type { SessionEvent } from '@troupe/protocol/event'
import { foldAll } from '@troupe/client/fold'

let count = 0

/** An event with what every event has; `fields` say what it is. Numbered from the last `events` on. */
export function event(type: string, fields: Partial<SessionEvent> = {}): SessionEvent {
  count++
  return {
    id: `sevt_${count}`,
    seq: count,
    type,
    session_id: 'sesn_1',
    turn_id: 'turn_1',
    session_thread_id: null,
    created_at: '2026-01-01T00:00:00.000Z',
    processed_at: '2026-01-01T00:00:00.000Z',
    ...fields,
  }
}

/** A call of a tool and what came of it; without `output` it is still running. */
export function toolCall(name: string, input: unknown, output?: string, isError = false): SessionEvent[] {
  const use = event('agent.tool_use', { name, input })
  if (output === undefined) return [use]
  const content = [{ type: 'text', text: output }]
  return [use, event('agent.tool_result', { tool_use_id: use.id, content, is_error: isError })]
}

export const viewOf = (events: SessionEvent[]) => foldAll(events)
