import { useEffect, useState } from 'react'
import { client } from '../lib/api.ts'
import { queries } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { Dialog } from './confirm-dialog.tsx'
import { Problem } from './problem.tsx'

/** Deletes old sessions, after saying how many they are. */
export function CleanupDialog({ close }: { close: () => void }) {
  const words = useWords()
  const [hours, setHours] = useState('24')
  const [matched, setMatched] = useState<number | null>(null)
  const [error, setError] = useState<unknown>(null)
  const seconds = Number(hours) * 3600
  const valid = hours !== '' && Number.isFinite(seconds) && seconds >= 0
  useEffect(() => {
    setMatched(null)
    if (!valid) return
    const stop = new AbortController()
    client.sessions
      .prune({ older_than: seconds, dry_run: true }, { signal: stop.signal })
      .then(({ matched }) => setMatched(matched))
      .catch((caught) => stop.signal.aborted || setError(caught))
    return () => stop.abort()
  }, [seconds, valid])
  const prune = async () => {
    try {
      await client.sessions.prune({ older_than: seconds })
      await queries.invalidateQueries({ queryKey: ['sessions'] })
      close()
    } catch (caught) {
      setError(caught)
    }
  }
  return (
    <Dialog title={words.table.cleanupTitle} close={close}>
      <div className="body">
        <h2>{words.table.cleanupTitle}</h2>
        <label className="field">
          <span>{words.table.cleanupAge}</span>
          <input type="number" min="0" value={hours} onChange={(event) => setHours(event.target.value)} />
        </label>
        <p className="small soft" role="status">
          {matched === null ? words.loading : words.table.cleanupCount(matched)}
        </p>
        {error !== null && <Problem error={error} />}
        <div className="row">
          <span className="grow" />
          <button type="button" onClick={close}>
            {words.cancel}
          </button>
          <button type="button" className="danger" disabled={!matched} onClick={() => void prune()}>
            {words.table.cleanupDo}
          </button>
        </div>
      </div>
    </Dialog>
  )
}
