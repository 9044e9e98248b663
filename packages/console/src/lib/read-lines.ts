import { textOf } from '@troupe/client/content'
import type { ToolItem } from '@troupe/client/view'

/** What a Read shows of a file: its lines, the number of the first, what was said behind them, and how much is left out. */
export interface ReadLines {
  first: number
  lines: string[]
  rest: string
  /** Characters. */
  cut: number
}

const NUMBERED = /^ *(\d{1,9})(?:→|\t)(.*)$/

/** The lines that a call of Read has shown; null for another call, and where it showed something else. */
export function readOf({ name, result }: Pick<ToolItem, 'name' | 'result'>, most: number): ReadLines | null {
  if (name !== 'Read' || !result || result.isError) return null
  // Not trimmed: behind the last line break of a file stands the number of a line without a text.
  return readLines(textOf(result.content), most)
}

/** Reads the numbered lines of a Read's result, of `most` characters; null where it is something else. */
export function readLines(result: string, most: number): ReadLines | null {
  const whole = result.length <= most ? result.length : result.lastIndexOf('\n', most)
  const end = whole > 0 ? whole : most
  const all = result.slice(0, end).split('\n')
  const lines: string[] = []
  let first = 0
  for (const line of all) {
    const [, number, text] = NUMBERED.exec(line) ?? []
    if (number === undefined || (lines.length > 0 && Number(number) !== first + lines.length)) break
    if (lines.length === 0) first = Number(number)
    lines.push(text!)
  }
  if (lines.length === 0) return null
  return {
    first,
    lines,
    rest: all.slice(lines.length).join('\n').trim(),
    cut: result.length - Math.min(end, result.length),
  }
}
