import type { ApiKey } from '@troupe/protocol/access'
import { useEffect, useRef } from 'react'
import { useWords } from '../words/use-words.tsx'
import { CopyButton } from './copy-button.tsx'

/** The secret of a key that was just made, until its reader says that it is kept; it is nowhere else in the page. */
export function NewSecret({ apiKey, close }: { apiKey: ApiKey; close: () => void }) {
  const words = useWords()
  const box = useRef<HTMLElement>(null)
  useEffect(() => box.current?.focus(), [apiKey])
  const { secret } = apiKey
  return (
    <section
      className="notice wait stack secret-box"
      ref={box}
      tabIndex={-1}
      aria-label={words.access.secretOf(apiKey.name)}
    >
      <h2>{words.access.secretOf(apiKey.name)}</h2>
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
