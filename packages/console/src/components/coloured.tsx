import { type CodeToken, tokensOf } from '../lib/code-tokens.ts'
import { useDeferredValue, useMemo } from 'react'

export interface CodeText {
  text: string
  language: string
}

/** Code in its colours. What was added while it was being coloured stands behind it without. */
export default function Coloured({ text, language }: CodeText) {
  const known = useDeferredValue(text)
  const tokens = useMemo(() => tokensOf(known, language), [known, language])
  if (!text.startsWith(known)) return <>{text}</>
  return (
    <>
      <Pieces tokens={tokens} />
      {text.slice(known.length)}
    </>
  )
}

/** Pieces of code, each an element with its text: what an agent wrote is never HTML. */
export function Pieces({ tokens }: { tokens: CodeToken[] }) {
  return tokens.map(({ text, kind }, index) =>
    kind === '' ? (
      text
    ) : (
      <span key={index} className={`code-${kind}`}>
        {text}
      </span>
    ),
  )
}
