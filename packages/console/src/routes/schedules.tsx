import { useQuery } from '@tanstack/react-query'
import type { Deployment } from '@troupe/protocol/deployment'
import { useState } from 'react'
import { ListFoot } from '../components/list-foot.tsx'
import { Problem } from '../components/problem.tsx'
import { ScheduleCard } from '../components/schedule-card.tsx'
import { ScheduleForm } from '../components/schedule-form.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { agentsQuery } from '../lib/agents.ts'
import { schedulesQuery } from '../lib/schedules.ts'
import { usePageSize } from '../lib/use-page-size.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Schedules asked for at first, and more each time. */
const PAGE = 50

/** What starts by the clock: deployments, with their next and last runs. */
export function SchedulesPage() {
  const words = useWords()
  const [archived, setArchived] = useState(false)
  const { limit, moreOf } = usePageSize(PAGE)
  const { data, error, isPending, refetch } = useQuery(schedulesQuery(limit, archived))
  const agents = useQuery(agentsQuery(100, true)).data?.data ?? []
  const [editing, edit] = useState<Deployment | 'new' | null>(null)
  usePageTitle(words.schedules.title)
  const nameOf = (id: string) => agents.find((agent) => agent.id === id)?.name ?? id
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.schedules.title}</h1>
          <button type="button" className="primary" onClick={() => edit('new')}>
            {words.schedules.add}
          </button>
        </div>
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={4} />
        ) : data && data.data.length > 0 ? (
          <ul className="stack">
            {data.data.map((schedule) => (
              <ScheduleCard
                key={schedule.id}
                schedule={schedule}
                agentName={nameOf(schedule.agent.id)}
                edit={() => edit(schedule)}
              />
            ))}
          </ul>
        ) : (
          !error && <p className="empty">{words.schedules.none}</p>
        )}
        <ListFoot label={words.schedules.showArchived} checked={archived} change={setArchived} more={moreOf(data)} />
      </div>
      {editing && <ScheduleForm saved={editing === 'new' ? null : editing} close={() => edit(null)} />}
    </main>
  )
}
