import { useEffect, useRef } from 'react'
import { useWords } from '../words/use-words.tsx'
import { CopyButton } from './copy-button.tsx'

/** A secret that was just made, until its reader says that it is kept; it is nowhere else in the page. */
export function NewSecret({
  name,
  secret,
  close,
}: {
  /** What it is the secret of. */
  name: string
  /** Null: what was made is there, but the answer with its secret was lost. */
  secret: string | null
  close: () => void
}) {
  const words = useWords()
  const box = useRef<HTMLElement>(null)
  useEffect(() => box.current?.focus(), [secret])
  return (
    <section className="notice wait stack secret-box" ref={box} tabIndex={-1} aria-label={words.access.secretOf(name)}>
      <h2>{words.access.secretOf(name)}</h2>
      {secret ? (
        <>
          <p>{words.access.once}</p>
          <code className="secret" data-secret>
            {secret}
          </code>
        </>
      ) : (
        <p>{words.access.lost}</p>
      )}
      <div className="row wrap">
        {secret && <CopyButton className="primary" text={() => secret} />}
        <button type="button" onClick={close}>
          {secret ? words.access.kept : words.close}
        </button>
      </div>
    </section>
  )
}
