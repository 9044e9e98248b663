import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { type ReactNode, useEffect, useMemo, useState } from 'react'
import { ApprovalCard } from '../components/approval-card.tsx'
import { Composer, type Delivery } from '../components/composer.tsx'
import { ConfirmDialog } from '../components/confirm-dialog.tsx'
import { Icon } from '../components/icon.tsx'
import { Inspector } from '../components/inspector.tsx'
import { NowLine } from '../components/now-line.tsx'
import { PendingInputs } from '../components/pending-inputs.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton, SessionList, titleOf } from '../components/session-list.tsx'
import { Status } from '../components/status.tsx'
import { ThreadBar } from '../components/thread-bar.tsx'
import { Transcript } from '../components/transcript.tsx'
import { client, compact } from '../lib/api.ts'
import { onKey } from '../lib/keys.ts'
import { useLingering } from '../lib/lingering.ts'
import { recall, remember } from '../lib/memory.ts'
import { approvalsQuery, infoQuery, sessionQuery, sessionsQuery } from '../lib/queries.ts'
import { rowsOf } from '../lib/rows.ts'
import { useSessionLog } from '../lib/session-log.ts'
import { ShownSession } from '../lib/shown-session.ts'
import { stateOf } from '../lib/session-state.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

export function SessionPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  return <SessionView key={id} id={id} />
}

