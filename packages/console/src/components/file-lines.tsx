import { useMemo } from 'react'
import { tokenLinesOf } from '../lib/code-tokens.ts'
import { languageOf } from '../lib/language-of.ts'
import type { ReadLines } from '../lib/read-lines.ts'
import { useWords } from '../words/use-words.tsx'
import { Pieces } from './coloured.tsx'

/** A part of a file, with the numbers of its lines, and what the tool said behind it. */
export default function FileLines({ path, read }: { path: string; read: ReadLines }) {
  const words = useWords()
  const lines = useMemo(() => tokenLinesOf(read.lines.join('\n'), languageOf(path)), [path, read])
  return (
    <>
      <div className="diff file" tabIndex={0} role="group" aria-label={path}>
        {lines.map((tokens, index) => (
          <div key={index} className="line">
            <span>{read.first + index}</span>
            <span>
              <Pieces tokens={tokens} />
            </span>
          </div>
        ))}
        {read.cut > 0 && <div className="path">{words.tool.cut(read.cut)}</div>}
      </div>
      {read.rest !== '' && <div className="block">{read.rest}</div>}
    </>
  )
}
