import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { RUNS, runsQuery } from '../lib/schedules.ts'
import { useWords } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'
import { Ago } from './time.tsx'

const MOST = 1_000

/** What a schedule has started, newest first, and why it could not. */
export function ScheduleRuns({ id }: { id: string }) {
  const words = useWords()
  const [limit, setLimit] = useState(RUNS)
  const { data, error, refetch } = useQuery(runsQuery(id, limit))
  if (error) return <Problem error={error} retry={() => void refetch()} />
  if (!data) return <ListSkeleton rows={2} />
  if (data.data.length === 0) return <p className="small soft">{words.schedules.noRuns}</p>
  return (
    <>
      <ul className="deliveries small">
        {data.data.map((run) => (
          <li key={run.id} className="row wrap run" data-run={run.id}>
            <span className={run.error ? 'status failed' : 'status done'}>
              {run.error ? words.schedules.refused : words.schedules.started}
            </span>
            <span className="soft grow">{run.error?.message ?? words.schedules.trigger[run.trigger_context.type]}</span>
            {run.session_id && (
              <Link to="/s/$id" params={{ id: run.session_id }}>
                {words.ask.open}
              </Link>
            )}
            <span className="tiny faint">
              <Ago at={run.created_at} />
            </span>
          </li>
        ))}
      </ul>
      {data.next_page && limit < MOST && (
        <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
          {words.table.more}
        </button>
      )}
    </>
  )
}
