import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { ListFoot } from '../components/list-foot.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { Ago } from '../components/time.tsx'
import { agentsQuery } from '../lib/agents.ts'
import { usePageSize } from '../lib/use-page-size.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Agents asked for at first, and more each time. */
const PAGE = 100

/** The saved agents, each with what it is and where it comes from. */
export function AgentsPage() {
  const words = useWords()
  const [archived, setArchived] = useState(false)
  const { limit, moreOf } = usePageSize(PAGE)
  const { data, error, isPending, refetch } = useQuery(agentsQuery(limit, archived))
  usePageTitle(words.agents.title)
  const agents = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.agents.title}</h1>
          <Link to="/agents/$id" params={{ id: 'new' }} className="button primary">
            {words.agents.add}
          </Link>
        </div>
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={4} />
        ) : agents.length > 0 ? (
          <div className="table" tabIndex={0} role="group" aria-label={words.agents.title}>
            <table>
              <thead>
                <tr>
                  <th>{words.agents.name}</th>
                  <th>{words.option.model}</th>
                  <th className="hide-phone">{words.agents.keptIn}</th>
                  <th className="num hide-phone">{words.table.updated}</th>
                </tr>
              </thead>
              <tbody>
                {agents.map((agent) => (
                  <tr key={agent.id} data-agent={agent.id}>
                    <td className="name">
                      <Link to="/agents/$id" params={{ id: agent.id }} className="clip">
                        {agent.name}
                      </Link>
                      {agent.description && <div className="tiny soft clip">{agent.description}</div>}
                    </td>
                    <td className="soft">{agent.model.id}</td>
                    <td className="hide-phone soft">
                      {agent.archived_at ? words.status.archived : words.agents.source[agent.source]}
                    </td>
                    <td className="num hide-phone soft">
                      {words.agents.version(agent.version)}
                      <div className="tiny faint">
                        <Ago at={agent.updated_at} />
                      </div>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          !error && <p className="empty">{words.agents.none}</p>
        )}
        <ListFoot label={words.agents.showArchived} checked={archived} change={setArchived} more={moreOf(data)} />
      </div>
    </main>
  )
}
