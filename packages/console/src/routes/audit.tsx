import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { AuditAction, AuditEvent } from '@troupe/protocol/audit'
import { useState } from 'react'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { Ago } from '../components/time.tsx'
import { keysQuery } from '../lib/access.ts'
import { type AuditFilter, auditQuery, exportPath } from '../lib/audit.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Lines asked for at first, and more each time; a page has at most 1,000. */
const PAGE = 50
const MOST = 1_000

/** Who did what, newest first. */
export function AuditPage() {
  const words = useWords()
  const [filter, setFilter] = useState<AuditFilter>({ about: '', outcome: '', resource: '' })
  const [limit, setLimit] = useState(PAGE)
  const { data, error, isPending, refetch } = useQuery(auditQuery(filter, limit))
  const keys = useQuery({ ...keysQuery(1_000, true), refetchInterval: false }).data?.data ?? []
  usePageTitle(words.audit.title)
  const set = (fields: Partial<AuditFilter>) => {
    setFilter((before) => ({ ...before, ...fields }))
    setLimit(PAGE)
  }
  const whoIs = (principal: string) =>
    (words.audit.principals as Record<string, string>)[principal] ??
    keys.find(({ id }) => id === principal)?.name ??
    principal
  const events = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.audit.title}</h1>
          {/* The browser asks for it itself, with its cookie where it has one. */}
          <a href={exportPath(filter)} download className="button">
            {words.audit.export}
          </a>
        </div>
        <p className="soft">{words.audit.means}</p>
        <div className="toolbar">
          <label className="row small soft">
            <span>{words.audit.about}</span>
            <select value={filter.about} onChange={(event) => set({ about: event.target.value })}>
              <option value="">{words.audit.everything}</option>
              {Object.entries(words.audit.areas).map(([prefix, name]) => (
                <option key={prefix} value={prefix}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label className="row small soft">
            <span>{words.audit.outcome}</span>
            <select
              value={filter.outcome}
              onChange={(event) => set({ outcome: event.target.value as AuditFilter['outcome'] })}
            >
              <option value="">{words.audit.everything}</option>
              {(['done', 'refused'] as const).map((outcome) => (
                <option key={outcome} value={outcome}>
                  {words.audit.outcomes[outcome]}
                </option>
              ))}
            </select>
          </label>
          <input
            type="search"
            aria-label={words.audit.resource}
            placeholder={words.audit.resource}
            maxLength={64}
            value={filter.resource}
            onChange={(event) => set({ resource: event.target.value })}
          />
        </div>
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={6} />
        ) : events.length > 0 ? (
          <div className="table" tabIndex={0} role="group" aria-label={words.audit.title}>
            <table className="keys-table">
              <thead>
                <tr>
                  <th>{words.audit.what}</th>
                  <th>{words.audit.who}</th>
                  <th className="num">{words.audit.when}</th>
                </tr>
              </thead>
              <tbody>
                {events.map((event) => (
                  <Line key={event.id} event={event} who={whoIs(event.principal)} />
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          !error && <p className="empty">{words.audit.none}</p>
        )}
        {data?.next_page && limit < MOST && (
          <p>
            <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
              {words.table.more}
            </button>
          </p>
        )}
      </div>
    </main>
  )
}

/** What it happened to; where that has a page, the way to it. */
function Where({ id, deleted }: { id: string; deleted: boolean }) {
  const code = <code>{id}</code>
  if (deleted) return code
  if (id.startsWith('sesn_'))
    return (
      <Link to="/s/$id" params={{ id }}>
        {code}
      </Link>
    )
  return id.startsWith('agent_') ? (
    <Link to="/agents/$id" params={{ id }}>
      {code}
    </Link>
  ) : (
    code
  )
}

function Line({ event, who }: { event: AuditEvent; who: string }) {
  const words = useWords()
  const { details, request, credential } = event
  return (
    <tr data-audit={event.action}>
      <td>
        <span className={event.outcome === 'refused' ? 'status failed' : ''}>
          {words.audit.actions[event.action as AuditAction] ?? event.action}
        </span>
        {event.count > 1 && <span className="soft"> {words.audit.times(event.count)}</span>}
        {event.reason && <code className="soft"> {event.reason}</code>}
        {event.resource && (
          <div className="tiny faint">
            <Where id={event.resource.id} deleted={event.action.endsWith('.deleted')} />
          </div>
        )}
        <details className="tiny soft">
          <summary>{words.audit.details}</summary>
          <pre>{JSON.stringify({ action: event.action, details, credential, request }, null, 2)}</pre>
        </details>
      </td>
      <td className="soft">{who}</td>
      <td className="num soft">
        <Ago at={event.created_at} />
      </td>
    </tr>
  )
}
