import { useQuery } from '@tanstack/react-query'
import type { Environment } from '@troupe/protocol/environment'
import { useState } from 'react'
import { EnvironmentCard } from '../components/environment-card.tsx'
import { EnvironmentForm } from '../components/environment-form.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { environmentsQuery } from '../lib/environments.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Environments asked for at first, and more each time; a page has at most 1,000. */
const PAGE = 50
const MOST = 1_000

/** Where sessions work, and what they may reach there. */
export function EnvironmentsPage() {
  const words = useWords()
  const [archived, setArchived] = useState(false)
  const [limit, setLimit] = useState(PAGE)
  const { data, error, isPending, refetch } = useQuery(environmentsQuery(limit, archived))
  const [editing, edit] = useState<Environment | 'new' | null>(null)
  usePageTitle(words.environments.title)
  const all = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.environments.title}</h1>
          <button type="button" className="primary" onClick={() => edit('new')}>
            {words.environments.add}
          </button>
        </div>
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={3} />
        ) : (
          <ul className="stack">
            {all.map((environment) => (
              <EnvironmentCard key={environment.id} environment={environment} edit={() => edit(environment)} />
            ))}
          </ul>
        )}
        {!isPending && !error && all.length === 0 && <p className="empty">{words.environments.none}</p>}
        <div className="row wrap small soft">
          <label className="row grow">
            <input type="checkbox" checked={archived} onChange={() => setArchived(!archived)} />
            {words.environments.showArchived}
          </label>
          {data?.next_page && limit < MOST && (
            <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
              {words.table.more}
            </button>
          )}
        </div>
      </div>
      {editing && <EnvironmentForm saved={editing === 'new' ? null : editing} close={() => edit(null)} />}
    </main>
  )
}
