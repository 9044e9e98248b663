import { type Call, curlOf, typescriptOf } from '../lib/request-text.ts'
import { useWords } from '../words/use-words.tsx'
import { CopyButton } from './copy-button.tsx'

/** What a button beside it would send, for a terminal and for a program. */
export function CopyRequest({ call, className }: { call: () => Call; className?: string }) {
  const words = useWords()
  return (
    <span className="row wrap copy-request">
      <CopyButton text={() => curlOf(call())} label={words.copyCurl} className={className} />
      <CopyButton text={() => typescriptOf(call())} label={words.copyTypescript} className={className} />
    </span>
  )
}
