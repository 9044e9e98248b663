import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { NewSession } from '@troupe/client/requests'
import { useEffect, useMemo, useState } from 'react'
import type { AgentBody } from '../lib/agent-draft.ts'
import { client } from '../lib/api.ts'
import { approvalsQuery } from '../lib/queries.ts'
import { rowsOf } from '../lib/rows.ts'
import { useSessionLog } from '../lib/session-log.ts'
import { ShownSession } from '../lib/shown-session.ts'
import { stateOf } from '../lib/session-state.ts'
import { useWords } from '../words/use-words.tsx'
import { ApprovalCard } from './approval-card.tsx'
import { CopyRequest } from './copy-request.tsx'
import { NowLine } from './now-line.tsx'
import { Problem } from './problem.tsx'
import { Transcript } from './transcript.tsx'

/** Runs one prompt with an agent as it stands in a form, and shows what it does: an ordinary session, named after what it is. */
export function TryOut({
  name,
  agent,
  fits,
}: {
  name: string
  agent: () => AgentBody
  /** Whether what stands in the form is an agent; otherwise something else than what is read there would be tried. */
  fits: boolean
}) {
  const words = useWords()
  const [prompt, setPrompt] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [sessionId, setSessionId] = useState<string | null>(null)
  const body = () =>
    ({
      agent: agent(),
      title: words.agents.trySession(name.trim() || words.agents.add).slice(0, 256),
      initial_events: [{ type: 'user.message', content: prompt }],
    }) as unknown as NewSession
  const ready = prompt.trim() !== '' && !busy && fits
  const run = async () => {
    setBusy(true)
    setError(null)
    try {
      setSessionId((await client.sessions.create(body())).id)
    } catch (caught) {
      setError(caught)
    }
    setBusy(false)
  }
  return (
    <section className="try-out" aria-labelledby="try-out">
      <header className="stack">
        <div className="row wrap">
          <h2 id="try-out" className="grow">
            {words.agents.tryTitle}
          </h2>
          {sessionId && (
            <Link to="/s/$id" params={{ id: sessionId }} className="small">
              {words.agents.tryOpen}
            </Link>
          )}
        </div>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault()
            if (ready) void run()
          }}
        >
          <textarea
            rows={2}
            value={prompt}
            aria-label={words.agents.tryPrompt}
            placeholder={words.agents.tryPrompt}
            onChange={(event) => setPrompt(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.metaKey || event.ctrlKey) && ready) void run()
            }}
          />
          <p className="tiny soft">{words.agents.tryHint}</p>
          <div className="row wrap">
            <CopyRequest call={() => ({ method: 'POST', path: '/v1/sessions', body: body() })} />
            <span className="grow" />
            <button type="submit" className="primary" disabled={!ready}>
              {sessionId ? words.agents.tryAgain : words.agents.tryButton}
            </button>
          </div>
        </form>
        {error !== null && <Problem error={error} />}
      </header>
      {sessionId ? <Played key={sessionId} id={sessionId} /> : <p className="empty">{words.agents.tryEmpty}</p>}
    </section>
  )
}

function Played({ id }: { id: string }) {
  const words = useWords()
  const cache = useQueryClient()
  const log = useSessionLog(id)
  const { view } = log
  const approvals = useQuery(approvalsQuery(id))
  const pending = approvals.data?.data ?? []
  const rows = useMemo(() => rowsOf(view), [view.items, view.preview])
  const waiting = useMemo(() => new Set(pending.map((approval) => approval.id)), [approvals.data])
  const running = view.status === 'running' || view.status === 'rescheduling'
  const state = stateOf({
    status: view.status,
    stop_reason: view.stopReason,
    last_error: view.lastError,
    queue: null,
  })
  useEffect(() => {
    for (const queryKey of [['sessions'], ['approvals']]) void cache.invalidateQueries({ queryKey })
  }, [view.status, view.stopReason, cache])
  return (
    <div className="talk">
      <ShownSession.Provider value={id}>
        <Transcript rows={rows} waiting={waiting} live={running} open={null} />
      </ShownSession.Provider>
      <div className="foot">
        <div className="inner">
          {pending.length > 0 && (
            <div className="dock" role="group" aria-label={words.ask.dock}>
              {pending.map((approval) => (
                <ApprovalCard key={approval.id} approval={approval} />
              ))}
            </div>
          )}
          <NowLine log={log} state={state} queued={null} />
        </div>
      </div>
    </div>
  )
}
