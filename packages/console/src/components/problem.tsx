import { TroupeError } from '@troupe/client/errors'
import { useWords } from '../words/use-words.tsx'

/** What happened, in the server's words, and a way to go on. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const words = useWords()
  const detail = error instanceof TroupeError ? error.detail : words.offline
  return (
    <div className="notice bad row wrap" role="alert">
      <span className="grow">
        <strong>{words.failedTitle}.</strong> {detail}
      </span>
      {retry && (
        <button type="button" onClick={retry}>
          {words.retry}
        </button>
      )}
    </div>
  )
}
