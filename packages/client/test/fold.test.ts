import { expect, test } from 'vitest'
import { fold, foldAll } from '../src/fold.ts'
import type { ToolItem } from '../src/view.ts'
import { delta, event, ONE_TURN, start, text } from './support/events.ts'

test('a view tells a turn as question, thought, tool call with its result, and answer', () => {
  const view = foldAll(ONE_TURN)
  expect(view.items.map(({ kind }) => kind)).toEqual(['user', 'thinking', 'tool', 'agent'])
  expect(view.items[2]).toMatchObject({
    name: 'Bash',
    input: { command: 'ls | wc -l' },
    result: { content: text('3'), isError: false },
    denied: null,
  })
  expect(view.items[3]).toMatchObject({ text: 'There are three.' })
  expect(view).toMatchObject({
    sessionId: 'sesn_1',
    lastSeq: 13,
    status: 'idle',
    stopReason: { type: 'end_turn' },
    usage: { cost_usd: 0.5 },
    currentTurnId: null,
    turns: [{ id: 'turn_1', status: 'completed', stopReason: { type: 'end_turn' } }],
  })
})

test('an input that is told again when the agent takes it is one item, first waiting and then taken', () => {
  const waiting = foldAll(ONE_TURN.slice(0, 5))
  const taken = foldAll(ONE_TURN.slice(5, 6), waiting)
  expect(waiting.items).toMatchObject([{ kind: 'user', id: 'sevt_2', state: 'waiting' }])
  expect(taken.items).toMatchObject([{ kind: 'user', id: 'sevt_2', seq: 2, state: 'taken' }])
})

test('a message being written is a preview until the finished event takes its place', () => {
  const running = foldAll(ONE_TURN.slice(0, 6))
  const writing = foldAll([start('sevt_10'), delta('sevt_10', 'There '), delta('sevt_10', 'are')], running)
  expect(writing.preview).toEqual({ id: 'sevt_10', type: 'agent.message', text: 'There are' })
  const done = foldAll(ONE_TURN.slice(6), writing)
  expect(done.preview).toBeNull()
  expect(done.items.filter(({ kind }) => kind === 'agent')).toHaveLength(1)
})

test('a preview begins anew after a reconnect, and never follows its event', () => {
  const running = foldAll(ONE_TURN.slice(0, 6))
  const again = foldAll([start('a'), delta('a', 'one '), start('a'), delta('a', 'one two')], running)
  expect(again.preview?.text).toBe('one two')
  const late = foldAll([start('sevt_10'), delta('sevt_10', 'x')], foldAll(ONE_TURN.slice(0, 10)))
  expect(late.preview).toBeNull()
})

test('a preview whose message never came ends with its turn', () => {
  const view = foldAll([
    ...ONE_TURN.slice(0, 6),
    start('a'),
    delta('a', 'half a sen'),
    event(7, 'turn.cancelled', { stop_reason: { type: 'interrupted' } }),
  ])
  expect(view.preview).toBeNull()
})

test('types that are not known change nothing but the position', () => {
  const before = foldAll(ONE_TURN)
  const after = foldAll([event(14, 'session.from_the_future', { anything: [1] }), event(15, 'toString')], before)
  expect(after).toEqual({ ...before, lastSeq: 15 })
  expect(fold(before, { type: 'another_preview' } as never)).toBe(before)
})

test('events without the fields they should have do no harm', () => {
  const types = [...new Set(ONE_TURN.map(({ type }) => type)), 'session.error', 'agent.permission_denied']
  const bare = types.map((type, index) => event(index + 1, type, { turn_id: null, content: [null, 7] }))
  expect(foldAll(bare).lastSeq).toBe(types.length)
})

test('a refused tool call carries the reason, and the result that follows stays with the call', () => {
  const view = foldAll([
    event(1, 'agent.mcp_tool_use', { name: 'search', mcp_server_name: 'docs', input: {}, sdk_tool_use_id: 'toolu_9' }),
    event(2, 'agent.permission_denied', { tool_use_id: 'sevt_1', name: 'search', reason: 'it asks' }),
    event(3, 'agent.mcp_tool_result', { mcp_tool_use_id: 'toolu_9', content: text('no'), is_error: true }),
  ])
  const [tool] = view.items as ToolItem[]
  expect(tool).toMatchObject({ server: 'docs', denied: 'it asks', result: { isError: true } })
})

test('an error is an item; only one that will not be retried is the last error', () => {
  const error = (code: string, retry: string) => ({
    error: { type: 'unknown_error', code, message: code, retry_status: { type: retry } },
  })
  const retrying = foldAll([event(1, 'session.error', error('rate_limit', 'retrying'))])
  expect([retrying.items.length, retrying.lastError]).toEqual([1, null])
  const failed = foldAll([event(2, 'session.error', error('process_crashed', 'exhausted'))], retrying)
  expect(failed.lastError).toMatchObject({ code: 'process_crashed' })
})

test('what does not change keeps its identity, so that only what changed is drawn again', () => {
  const before = foldAll(ONE_TURN.slice(0, 8))
  const after = fold(before, ONE_TURN[8]!)
  expect(after.items[0]).toBe(before.items[0])
  expect(after.turns).toBe(before.turns)
  expect(after.items.filter((item, index) => item !== before.items[index])).toHaveLength(1)
  expect(fold(before, ONE_TURN[3]!)).toBe(before)
})

