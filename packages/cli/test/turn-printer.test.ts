import type { SessionEvent, StreamFrame } from '@troupe/protocol/event'
import { expect, test } from 'vitest'
import { Screen } from '../src/screen.ts'
import { TurnPrinter } from '../src/turn-printer.ts'

let seq = 0
const event = (type: string, fields: Record<string, unknown> = {}): SessionEvent => ({
  id: `sevt_${++seq}`,
  seq,
  type,
  session_id: 'sesn_1',
  turn_id: 'turn_1',
  session_thread_id: null,
  created_at: '2026-01-01T00:00:00.000Z',
  processed_at: null,
  ...fields,
})
const start = (id: string): StreamFrame => ({ type: 'event_start', event: { type: 'agent.message', id } })
const delta = (id: string, text: string): StreamFrame => ({
  type: 'event_delta',
  event_id: id,
  delta: { type: 'content_delta', index: 0, content: { type: 'text', text } },
})
const message = (id: string, text: string) => event('agent.message', { id, content: [{ type: 'text', text }] })

/** What a file gets in which everything ends up, in order; `tty`: a terminal of 80 columns. */
function printed(frames: StreamFrame[], tty = false): string {
  let all = ''
  const out = { isTTY: tty, columns: 80, write: (text: unknown) => ((all += String(text)), true) }
  const printer = new TurnPrinter(new Screen(out, out), { cwd: null, inputs: true, ends: true })
  for (const frame of frames) printer.print(frame)
  printer.end()
  return all
}

test('text is printed as it comes and the finished message adds only what is missing', () => {
  expect(printed([start('a'), delta('a', 'One '), delta('a', 'two'), message('a', 'One two three.')])).toBe(
    'One two three.\n',
  )
})

test('a preview that begins anew after a reconnect is not printed twice', () => {
  const frames = [start('a'), delta('a', 'One '), start('a'), delta('a', 'One two'), message('a', 'One two.')]
  expect(printed(frames)).toBe('One two.\n')
})

test('a message that is not what its preview said is printed whole on a line of its own', () => {
  expect(printed([start('a'), delta('a', 'One '), message('a', 'Other words.')])).toBe('One \nOther words.\n')
})

test('an interrupt in the middle of a message does not print its words again', () => {
  const frames = [
    start('a'),
    delta('a', 'Half a'),
    event('user.interrupt', { mode: 'graceful' }),
    message('a', 'Half a'),
  ]
  expect(printed(frames)).toBe('Half a\n  ■ interrupt\n')
})

test('each tool call is one line, when it is over: ok, failed or denied', () => {
  const call = (id: string, command: string) => event('agent.tool_use', { id, name: 'Bash', input: { command } })
  const result = (id: string, is_error: boolean) =>
    event('agent.tool_result', { tool_use_id: id, content: [], is_error, created_at: '2026-01-01T00:00:01.500Z' })
  expect(
    printed([
      call('a', 'ls'),
      call('b', 'false'),
      call('c', 'rm -rf /\x1b[2J\nnow'),
      event('agent.permission_denied', { tool_use_id: 'c', reason: 'no' }),
      result('b', true),
      result('a', false),
      result('c', true),
    ]),
  ).toBe('  ⊘ run  rm -rf / now  denied\n  ✗ run  false  1.5 s  failed\n  ✓ run  ls  1.5 s\n')
})

test('a terminal shows what is in progress on a line that gives way', () => {
  const frames = [
    event('agent.tool_use', { id: 'a', name: 'Read', input: { file_path: 'x'.repeat(200) } }),
    message('m', 'Done.'),
  ]
  const shown = printed(frames, true)
  // oxlint-disable-next-line no-control-regex -- the terminal's own words
  expect(shown).toMatch(/….* read {2}x+…\r\x1b\[KDone\.\n$/)
  // oxlint-disable-next-line no-control-regex -- as above
  expect(shown.split('\r')[0]!.replace(/\x1b\[\d+m/g, '').length).toBeLessThan(80)
})

test('what the agent says cannot drive the terminal, not even across pieces', () => {
  const evil = '\x1b]0;owned\x07\x1b[2Jhello\x1b[31m'
  const pieces = [...evil].map((char) => delta('a', char))
  expect(printed([start('a'), ...pieces, message('a', evil)])).toBe('hello\n')
  expect(
    printed([event('user.message', { content: evil }), event('session.error', { error: { message: evil } })]),
  ).toBe('› hello\n  ! hello\n')
})

test('in a log of many turns each thing is printed once, with inputs that waited while another turn ran', () => {
  const input = (turn: string, processed_at: string | null) =>
    event('user.message', { id: `in_${turn}`, turn_id: turn, content: `ask ${turn}`, processed_at })
  const turn = (id: string) => [
    event('turn.started', { turn_id: id }),
    input(id, 'now'),
    event('agent.tool_use', { id: `tool_${id}`, turn_id: id, name: 'Bash', input: { command: id } }),
    event('agent.tool_result', { tool_use_id: `tool_${id}`, turn_id: id, content: [] }),
    { ...message(`m_${id}`, `answer ${id}`), turn_id: id },
    event('turn.completed', { turn_id: id, stop_reason: { type: 'end_turn' } }),
  ]
  const shown = printed([
    input('a', null),
    input('b', null),
    ...turn('a'),
    input('c', null),
    ...turn('b'),
    ...turn('c'),
  ])
  const part = (id: string) => `  ✓ run  ${id}  0.0 s\nanswer ${id}\n✓ end_turn · 0.0 s\n`
  expect(shown).toBe(`› ask a\n› ask b\n${part('a')}› ask c\n${part('b')}${part('c')}`)
})

test('a turn ends in a line of stop reason, time, tokens and cost', () => {
  const usage = {
    input_tokens: 1000,
    output_tokens: 5,
    cache_read_input_tokens: 234,
    cache_creation_input_tokens: 0,
    cost_usd: 0.01,
  }
  expect(
    printed([
      event('turn.started'),
      event('turn.completed', { stop_reason: { type: 'end_turn' }, usage, created_at: '2026-01-01T00:01:15.000Z' }),
    ]),
  ).toBe('✓ end_turn · 1 min 15 s · 1,234 in, 5 out tokens · $0.0100\n')
})

test('what a subagent says and does is printed under its name, apart from the answer', () => {
  const inside = { session_thread_id: 'sthr_1' }
  const named = { agent_name: 'general-purpose', description: 'Look around' }
  const created = event('session.thread_created', { ...inside, ...named })
  const use = event('agent.tool_use', { ...inside, name: 'Bash', input: { command: 'ls' } })
  expect(
    printed([
      created,
      use,
      event('agent.tool_result', { ...inside, tool_use_id: use.id, content: [{ type: 'text', text: 'a' }] }),
      event('agent.message', { ...inside, content: [{ type: 'text', text: 'one\ntwo' }] }),
      message('z', 'The answer.'),
    ]),
  ).toBe(
    [
      '  ◇ general-purpose  Look around',
      '    Look around │ ✓ run  ls  0.0 s',
      '    Look around │ one',
      '    Look around │ two',
      'The answer.',
      '',
    ].join('\n'),
  )
})
