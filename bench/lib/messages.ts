/** An assistant's message as the SDK gives it, of usual size. */
export const messageOf = (session: string, n: number) => ({
  type: 'assistant',
  message: {
    id: `msg_${n}`,
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5-5',
    content: [
      { type: 'text', text: `Step ${n}: ${'the quick brown fox jumps over the lazy dog. '.repeat(8)}` },
      { type: 'tool_use', id: `toolu_${n}`, name: 'Bash', input: { command: `grep -rn "needle" src/part-${n}` } },
    ],
    stop_reason: 'tool_use',
    usage: { input_tokens: 1200, output_tokens: 80, cache_read_input_tokens: 900, cache_creation_input_tokens: 0 },
  },
  parent_tool_use_id: null,
  session_id: session,
  uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
})

export const resultOf = (session: string) => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  duration_ms: 1234,
  duration_api_ms: 1200,
  num_turns: 9,
  result: 'Done.',
  stop_reason: 'end_turn',
  total_cost_usd: 0.01,
  usage: { input_tokens: 1200, output_tokens: 80, cache_read_input_tokens: 900, cache_creation_input_tokens: 0 },
  session_id: session,
  uuid: '00000000-0000-4000-8000-999999999999',
})
