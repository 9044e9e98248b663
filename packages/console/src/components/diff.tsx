import { diffLines } from 'diff'
import { useMemo } from 'react'
import { type CodeToken, tokenLinesOf } from '../lib/code-tokens.ts'
import { languageOf } from '../lib/language-of.ts'
import { Pieces } from './coloured.tsx'

/** Lines shown of one change. */
const MOST = 600
/** Characters above which lines are not compared but listed: comparing grows with the square of the changes. */
const COMPARE = 200_000

interface Line {
  mark: '+' | '-' | ' '
  number: number
  tokens: CodeToken[]
}

/** A change of a file, line by line. With nothing before it, a new file. */
export default function Diff({ path, before, after }: { path: string; before: string; after: string }) {
  const lines = useMemo(() => linesOf(before, after, languageOf(path)), [before, after, path])
  return (
    <div className="diff" tabIndex={0} role="group" aria-label={path}>
      <div className="path">{path}</div>
      {lines.slice(0, MOST).map(({ mark, number, tokens }, index) => (
        <div key={index} className={mark === '+' ? 'line add' : mark === '-' ? 'line del' : 'line'}>
          <span>{number}</span>
          <span>{mark}</span>
          <span>
            <Pieces tokens={tokens} />
          </span>
        </div>
      ))}
      {lines.length > MOST && <div className="path">… {lines.length - MOST}</div>}
    </div>
  )
}

function linesOf(before: string, after: string, language: string): Line[] {
  const [old, now] = [tokenLinesOf(before, language), tokenLinesOf(after, language)]
  const parts =
    before === '' || before.length + after.length > COMPARE
      ? [
          { value: before, removed: true, added: false },
          { value: after, added: true, removed: false },
        ]
      : diffLines(before, after)
  const lines: Line[] = []
  let oldLine = 1
  let newLine = 1
  for (const { value, added, removed } of parts) {
    if (value === '') continue
    for (const _line of value.replace(/\n$/, '').split('\n')) {
      const number = removed ? oldLine : newLine
      const tokens = (removed ? old : now)[number - 1] ?? []
      lines.push({ mark: added ? '+' : removed ? '-' : ' ', number, tokens })
      if (!added) oldLine++
      if (!removed) newLine++
    }
  }
  return lines
}
