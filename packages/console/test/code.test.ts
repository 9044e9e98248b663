import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, test } from 'vitest'
import Coloured, { Pieces } from '../src/components/coloured.tsx'
import Diff from '../src/components/diff.tsx'
import { isKnown, tokenLinesOf, tokensOf } from '../src/lib/code-tokens.ts'
import { languageOf, languageOfFence } from '../src/lib/language-of.ts'
import { readLines, readOf } from '../src/lib/read-lines.ts'
import { toolCall, viewOf } from './support/factories.ts'

const joined = (tokens: { text: string }[]) => tokens.map(({ text }) => text).join('')

describe('code', () => {
  test('U50 code is coloured as its language says, and what is read is what was written', () => {
    expect(tokensOf('const a = `x${1}` // why', 'typescript')).toEqual([
      { text: 'const', kind: 'word' },
      { text: ' a = ', kind: '' },
      { text: '`x', kind: 'string' },
      { text: '${', kind: '' },
      { text: '1', kind: 'number' },
      { text: '}', kind: '' },
      { text: '`', kind: 'string' },
      { text: ' ', kind: '' },
      { text: '// why', kind: 'comment' },
    ])
    const languages =
      'ts tsx js json py sh bash go rs rb java c cpp cs kt swift php sql css scss html xml yaml toml md diff'
    const known = languages.split(' ').map((name) => languageOf(`/a/b.${name}`))
    expect(known.filter((language) => !isKnown(language))).toEqual([])
    const part = fc.constantFrom(
      ...'<script>|</script>|"|\'|`|${|/*|*/|//|#|\n|\r\n| |{|}|def |class |= 1|é漢|\\'.split('|'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.array(part, { maxLength: 40 }), (language, parts) => {
        const code = parts.join('')
        expect(joined(tokensOf(code, language))).toBe(code)
        expect(tokenLinesOf(code, language).map(joined).join('\n')).toBe(code)
      }),
    )
  })

  test('U50 code in a language that nobody knows, of a machine, or too long is shown without colours', () => {
    for (const [code, language] of [
      ['const a = 1', 'klingon'],
      ['const a = 1', ''],
      ['const a = 1', 'constructor'],
      [`const a = "${'x'.repeat(500)}"`, 'ts'],
      ['const a = 1\n'.repeat(1_000), 'ts'],
    ] as const)
      expect(tokensOf(code, language)).toEqual([{ text: code, kind: '' }])
  })

  test('U50 code becomes elements and never HTML', () => {
    const text = 'const a = "<img src=x onerror=alert(1)>" // <script>'
    const html = renderToStaticMarkup(createElement(Coloured, { text, language: 'js' }))
    expect(html).toContain('<span class="code-word">const</span>')
    expect(html).not.toMatch(/<(?!\/?span[ >])/)
    expect(renderToStaticMarkup(createElement(Pieces, { tokens: tokensOf('<b>', 'xml') }))).not.toContain('<b')
  })

  test('U50 a change shows the lines of both sides in their colours', () => {
    const html = renderToStaticMarkup(
      createElement(Diff, { path: '/a.py', before: 'x = 1\ny = "a"\n', after: 'x = 1\ny = "b"\n' }),
    )
    expect(html.match(/class="line/g)).toHaveLength(3)
    expect(html).toContain('<span class="code-string">&quot;a&quot;</span>')
    expect(html).toContain('<span class="code-string">&quot;b&quot;</span>')
  })

  test('U50 a file that was read has its own line numbers; what the tool said behind it stands apart', () => {
    expect(readLines('    9→a\n   10→\tb\n\n<system-reminder>x</system-reminder>', 99)).toEqual({
      first: 9,
      lines: ['a', '\tb'],
      rest: '<system-reminder>x</system-reminder>',
      cut: 0,
    })
    expect(readLines('1\tone\n2\ttwo', 99)).toMatchObject({ first: 1, lines: ['one', 'two'] })
    expect(readLines('1\tone\n7\ttwo', 99)).toMatchObject({ lines: ['one'], rest: '7\ttwo' })
    expect(readLines('1\tone\n2\ttwo', 9)).toMatchObject({ lines: ['one'], cut: 6 })
    expect(readLines(`1\t${'x'.repeat(50)}`, 9)).toMatchObject({ lines: ['xxxxxxx'], cut: 43 })
    expect(readLines('no such file', 99)).toBeNull()
    const read = (output: string, isError?: boolean, name = 'Read') => {
      const [item] = viewOf(toolCall(name, { file_path: '/a' }, output, isError)).items
      if (item?.kind !== 'tool') throw new Error('no tool')
      return readOf(item, 99)
    }
    // As the genuine agent shows a file that ends with a line break.
    expect(read('1\tone\n2\t')).toEqual({ first: 1, lines: ['one', ''], rest: '', cut: 0 })
    expect([read('1\tone', true), read('1\tone', false, 'Bash')]).toEqual([null, null])
  })

  test('U50 a fence names its language by its first word', () => {
    expect([languageOfFence('TS title="a"'), languageOfFence('c++'), languageOfFence(undefined)]).toEqual([
      'ts',
      'c++',
      '',
    ])
    expect([languageOf('/x/Dockerfile'), languageOf('a.JSON'), languageOf('LICENSE')]).toEqual([
      'dockerfile',
      'json',
      '',
    ])
  })

  test.each(['light', 'dark'])('U50 every colour of code can be read on everything it stands on: %s', (theme) => {
    const css = readFileSync(new URL('../src/styles/tokens.css', import.meta.url), 'utf8')
    const [light = '', dark = ''] = css.split("[data-theme='dark']")
    const block = theme === 'light' ? light : dark.split('@media')[0]!
    const colour = (name: string) => {
      const [, l, c, h] = new RegExp(`--${name}: oklch\\(([\\d.]+)% ([\\d.]+) ([\\d.]+)\\)`).exec(block)!.map(Number)
      return luminance(l! / 100, c!, h!)
    }
    const grounds = ['paper', 'ground', 'sunken', 'good-wash', 'bad-wash'].map(colour)
    for (const name of [
      'code-word',
      'code-string',
      'code-number',
      'code-name',
      'ink-faint',
      'accent-ink',
      'good',
      'bad',
    ])
      for (const ground of grounds) {
        const [low, high] = [colour(name), ground].toSorted((a, b) => a - b)
        expect((high! + 0.05) / (low! + 0.05), name).toBeGreaterThanOrEqual(4.5)
      }
  })
})

/** The relative luminance of WCAG of a colour in OKLCH, clipped to sRGB. */
function luminance(lightness: number, chroma: number, hue: number): number {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)]
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  const clip = (value: number) => Math.min(1, Math.max(0, value))
  const red = clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s)
  const green = clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s)
  const blue = clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
