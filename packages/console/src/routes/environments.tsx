import { useQuery } from '@tanstack/react-query'
import type { Environment } from '@troupe/protocol/environment'
import { useState } from 'react'
import { EnvironmentCard } from '../components/environment-card.tsx'
import { EnvironmentForm } from '../components/environment-form.tsx'
import { ListFoot } from '../components/list-foot.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { environmentsQuery } from '../lib/environments.ts'
import { usePageSize } from '../lib/use-page-size.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Environments asked for at first, and more each time. */
const PAGE = 50

/** Where sessions work, and what they may reach there. */
export function EnvironmentsPage() {
  const words = useWords()
  const [archived, setArchived] = useState(false)
  const { limit, moreOf } = usePageSize(PAGE)
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
        <ListFoot label={words.environments.showArchived} checked={archived} change={setArchived} more={moreOf(data)} />
      </div>
      {editing && <EnvironmentForm saved={editing === 'new' ? null : editing} close={() => edit(null)} />}
    </main>
  )
}
