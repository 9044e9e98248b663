import type { PreviewFrame, SessionEvent } from '@troupe/protocol/event'

/** An event of the test's session; its id follows from its seq unless one is given. */
export function event(seq: number, type: string, fields: Record<string, unknown> = {}): SessionEvent {
  return {
    id: `sevt_${seq}`,
    seq,
    type,
    session_id: 'sesn_1',
    turn_id: 'turn_1',
    session_thread_id: null,
    created_at: `2026-01-01T00:00:${String(seq % 60).padStart(2, '0')}.000Z`,
    processed_at: null,
    ...fields,
  }
}

export const text = (words: string) => [{ type: 'text', text: words }]

export const start = (id: string): PreviewFrame => ({ type: 'event_start', event: { type: 'agent.message', id } })

export const delta = (id: string, words: string): PreviewFrame => ({
  type: 'event_delta',
  event_id: id,
  delta: { type: 'content_delta', index: 0, content: { type: 'text', text: words } },
})

/** The log of a session with one turn: a question, a thought, a tool call and an answer. */
export const ONE_TURN: SessionEvent[] = [
  event(1, 'session.created', { turn_id: null }),
  event(2, 'user.message', { content: text('How many files?') }),
  event(3, 'session.status_running'),
  event(4, 'session.queued'),
  event(5, 'turn.started', { number: 1 }),
  event(6, 'user.message', {
    id: 'sevt_2',
    content: text('How many files?'),
    processed_at: '2026-01-01T00:00:06.000Z',
  }),
  event(7, 'agent.thinking'),
  event(8, 'agent.tool_use', { name: 'Bash', input: { command: 'ls | wc -l' }, sdk_tool_use_id: 'toolu_1' }),
  event(9, 'agent.tool_result', { tool_use_id: 'sevt_8', content: text('3'), is_error: false }),
  event(10, 'agent.message', { content: text('There are three.') }),
  event(11, 'turn.completed', { stop_reason: { type: 'end_turn' }, error: null, usage: { cost_usd: 0.5 } }),
  event(12, 'session.usage', { usage: { cost_usd: 0.5 } }),
  event(13, 'session.status_idle', { stop_reason: { type: 'end_turn' } }),
]
