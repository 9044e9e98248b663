import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { changesBetween } from '../lib/agent-changes.ts'
import { versionsQuery } from '../lib/agents.ts'
import { useWords } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'
import { Ago } from './time.tsx'

const Diff = lazy(() => import('./diff.tsx'))

/** What differs between two versions of an agent; at first the newest and the one before it. */
export function AgentVersions({ id, newest }: { id: string; newest: number }) {
  const words = useWords()
  const { data, error, refetch } = useQuery(versionsQuery(id, newest))
  const [chosen, choose] = useState<{ from?: number; to?: number }>({})
  if (error) return <Problem error={error} retry={() => void refetch()} />
  if (!data) return <ListSkeleton rows={2} />
  const versions = data.data
  const to = versions.find(({ version }) => version === chosen.to) ?? versions[0]
  const from = versions.find(({ version }) => version === chosen.from) ?? versions[1]
  if (!to || !from) return <p className="small soft">{words.agents.onlyOne}</p>
  const select = (end: 'from' | 'to', value: number) => (
    <label className="row small soft">
      <span>{words.agents[end]}</span>
      <select value={value} onChange={(event) => choose({ ...chosen, [end]: Number(event.target.value) })}>
        {versions.map(({ version }) => (
          <option key={version} value={version}>
            {words.agents.version(version)}
          </option>
        ))}
      </select>
    </label>
  )
  const changes = changesBetween(from, to)
  return (
    <div className="stack">
      <div className="row wrap compared">
        {select('from', from.version)}
        {select('to', to.version)}
        <span className="tiny faint">
          <Ago at={to.updated_at} />
        </span>
      </div>
      {changes.length === 0 && <p className="small soft">{words.agents.same}</p>}
      <Suspense fallback={<ListSkeleton rows={2} />}>
        {changes.map(({ field, before, after }) => (
          <Diff key={field} path={field} before={before} after={after} />
        ))}
      </Suspense>
    </div>
  )
}
