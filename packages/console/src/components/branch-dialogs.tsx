import type { Rewind } from '@troupe/protocol/branch'
import type { SessionEvent } from '@troupe/protocol/event'
import { useEffect, useMemo, useState } from 'react'
import { client } from '../lib/api.ts'
import { pointsOf } from '../lib/points.ts'
import { queries } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'
import { Problem } from './problem.tsx'

interface Branching {
  sessionId: string
  events: readonly SessionEvent[]
  close: () => void
}

/** Makes another session that goes on from here, or from before something was said. */
export function ForkDialog({ sessionId, events, forked, close }: Branching & { forked: (id: string) => void }) {
  const words = useWords()
  const points = useMemo(() => pointsOf(events), [events])
  const [at, setAt] = useState('')
  const body = at === '' ? {} : { at_event_id: at }
  return (
    <FormDialog
      title={words.branch.fork}
      action={words.branch.fork}
      call={() => ({ method: 'POST', path: `/v1/sessions/${sessionId}/fork`, body })}
      submit={async () => {
        const { id } = await client.sessions.fork(sessionId, body)
        void queries.invalidateQueries({ queryKey: ['sessions'] })
        forked(id)
      }}
      close={close}
    >
      <p>{words.branch.forkMeans}</p>
      <label className="field">
        <span>{words.branch.from}</span>
        <select value={at} onChange={(event) => setAt(event.target.value)}>
          <option value="">{words.branch.now}</option>
          {points.map(({ id, text }) => (
            <option key={id} value={id}>
              {words.branch.before(text)}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  )
}

const SCOPES = ['both', 'conversation', 'files'] as const
type RewindScope = (typeof SCOPES)[number]

/** Sets a session back to before something was said, after saying what that would change. */
export function RewindDialog({ sessionId, events, close }: Branching) {
  const words = useWords()
  const points = useMemo(() => pointsOf(events), [events])
  const [to, setTo] = useState(points[0]?.id ?? '')
  const [scope, setScope] = useState<RewindScope>('both')
  const [plan, setPlan] = useState<Rewind | null>(null)
  const [error, setError] = useState<unknown>(null)
  useEffect(() => {
    setPlan(null)
    setError(null)
    if (to === '') return
    const stop = new AbortController()
    client.sessions
      .rewind(sessionId, { to_event_id: to, scope, dry_run: true }, { signal: stop.signal })
      .then(setPlan)
      .catch((caught) => stop.signal.aborted || setError(caught))
    return () => stop.abort()
  }, [sessionId, to, scope])
  const files = plan?.files
  const lists = files
    ? ([
        [words.branch.written, files.written],
        [words.branch.removed, files.removed],
        [words.branch.notRestored, files.not_restored],
      ] as const)
    : []
  return (
    <FormDialog
      title={words.branch.rewind}
      action={words.branch.rewind}
      danger
      ready={plan !== null}
      call={() => ({ method: 'POST', path: `/v1/sessions/${sessionId}/rewind`, body: { to_event_id: to, scope } })}
      submit={async () => {
        await client.sessions.rewind(sessionId, { to_event_id: to, scope })
        void queries.invalidateQueries({ queryKey: ['session', sessionId] })
      }}
      close={close}
    >
      <p>{words.branch.rewindMeans}</p>
      <label className="field">
        <span>{words.branch.to}</span>
        <select value={to} onChange={(event) => setTo(event.target.value)}>
          {points.map(({ id, text }) => (
            <option key={id} value={id}>
              {words.branch.before(text)}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>{words.branch.scope}</span>
        <select value={scope} onChange={(event) => setScope(event.target.value as RewindScope)}>
          {SCOPES.map((each) => (
            <option key={each} value={each}>
              {words.branch.scopes[each]}
            </option>
          ))}
        </select>
      </label>
      {error !== null ? (
        <Problem error={error} />
      ) : (
        <div className="small stack" role="status">
          {plan === null ? (
            <p>{words.loading}</p>
          ) : (
            <>
              {plan.scope !== 'files' && <p>{words.branch.undone(plan.turns_undone.length)}</p>}
              {lists.map(
                ([name, paths]) =>
                  paths.length > 0 && (
                    <div key={name}>
                      <strong>{name}</strong>
                      <ul className="paths">
                        {paths.map((path) => (
                          <li key={path}>
                            <code>{path}</code>
                          </li>
                        ))}
                      </ul>
                    </div>
                  ),
              )}
              {files?.truncated && <p>{words.branch.moreFiles}</p>}
              {files && lists.every(([, paths]) => paths.length === 0) && <p>{words.branch.noFiles}</p>}
            </>
          )}
        </div>
      )}
    </FormDialog>
  )
}
