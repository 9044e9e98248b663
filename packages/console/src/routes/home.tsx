import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton, SessionList } from '../components/session-list.tsx'
import { StartForm } from '../components/start-form.tsx'
import { agentsQuery } from '../lib/agents.ts'
import { client } from '../lib/api.ts'
import { bodyOf, type Draft } from '../lib/draft.ts'
import { environmentsQuery } from '../lib/environments.ts'
import { modelsQuery, queries, sessionsQuery } from '../lib/queries.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** The first screen: a task on the left, what was begun before on the right. */
export function Home() {
  const words = useWords()
  const navigate = useNavigate()
  const sessions = useQuery(sessionsQuery(30))
  const models = useQuery(modelsQuery)
  const agents = useQuery({ ...agentsQuery(100), retry: false })
  const environments = useQuery(environmentsQuery(100))
  const { agent = '', environment = '' } = useSearch({ from: '/' })
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  usePageTitle(words.newSession)
  useEffect(() => {
    // The next page's code comes while the task is being written.
    void import('./session.tsx')
  }, [])

  const start = async (draft: Draft) => {
    setBusy(true)
    setError(null)
    try {
      const body = bodyOf(draft)
      const id = draft.resume || (await client.sessions.create(body)).id
      if (draft.resume) await client.events.send(id, body.initial_events!)
      void queries.invalidateQueries({ queryKey: ['sessions'] })
      await navigate({ to: '/s/$id', params: { id } })
    } catch (caught) {
      setError(caught)
      setBusy(false)
    }
  }
  const list = sessions.data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="home">
        <div>
          <h1>{words.start}</h1>
          <StartForm
            key={`${agent} ${environment}`}
            agentId={agent}
            environmentId={environment}
            environments={environments.data?.data ?? []}
            agents={agents.data?.data.filter(({ source }) => source !== 'built_in') ?? []}
            models={models.data?.data.map(({ id }) => id).filter((id) => id !== 'default') ?? []}
            sessions={list}
            busy={busy}
            start={(draft) => void start(draft)}
          />
          {error !== null && <Problem error={error} />}
        </div>
        <section className="recent" aria-labelledby="recent">
          <h2 id="recent">{words.recent}</h2>
          {sessions.isPending ? (
            <ListSkeleton />
          ) : list.length === 0 ? (
            <p className="small soft" style={{ padding: '0 12px' }}>
              {words.noSessions}
            </p>
          ) : (
            <>
              <SessionList sessions={list.slice(0, 8)} />
              <p className="small" style={{ padding: 12 }}>
                <Link to="/overview">{words.allSessions}</Link>
              </p>
            </>
          )}
        </section>
      </div>
    </main>
  )
}
