import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import { newId } from '@troupe/protocol/ids'
import { expect, test } from 'vitest'
import type { Evaluation } from '../src/runner/policy.ts'
import { Translator } from '../src/runner/sdk-messages.ts'
import { sumOf } from '../src/runner/thread-usage.ts'
import { threadRow } from './support/rows.ts'

/** Messages as the genuine agent sent them (2.1.330), without what is not read. */
const message = (fields: object) => ({ uuid: 'u', session_id: 's', ...fields }) as unknown as SDKMessage
const assistant = (content: object[], more: object = {}) =>
  message({ type: 'assistant', message: { id: 'm', model: 'opus', content }, parent_tool_use_id: null, ...more })
const results = (call: string, content: string, more: object = {}) =>
  message({
    type: 'user',
    message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: call, content, is_error: false }] },
    parent_tool_use_id: null,
    ...more,
  })
const started = (task_id: string, more: object = {}) =>
  message({
    type: 'system',
    subtype: 'task_started',
    task_id,
    description: task_id,
    subagent_type: 'general-purpose',
    is_backgrounded: false,
    task_type: 'local_agent',
    prompt: 'look',
    ...more,
  })
const ended = (task_id: string, status: string) =>
  message({ type: 'system', subtype: 'task_notification', task_id, status, output_file: '', summary: 'report' })
const call = (id: string, name = 'Agent') => ({ type: 'tool_use', id, name, input: {} })

const allow = (): Evaluation => ({ permission: 'allow', kind: 'tool_confirmation', reason: '' })

const translator = () => {
  const made = new Translator(newId('sesn'), allow)
  return (...messages: SDKMessage[]) => messages.map((one) => made.translate(one, 'turn_1', 1_000))
}

test('H16 a subagent is joined by the id its messages carry, or by the call they name', () => {
  const translate = translator()
  const [use, start, byId, byCall] = translate(
    assistant([call('call_1')]),
    started('task_1', { tool_use_id: 'call_1' }),
    assistant([{ type: 'text', text: 'one' }], { parent_tool_use_id: 'call_1', agent_id: 'task_1' }),
    assistant([{ type: 'text', text: 'two' }], { parent_tool_use_id: 'call_1' }),
  )
  const [thread] = start!.threads.made
  expect(thread).toMatchObject({ toolUseId: use!.events[0]!.id, parentId: null, taskId: 'task_1', status: 'running' })
  expect(start!.events.map(({ type }) => type)).toEqual([
    'session.thread_created',
    'session.thread_status_running',
    'agent.thread_message_received',
  ])
  expect([byId!.events[0]!.threadId, byCall!.events[0]!.threadId]).toEqual([thread!.id, thread!.id])
  // Told as an event; among the messages of the origin API it would pass for the main agent's.
  expect([byId!.keep, use!.keep]).toEqual([false, true])
})

test('H16 parallel subagents that end in another order than they began keep their results apart', () => {
  const translate = translator()
  const all = translate(
    assistant([call('call_1')]),
    started('a', { tool_use_id: 'call_1' }),
    assistant([call('call_2')]),
    started('b', { tool_use_id: 'call_2' }),
    assistant([call('inner_a', 'Bash')], { parent_tool_use_id: 'call_1', agent_id: 'a' }),
    assistant([call('inner_b', 'Bash')], { parent_tool_use_id: 'call_2', agent_id: 'b' }),
    results('inner_b', 'B', { parent_tool_use_id: 'call_2', agent_id: 'b' }),
    ended('b', 'completed'),
    results('inner_a', 'A', { parent_tool_use_id: 'call_1', agent_id: 'a' }),
    ended('a', 'completed'),
    results('call_2', 'report'),
  )
  const events = all.flatMap((one) => one.events)
  const threads = all.flatMap((one) => one.threads.made)
  const told = events.filter(({ type }) => type === 'agent.tool_result')
  expect(told.map(({ threadId }) => threadId)).toEqual([threads[1]!.id, threads[0]!.id, null])
  const uses = events.filter(({ body }) => body.name === 'Bash')
  expect(told.slice(0, 2).map(({ body }) => body.tool_use_id)).toEqual([uses[1]!.id, uses[0]!.id])
})

test('H16 a subagent of a subagent has it as its parent; what comes after its end still belongs to it', () => {
  const translate = translator()
  const [, outer, , deep, stop, late] = translate(
    assistant([call('call_1')]),
    started('outer', { tool_use_id: 'call_1' }),
    assistant([call('call_2')], { parent_tool_use_id: 'call_1', agent_id: 'outer' }),
    started('deep', { tool_use_id: 'call_2', parent_task_id: 'outer', spawn_depth: 2 }),
    ended('deep', 'stopped'),
    results('x', 'rejected', { parent_tool_use_id: 'call_2', agent_id: 'deep' }),
  )
  expect(deep!.threads.made[0]).toMatchObject({ parentId: outer!.threads.made[0]!.id })
  expect(stop!.threads.patches).toMatchObject([
    { patch: { status: 'idle', stopReason: { type: 'interrupted' }, summary: null } },
  ])
  expect(late!.events[0]!.threadId).toBe(deep!.threads.made[0]!.id)
})

test('H16 words of a subagent that nobody announced are not taken for the main agent', () => {
  const [unknown] = translator()(
    assistant([{ type: 'text', text: 'who?' }], { parent_tool_use_id: 'x', agent_id: 'y' }),
  )
  expect(unknown!.events).toEqual([])
})

test('H12 a subagent of an earlier process is known by its id', () => {
  const session = newId('sesn')
  const known = threadRow(session, {
    taskId: 'old',
    status: 'idle',
    runningSince: null,
    stopReason: { type: 'end_turn' },
  })
  const made = new Translator(session, allow)
  made.threads.know([known])
  const again = made.translate(started('old', { is_backgrounded: true }), 'turn_2', 5_000)
  expect(again.threads.made).toEqual([])
  expect(again.threads.patches).toEqual([
    {
      id: known.id,
      patch: { turnId: 'turn_2', background: true, status: 'running', stopReason: null, runningSince: 5_000 },
    },
  ])
  expect(made.threads.taskOf(known.id)).toBe('old')
})

test('H3 usage is summed once for each answer, however many blocks stand for it', () => {
  const entry = (id: string, output_tokens: number, type = 'assistant') =>
    JSON.stringify({ type, message: { id, usage: { input_tokens: 10, output_tokens, cache_read_input_tokens: null } } })
  expect(sumOf([entry('a', 1), entry('a', 52), entry('b', 9), entry('c', 9, 'user'), '{}'])).toMatchObject({
    inputTokens: 20,
    outputTokens: 61,
    cacheReadTokens: 0,
  })
  expect(sumOf(['{}'])).toBeNull()
})
