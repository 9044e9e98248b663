import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { clean, Cleaner, cleanLine } from '../src/clean.ts'
import { jsonLine } from '../src/json.ts'

const WHOLE = '\x1b[31m|\x1b[2J|\x1b]0;title\x07|\x1b]52;c;cHduZWQ=\x1b\\|\x1b(B|\x1bc|\x9b1;2H|\x9d0;t\x9c'.split('|')
const PARTS = '\x1b|\x1b[|\x1b]|\x1bP|\x9b|\x07|\b|\r|\x00|\x7f|\x85|[31m|\n|\t|é中🙂|text '.split('|')
const sequences = fc.constantFrom(...WHOLE, ...PARTS)
const hostile = fc.array(sequences, { maxLength: 12 }).map((parts) => parts.join(''))
// oxlint-disable-next-line no-control-regex -- what must not come through
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/

test('escape sequences are taken out whole, other text stays as it is', () => {
  expect(clean('\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x07 a\tb\nc é中🙂')).toBe(
    'red link a\tb\nc é中🙂',
  )
  expect(clean('over\rwrite\b\b and \x9b2J C1')).toBe('overwrite and  C1')
  expect(cleanLine('one\n   two\tthree')).toBe('one two three')
})

test('no control character but newline and tab comes through, whatever is sent', () => {
  fc.assert(
    fc.property(fc.oneof(hostile, fc.string({ unit: 'binary' })), (text) => {
      expect(clean(text)).not.toMatch(CONTROL)
      expect(cleanLine(text)).not.toMatch(/[\n\t]/)
    }),
  )
})

test('no control character comes through in pieces either, wherever the text is cut', () => {
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 5 }), (pieces) => {
      const cleaner = new Cleaner()
      const shown = pieces.map((piece) => cleaner.next(piece)).join('') + cleaner.end()
      expect(shown).not.toMatch(CONTROL)
    }),
  )
})

test('a sequence that is cut in two is taken out whole', () => {
  const whole = 'a\x1b[1;31mb\x1b]0;title\x07c\x1b(Bd'
  for (let cut = 0; cut <= whole.length; cut++) {
    const cleaner = new Cleaner()
    expect(cleaner.next(whole.slice(0, cut)) + cleaner.next(whole.slice(cut)) + cleaner.end()).toBe('abcd')
  }
})

test('a sequence that never ends does not hold the text back for ever', () => {
  const cleaner = new Cleaner()
  expect(cleaner.next(`\x1b]0;${'x'.repeat(10_000)}`)).toContain('xxx')
})

test('a megabyte of beginnings is cleaned in a moment', () => {
  const start = performance.now()
  for (const piece of ['\x1b]', '\x9d', '\x1b[', '\x9b1', '\x1bP;']) clean(piece.repeat(500_000))
  expect(performance.now() - start).toBeLessThan(5_000)
})

test('a line of JSON holds no control characters and reads back as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = jsonLine({ text })
      expect(line).not.toMatch(CONTROL)
      expect(JSON.parse(line)).toEqual({ text })
    }),
  )
  expect(jsonLine('a\u0085b\u2028c\u2029d')).toBe(String.raw`"a\u0085b\u2028c\u2029d"`)
})