test('fifty thousand events are folded in a moment', () => {
  const log = Array.from({ length: 50_000 }, (_, index) =>
    event(index + 1, 'agent.message', { content: text('words') }),
  )
  const start = performance.now()
  expect(foldAll(log).items).toHaveLength(50_000)
  expect(performance.now() - start).toBeLessThan(5_000)
})

test('a subagent has a transcript of its own, under the call that started it, and the main one is without its words', () => {
  const inside = { session_thread_id: 'sthr_1' }
  const view = foldAll([
    ...ONE_TURN.slice(0, 6),
    event(7, 'agent.tool_use', { name: 'Agent', input: {} }),
    event(8, 'session.thread_created', {
      ...inside,
      agent_name: 'general-purpose',
      description: 'Look',
      parent_thread_id: 'sthr_0',
      tool_use_id: 'sevt_7',
    }),
    event(9, 'session.thread_status_running', { ...inside, agent_name: 'general-purpose' }),
    event(10, 'agent.thread_message_received', { ...inside, content: text('look') }),
    event(11, 'agent.tool_use', { ...inside, name: 'Bash', input: { command: 'ls' } }),
    event(12, 'agent.message', { content: text('meanwhile') }),
    event(13, 'agent.tool_result', { ...inside, tool_use_id: 'sevt_11', content: text('a b') }),
    event(14, 'agent.message', { ...inside, content: text('inner words') }),
    event(15, 'session.thread_status_idle', { ...inside, stop_reason: { type: 'end_turn' }, summary: 'inner words' }),
    event(16, 'agent.message', { ...inside, session_thread_id: 'sthr_unknown', content: text('lost') }),
  ])
  expect(view.items.slice(-3)).toMatchObject([
    { kind: 'tool', name: 'Agent', threadId: 'sthr_1' },
    { kind: 'thread', threadId: 'sthr_1', summary: 'inner words' },
    { kind: 'agent', text: 'meanwhile' },
  ])
  expect(view.threads).toMatchObject({
    sthr_1: {
      toolId: 'sevt_7',
      status: 'idle',
      items: [
        { kind: 'user', state: 'taken' },
        { kind: 'tool', name: 'Bash', result: { content: text('a b') } },
        { kind: 'agent', text: 'inner words' },
      ],
    },
  })
  expect(view.lastSeq).toBe(16)
})

test('a subagent of a subagent stands in the transcript of the one that started it', () => {
  const view = foldAll([
    ...ONE_TURN.slice(0, 6),
    event(7, 'session.thread_created', { session_thread_id: 'sthr_1', agent_name: 'a', description: 'Outer' }),
    event(8, 'agent.tool_use', { session_thread_id: 'sthr_1', name: 'Agent', input: {} }),
    event(9, 'session.thread_created', {
      session_thread_id: 'sthr_2',
      agent_name: 'b',
      description: 'Deep',
      parent_thread_id: 'sthr_1',
      tool_use_id: 'sevt_8',
    }),
    event(10, 'session.thread_status_terminated', {
      session_thread_id: 'sthr_2',
      stop_reason: { type: 'interrupted' },
    }),
  ])
  expect(view.items.filter(({ kind }) => kind === 'thread')).toHaveLength(1)
  expect(view.threads.sthr_1!.items).toMatchObject([{ kind: 'tool', threadId: 'sthr_2' }, { kind: 'thread' }])
  expect(view.threads.sthr_2).toMatchObject({ status: 'terminated', stopReason: { type: 'interrupted' } })
})

test('work behind an answer is shown until it has ended, or its turn', () => {
  const tasks = [{ id: 'b1', type: 'local_bash', description: 'make', session_thread_id: null }]
  const before = foldAll([...ONE_TURN.slice(0, 6), event(7, 'session.background_work', { tasks })])
  expect(before.background).toEqual([{ id: 'b1', type: 'local_bash', description: 'make', threadId: null }])
  expect(fold(before, event(8, 'session.background_work', { tasks: [] })).background).toEqual([])
  const cut = event(8, 'turn.cancelled', { stop_reason: { type: 'interrupted' } })
  expect(fold(before, cut).background).toEqual([])
})

test('U41 what the agent left, what it was told as the system, and what prepared its workdir are items', () => {
  const note = { content: text('It is late.'), processed_at: null }
  const files = [{ file_id: 'file_1', filename: 'a.csv', path: 'tables/a.csv', size_bytes: 12 }, null]
  const view = foldAll([
    event(1, 'session.setup_command', {
      command: 'npm ci',
      number: 1,
      of: 2,
      result: 'failed',
      exit_code: 1,
      output: 'no',
    }),
    { ...event(2, 'system.message', note), id: 'sevt_note' },
    { ...event(3, 'system.message', { ...note, processed_at: '2026-11-23T10:00:00Z' }), id: 'sevt_note' },
    event(4, 'session.files_persisted', { files, failed: [{ path: 'big.bin', error: 'too_large' }] }),
  ])
  expect(view.items).toMatchObject([
    { kind: 'setup', command: 'npm ci', number: 1, of: 2, result: 'failed', exitCode: 1, output: 'no' },
    { kind: 'note', text: 'It is late.', state: 'taken' },
    {
      kind: 'files',
      files: [{ id: 'file_1', path: 'tables/a.csv', bytes: 12 }],
      failed: [{ path: 'big.bin', problem: 'too_large' }],
    },
  ])
})
