import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, test } from 'vitest'
import { Markdown } from '../src/components/markdown.tsx'
import { questionsOf } from '../src/lib/questions.ts'
import { ToolCall } from '../src/components/tool-call.tsx'
import { bodyOf, EMPTY_DRAFT, namesIn } from '../src/lib/draft.ts'
import { duration, money, relative } from '../src/lib/format.ts'
import { rowsOf } from '../src/lib/rows.ts'
import { stateOf } from '../src/lib/session-state.ts'
import { en } from '../src/words/en.ts'
import { ja } from '../src/words/ja.ts'
import { event, toolCall, viewOf } from './support/factories.ts'

/** Every text of a table of words, by its path. */
function textsOf(words: object, path = ''): Map<string, string> {
  const texts = new Map<string, string>()
  for (const [key, value] of Object.entries(words)) {
    const at = `${path}.${key}`
    if (typeof value === 'string') texts.set(at, value)
    else if (typeof value === 'function') texts.set(at, (value as (...args: unknown[]) => string)(2, 3))
    else for (const [inner, text] of textsOf(value as object, at)) texts.set(inner, text)
  }
  return texts
}

describe('words', () => {
  test('U5 every word is there in both languages, and none was left in the other', () => {
    const [english, japanese] = [textsOf(en), textsOf(ja)]
    expect([...japanese.keys()]).toEqual([...english.keys()])
    expect([...english, ...japanese].filter(([, text]) => text.trim() === '')).toEqual([])
    const same = [...english].filter(
      ([path, text]) => japanese.get(path) === text && !/\.keys\.list\.\d+\.0$/.test(path),
    )
    expect(same).toEqual([])
  })

  test('U5 times and money are written in the language of the reader', () => {
    const now = Date.parse('2026-01-01T00:10:00Z')
    expect(relative(now - 180_000, now, 'en')).toBe('3 min. ago')
    expect(relative(now - 180_000, now, 'ja')).toBe('3 分前')
    expect(money(0.0042, 'en')).toBe('$0.0042')
    expect(money(0.07, 'en')).toBe('$0.07')
    expect([duration(4_200), duration(185_000), duration(7_800_000)]).toEqual(['4.2s', '3m 05s', '2h 10m'])
  })
})