function SessionView({ id }: { id: string }) {
  const words = useWords()
  const navigate = useNavigate()
  const cache = useQueryClient()
  const log = useSessionLog(id)
  const { view } = log
  const session = useQuery(sessionQuery(id))
  const sessions = useQuery(sessionsQuery(30))
  const info = useQuery(infoQuery)
  const approvals = useQuery(approvalsQuery(id))
  const [inspecting, setInspecting] = useState(() => recall('inspector') === 'open')
  const [openAll, setOpenAll] = useState<boolean | null>(null)
  const [error, setError] = useState<unknown>(null)
  const [asking, setAsking] = useState<'interrupt' | 'remove' | null>(null)

  const { thread: threadId } = useSearch({ from: '/s/$id' })
  const thread = threadId === undefined ? undefined : view.threads[threadId]
  const rows = useMemo(
    () => rowsOf(thread ? { items: thread.items, preview: null } : view),
    [thread, view.items, view.preview],
  )
  const status = view.status ?? session.data?.status ?? null
  const queue = session.data?.queue ?? null
  const state = stateOf({
    status,
    stop_reason: view.lastSeq > 0 ? view.stopReason : (session.data?.stop_reason ?? null),
    last_error: view.lastError,
    queue: view.currentTurnId === null ? queue : null,
  })
  const running = status === 'running' || status === 'rescheduling'
  const pending = approvals.data?.data ?? []
  const asked = useLingering(pending)
  const waiting = useMemo(() => new Set(pending.map((approval) => approval.id)), [approvals.data])
  const gone = log.connection === 'gone'
  const title = gone
    ? words.facts.title
    : session.data
      ? titleOf({ ...session.data, title: view.title ?? session.data.title }, words)
      : words.loading
  usePageTitle(title)

  // What the log says has changed is asked for at once.
  useEffect(() => {
    for (const queryKey of [['session', id], ['sessions'], ['approvals']]) void cache.invalidateQueries({ queryKey })
  }, [status, view.stopReason, view.currentTurnId, cache, id])

  const act = async (work: () => Promise<unknown>): Promise<boolean> => {
    setError(null)
    try {
      await work()
      return true
    } catch (caught) {
      setError(caught)
      return false
    }
  }
  const send = (content: string, delivery: Delivery) =>
    act(() => client.events.send(id, [{ type: 'user.message', content, ...(delivery !== 'queue' && { delivery }) }]))
  const interrupt = (mode: 'graceful' | 'now') => {
    setAsking(null)
    void act(() => client.events.send(id, [{ type: 'user.interrupt', mode }]))
  }
  const remove = () =>
    act(async () => {
      await client.sessions.delete(id)
      await navigate({ to: '/' })
    })
  const inspect = (open: boolean) => {
    remember('inspector', open ? 'open' : null)
    setInspecting(open)
  }
  const step = (by: number) => {
    const list = sessions.data?.data ?? []
    const next = list[list.findIndex((each) => each.id === id) + by]
    if (next) void navigate({ to: '/s/$id', params: { id: next.id } })
  }
  useEffect(() =>
    onKey({
      o: () => setOpenAll((open) => open !== true),
      j: () => step(1),
      k: () => step(-1),
      i: () => inspect(!inspecting),
      Escape: () => running && (asking === 'interrupt' ? interrupt('graceful') : setAsking('interrupt')),
    }),
  )

  let body: ReactNode
  if (gone)
    body = (
      <div className="page">
        <div className="empty stack">
          <p>{words.gone}</p>
          <p>
            <Link to="/">{words.newSession}</Link>
          </p>
        </div>
      </div>
    )
  else
    body = (
      <>
        {rows.length === 0 && !thread && log.connection !== 'live' ? (
          <div className="scroll">
            <div className="track">
              <ListSkeleton rows={6} />
            </div>
          </div>
        ) : (
          <ShownSession.Provider value={id}>
            {thread && <ThreadBar sessionId={id} thread={thread} />}
            {thread && rows.length === 0 && <p className="empty">{words.threads.empty}</p>}
            <Transcript
              key={thread?.id ?? 'session'}
              rows={rows}
              waiting={waiting}
              live={running && (!thread || thread.status === 'running')}
              open={openAll}
            />
          </ShownSession.Provider>
        )}
        <div className="foot">
          <div className="inner">
            {asked.length > 0 && (
              <section className="dock" aria-label={words.ask.dock}>
                {asked.map(({ approval, gone }) => (
                  <ApprovalCard key={approval.id} approval={approval} gone={gone} />
                ))}
              </section>
            )}
            <NowLine log={log} state={state} queued={state === 'queued' ? (queue?.position ?? null) : null} />
            {error !== null && <Problem error={error} />}
            <PendingInputs sessionId={id} seq={view.lastSeq} running={running} />
            {asking === 'interrupt' && running && (
              <p className="notice wait row" role="alert">
                <span className="grow">{words.composer.interruptSure}</span>
                <kbd>Esc</kbd>
              </p>
            )}
            {!thread && (
              <Composer
                running={running}
                canSteer={info.data?.capabilities.steering === 'yes'}
                archived={status === 'terminated'}
                send={send}
                interrupt={interrupt}
              />
            )}
          </div>
        </div>
      </>
    )
  return (
    <div className={inspecting ? 'session inspecting' : 'session'}>
      <aside className="side" aria-label={words.recent}>
        <div className="head">
          <Link to="/" className="button grow">
            {words.newSession}
          </Link>
        </div>
        {sessions.data ? <SessionList sessions={sessions.data.data} /> : <ListSkeleton />}
      </aside>
      <main className="talk" id="content">
        <header>
          <h1 className="grow clip">{title}</h1>
          {session.data && !gone && (
            <>
              <span className="hide-phone">
                <Status state={state} />
              </span>
              <button
                type="button"
                className="plain"
                aria-label={words.inspector}
                aria-pressed={inspecting}
                onClick={() => inspect(!inspecting)}
              >
                <Icon name="panel" />
              </button>
            </>
          )}
        </header>
        {body}
      </main>
      {inspecting && session.data && (
        <div className="inspector-box" style={{ display: 'grid', minHeight: 0 }}>
          <Inspector
            session={session.data}
            log={log}
            archive={() => void act(() => client.sessions.archive(id))}
            remove={() => setAsking('remove')}
            compact={view.turns.length > 0 ? () => void act(() => compact(id)) : null}
            call={() => ({ method: 'GET', path: `/v1/sessions/${id}/events/stream?from=start`, stream: true })}
          />
          <button type="button" className="phone-only" onClick={() => inspect(false)}>
            {words.close}
          </button>
        </div>
      )}
      {asking === 'remove' && (
        <ConfirmDialog
          question={words.table.sureDelete(1)}
          action={words.remove}
          confirm={() => void remove()}
          close={() => setAsking(null)}
        />
      )}
    </div>
  )
}
