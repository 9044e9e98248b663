import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ApprovalCard } from '../components/approval-card.tsx'
import { ApprovalHistory } from '../components/approval-history.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { approvalsQuery } from '../lib/queries.ts'
import { useLingering } from '../lib/lingering.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Everything that waits for a person, over all sessions, oldest first. */
export function ApprovalsPage() {
  const words = useWords()
  const { data, error, isPending, refetch } = useQuery(approvalsQuery())
  const shown = useLingering(data?.data ?? [])
  const [history, setHistory] = useState(false)
  usePageTitle(words.approvals)
  return (
    <main className="page" id="content">
      <div className="column narrow">
        <div className="row wrap">
          <h1 className="grow">{words.approvals}</h1>
          <button type="button" aria-expanded={history} onClick={() => setHistory(!history)}>
            {words.history.title}
          </button>
        </div>
        {isPending && <ListSkeleton />}
        {error && <Problem error={error} retry={() => void refetch()} />}
        {data === null && <p className="notice">{words.ask.unavailable}</p>}
        {data && shown.length === 0 && (
          <div className="empty">
            <p>{words.ask.empty}</p>
            <p className="small faint">{words.ask.emptyMore}</p>
          </div>
        )}
        <div className="stack">
          {shown.map(({ approval, gone }) => (
            <ApprovalCard key={approval.id} approval={approval} gone={gone} named />
          ))}
        </div>
        {history && (
          <section className="stack" aria-labelledby="history">
            <h2 id="history">{words.history.title}</h2>
            <ApprovalHistory />
          </section>
        )}
      </div>
    </main>
  )
}
