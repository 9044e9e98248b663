import { expect, test } from 'vitest'
import { UsageError } from '../src/exit.ts'
import { readArgs, wholeNumber } from '../src/flags.ts'
import { splitTools } from '../src/commands/run.ts'
import { hasColour } from '../src/paint.ts'
import { columns, shorten, table } from '../src/table.ts'
import { age, duration, money, statusWords, toolWords } from '../src/words.ts'

const plain = (text: string) => text

test('times and money are short, and nothing small is shown as nothing', () => {
  expect([0, 820, 59_940, 59_960, 75_000, 3_723_000].map(duration)).toEqual(
    '0.0 s|0.8 s|59.9 s|1 min 0 s|1 min 15 s|1 h 2 min'.split('|'),
  )
  const now = Date.parse('2026-01-02T00:00:00Z')
  expect(
    ['2026-01-02T00:00:05Z', '2026-01-01T23:59:18Z', '2026-01-01T23:00:00Z', '2025-12-29T00:00:00Z'].map((at) =>
      age(at, now),
    ),
  ).toEqual(['0 s', '42 s', '1 h', '4 d'])
  expect([0, 0.00001, 0.0123, 1.5].map(money)).toEqual(['$0', '<$0.0001', '$0.0123', '$1.50'])
})

test('a session is shown by its status, and by its stop reason once it is idle', () => {
  const words = (status: string, more: object = {}) =>
    statusWords({ status, stop_reason: null, queue: null, last_error: null, ...more } as never).words
  const idle = (type: string, more: object = {}) => words('idle', { stop_reason: { type }, ...more })
  expect([words('running'), words('running', { queue: { position: 1 } }), words('idle'), words('terminated')]).toEqual(
    'running|queued|idle|terminated'.split('|'),
  )
  expect([idle('end_turn'), idle('requires_action'), idle('something_new')]).toEqual(
    'end_turn|requires_action|something_new'.split('|'),
  )
})

test('a tool call is a verb and a target, a path below the workdir without it', () => {
  const words = (name: string, input: unknown, server: string | null = null) => toolWords({ name, input, server }, '/w')
  expect(words('Read', { file_path: '/w/a/b.ts' })).toEqual({ verb: 'read', target: 'a/b.ts' })
  expect(words('Bash', { command: 'ls' })).toEqual({ verb: 'run', target: 'ls' })
  expect(words('Custom', { n: 1, words: 'these' })).toEqual({ verb: 'Custom', target: 'these' })
  expect(words('search', null, 'docs')).toEqual({ verb: 'docs.search', target: '' })
})

test('tables line up, with wide characters too', () => {
  expect([columns('abc'), columns('日本語'), columns('🙂'), shorten('日本語テキスト', 7), shorten('short', 9)]).toEqual(
    [3, 6, 2, '日本語…', 'short'],
  )
  const rows = [
    ['a', '1'],
    ['日本', '22'],
  ].map(([left, right]) => [
    { text: left!, paint: plain },
    { text: right!, align: 'right' as const },
  ])
  expect(table(rows)).toEqual(['a      1', '日本  22'])
})

test('colours are for terminals, and not where NO_COLOR is set', () => {
  const before = process.env.NO_COLOR
  delete process.env.NO_COLOR
  const colours = [hasColour({ isTTY: true }), hasColour({ isTTY: false })]
  process.env.NO_COLOR = '1'
  expect([...colours, hasColour({ isTTY: true })]).toEqual([true, false, false])
  if (before === undefined) delete process.env.NO_COLOR
  else process.env.NO_COLOR = before
})

test('arguments are read strictly', () => {
  const args = {
    id: { type: 'positional', required: true },
    name: { type: 'string' },
    follow: { type: 'boolean', alias: 'f' },
  } as const
  expect(readArgs(['x', '--name', 'a', '-f', '--name=-b'], args).values).toEqual(new Map([['name', ['a', '-b']]]))
  for (const wrong of [[], ['x', 'y'], ['x', '--nmae', 'a'], ['x', '--name'], ['x', '--name', '-f'], ['x', '-z']])
    expect(() => readArgs(wrong, args), wrong.join(' ')).toThrow(UsageError)
  expect(readArgs(['x', 'y', '--', '-z'], args, true).positionals).toEqual(['x', 'y', '-z'])
  expect(wholeNumber('--n', '12', 1)).toBe(12)
  for (const wrong of ['0', '-1', '1.5', 'x', '', '1e3']) expect(() => wholeNumber('--n', wrong, 1)).toThrow(UsageError)
})

test('tools are split at commas, not inside of a specifier', () => {
  expect(splitTools('Read, Bash(echo a,b),Write,')).toEqual(['Read', 'Bash(echo a,b)', 'Write'])
})
