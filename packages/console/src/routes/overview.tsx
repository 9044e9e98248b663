import { useQuery } from '@tanstack/react-query'
import type { Session } from '@troupe/protocol/session'
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react'
import { CleanupDialog } from '../components/cleanup-dialog.tsx'
import { ConfirmDialog } from '../components/confirm-dialog.tsx'
import { Health } from '../components/health.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton, titleOf } from '../components/session-list.tsx'
import { SessionTable } from '../components/session-table.tsx'
import { client } from '../lib/api.ts'
import { onKey } from '../lib/keys.ts'
import { approvalsQuery, foundQuery, queries, sessionsQuery } from '../lib/queries.ts'
import { type State, stateOf, STATES } from '../lib/session-state.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

const Usage = lazy(() => import('../components/usage.tsx'))
/** Sessions asked for at first, and more each time. */
const PAGE = 200

export function OverviewPage() {
  const words = useWords()
  const [limit, setLimit] = useState(PAGE)
  const { data, error, isPending, refetch } = useQuery(sessionsQuery(limit, true))
  const approvals = useQuery(approvalsQuery())
  const [search, setSearch] = useState('')
  const [state, setState] = useState<State | ''>('')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [dialog, setDialog] = useState<'delete' | 'cleanup' | null>(null)
  const [failed, setFailed] = useState(0)
  const [busy, setBusy] = useState(false)
  const searchBox = useRef<HTMLInputElement>(null)
  usePageTitle(words.overview)
  useEffect(() => onKey({ '/': () => searchBox.current?.focus() }), [])

  const sought = search.trim().toLowerCase()
  const found = useQuery(foundQuery(sought)).data?.data
  const all = data?.data ?? []
  const shown = useMemo(() => {
    const byWords = new Set(sought === '' ? [] : found?.map(({ id }) => id))
    const older = sought === '' ? [] : (found ?? []).filter(({ id }) => !all.some((session) => session.id === id))
    return [...all, ...older].filter((session) => {
      if (state !== '' && stateOf(session) !== state) return false
      if (byWords.has(session.id)) return true
      const text = `${titleOf(session, words)} ${session.id} ${session.uuid} ${session.agent.model.id} ${session.cwd}`
      return text.toLowerCase().includes(sought)
    })
  }, [data, found, sought, state, words])
  const selected = shown.filter(({ id }) => chosen.has(id))

  const forEach = async (act: (session: Session) => Promise<unknown>) => {
    setBusy(true)
    let missed = 0
    // A few at a time: the server has other work.
    for (let index = 0; index < selected.length; index += 5) {
      const results = await Promise.allSettled(selected.slice(index, index + 5).map(act))
      missed += results.filter(({ status }) => status === 'rejected').length
    }
    setFailed(missed)
    setChosen(new Set())
    setBusy(false)
    await queries.invalidateQueries({ queryKey: ['sessions'] })
  }
  const cancel = () =>
    forEach(async ({ id, status, stop_reason }) => {
      if (status === 'running' || status === 'rescheduling' || stop_reason?.type === 'requires_action')
        await client.events.send(id, [{ type: 'user.interrupt', mode: 'graceful' }])
    })

  return (
    <main className="page" id="content">
      <div className="column">
        <h1>{words.overview}</h1>
        <Health waiting={approvals.data ? approvals.data.data.length : null} />
        <section className="stack" aria-label={words.sessions}>
          <div className="toolbar">
            <input
              ref={searchBox}
              type="search"
              value={search}
              placeholder={words.table.search}
              aria-label={words.table.search}
              onChange={(event) => setSearch(event.target.value)}
            />
            <select
              aria-label={words.table.status}
              value={state}
              onChange={(event) => setState(event.target.value as State)}
            >
              <option value="">{words.table.all}</option>
              {STATES.map((each) => (
                <option key={each} value={each}>
                  {words.status[each]}
                </option>
              ))}
            </select>
            <button type="button" onClick={() => setDialog('cleanup')}>
              {words.table.cleanup}
            </button>
          </div>
          {selected.length > 0 && (
            <div className="bulk row wrap">
              <span className="grow">{words.table.selected(selected.length)}</span>
              <button type="button" disabled={busy} onClick={() => void cancel()}>
                {words.table.stopSelected}
              </button>
              <button type="button" className="danger" disabled={busy} onClick={() => setDialog('delete')}>
                {words.table.deleteSelected}
              </button>
            </div>
          )}
          {failed > 0 && (
            <p className="notice bad" role="alert">
              {words.table.someFailed(failed)}
            </p>
          )}
          {error && <Problem error={error} retry={() => void refetch()} />}
          {isPending ? (
            <ListSkeleton rows={8} />
          ) : (
            <SessionTable sessions={shown} chosen={chosen} choose={setChosen} empty={all.length === 0} />
          )}
          <p className="row small faint">
            <span className="grow">{words.table.refreshed}</span>
            {data?.next_page && limit < 1000 && (
              <button type="button" onClick={() => setLimit((before) => Math.min(1000, before + PAGE))}>
                {words.table.more}
              </button>
            )}
          </p>
        </section>
        <Suspense>
          <Usage />
        </Suspense>
      </div>
      {dialog === 'delete' && (
        <ConfirmDialog
          question={words.table.sureDelete(selected.length)}
          action={words.table.deleteSelected}
          confirm={() => void forEach(({ id }) => client.sessions.delete(id))}
          close={() => setDialog(null)}
        />
      )}
      {dialog === 'cleanup' && <CleanupDialog close={() => setDialog(null)} />}
    </main>
  )
}