describe('the transcript', () => {
  test('U6 what an agent writes is shown as text: no tag, no script address, no picture from elsewhere', () => {
    const text =
      '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> [go](javascript:alert(1)) ![p](https://example.com/p.png)\n\n| a |\n|---|\n| <b>x</b> |\n\n`<i>`'
    const html = renderToStaticMarkup(createElement(Markdown, { text }))
    expect(html).not.toMatch(/<(script|img|b|i)\b/)
    expect(html).not.toMatch(/<[^>]*(href|src)=/)
    expect(html).toContain('&lt;script&gt;')
  })

  test('U6 text of an agent becomes headings, lists, tables and code', () => {
    const text = '# One\n\n1. two\n2. **three**\n\n```js\nfour()\n```\n\n[five](https://example.com)'
    const html = renderToStaticMarkup(createElement(Markdown, { text }))
    for (const part of ['<h3>One</h3>', '<ol', '<strong>three</strong>', 'four()', 'rel="noopener'])
      expect(html).toContain(part)
  })

  test('U7 runs of reads and of searches are one line each; one that failed or still runs stands alone', () => {
    const view = viewOf([
      event('user.message', { content: 'go' }),
      ...toolCall('Read', { file_path: '/a' }, 'x'),
      ...toolCall('Read', { file_path: '/b' }, 'x'),
      ...toolCall('Read', { file_path: '/c' }, 'no such file', true),
      ...toolCall('Grep', { pattern: 'x' }, 'a:1'),
      ...toolCall('Glob', { pattern: '*' }, 'a'),
      ...toolCall('Read', { file_path: '/d' }),
    ])
    expect(rowsOf(view).map((row) => (row.kind === 'group' ? `${row.of} ${row.items.length}` : row.kind))).toEqual([
      'item',
      'Read 2',
      'item',
      'search 2',
      'item',
    ])
  })

  test('U7 a message keeps its place when its preview becomes final', () => {
    const preview = { id: 'sevt_9', type: 'agent.message' as const, text: 'Hel' }
    const [before] = rowsOf({ items: [], preview })
    const { items } = viewOf([event('agent.message', { id: 'sevt_9', content: [{ type: 'text', text: 'Hello' }] })])
    expect(rowsOf({ items, preview: null })[0]!.key).toBe(before!.key)
  })

  test('U7 a call that failed is open by itself, one that went well is folded', () => {
    const show = (...made: ReturnType<typeof toolCall>) => {
      const [item] = viewOf(made).items
      if (item?.kind !== 'tool') throw new Error('no tool')
      return renderToStaticMarkup(createElement(ToolCall, { item, waiting: false, live: false, open: null }))
    }
    const failed = show(...toolCall('Bash', { command: 'false' }, 'exit 1', true))
    expect(failed).toMatch(/<details[^>]* open/)
    expect(failed).toContain('exit 1')
    const fine = show(...toolCall('Bash', { command: 'true' }, 'all\nfine'))
    expect(fine).not.toMatch(/<details[^>]* open/)
    expect(fine).toContain('2 lines')
  })

  test('U18 the answer of a session with a schema stands open, each field by its name; what did not fit says why', () => {
    const html = (made: ReturnType<typeof toolCall>) => {
      const [item] = viewOf(made).items
      if (item?.kind !== 'tool') throw new Error('no tool')
      return renderToStaticMarkup(createElement(ToolCall, { item, waiting: false, live: false, open: null }))
    }
    const answer = html(toolCall('StructuredOutput', { city: 'Rome', people: 4 }, 'Structured output provided'))
    for (const shown of [' open=""', '>Answer<', '<dt>city</dt><dd>Rome</dd>', '<dd>4</dd>'])
      expect(answer).toContain(shown)
    expect(answer).not.toContain('provided')
    expect(html(toolCall('StructuredOutput', { city: 3 }, '/city must be string', true))).toContain('must be string')
  })
})

describe('sessions', () => {
  test('U8 a state is one of eight words, whatever the server says', () => {
    const idle = (type: string) => stateOf({ status: 'idle', stop_reason: { type }, last_error: null })
    expect(['end_turn', 'requires_action', 'interrupted', 'retries_exhausted', 'of a later server'].map(idle)).toEqual([
      'done',
      'waiting',
      'stopped',
      'failed',
      'failed',
    ])
    expect(stateOf({ status: 'running', stop_reason: null, last_error: null, queue: { position: 1 } })).toBe('queued')
    expect(stateOf({ status: 'idle', stop_reason: null, last_error: null })).toBe('idle')
    expect(stateOf({ status: 'terminated', stop_reason: { type: 'end_turn' }, last_error: null })).toBe('archived')
  })

  test('U8 the form asks for what was filled in and nothing else', () => {
    expect(bodyOf({ ...EMPTY_DRAFT, prompt: 'x' })).toEqual({
      agent: { type: 'inline' },
      initial_events: [{ type: 'user.message', content: 'x' }],
    })
    const full = {
      model: ' opus ',
      mode: 'plan',
      system: 'Be brief',
      maxTurns: '7',
      cwd: '/w',
      allowed: 'Read, Bash(a,b:*)',
    }
    expect(bodyOf({ ...EMPTY_DRAFT, ...full, prompt: 'x' })).toMatchObject({
      agent: { model: 'opus', permission_mode: 'plan', system: 'Be brief', allowed_tools: ['Read', 'Bash(a,b:*)'] },
      cwd: '/w',
      limits: { max_turns: 7 },
    })
    expect(namesIn(' , Read,,Write ')).toEqual(['Read', 'Write'])
  })

  test('U8 questions are read with care', () => {
    expect(questionsOf(null)).toEqual([])
    expect(
      questionsOf({ questions: [{ question: 'Which?', options: [{ label: 'A' }, 7], multiSelect: true }] }),
    ).toEqual([
      {
        question: 'Which?',
        header: '',
        many: true,
        options: [
          { label: 'A', description: '' },
          { label: '', description: '' },
        ],
      },
    ])
  })
})
