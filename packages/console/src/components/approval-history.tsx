import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { type Approval } from '../lib/api.ts'
import { answeredQuery } from '../lib/queries.ts'
import { reasonInWords } from '../lib/reasons.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'
import { Ago } from './time.tsx'
import { targetOf, verbOf } from './tool-call.tsx'
import { ToolInput } from './tool-input.tsx'

const PAGE = 50
const MOST = 1_000
const MARK = { allowed: 'status done', denied: 'status failed', expired: 'status', cancelled: 'status' } as const

/** What was asked and answered over all sessions, newest first. */
export function ApprovalHistory() {
  const words = useWords()
  const [limit, setLimit] = useState(PAGE)
  const { data, error, refetch } = useQuery(answeredQuery(limit))
  if (error) return <Problem error={error} retry={() => void refetch()} />
  if (!data) return <ListSkeleton rows={4} />
  const answered = data.data.filter(({ status }) => status !== 'pending')
  return (
    <>
      {answered.length === 0 && <p className="empty">{words.history.none}</p>}
      <ul className="deliveries small" data-history="">
        {answered.map((approval) => (
          <Answered key={approval.id} approval={approval} />
        ))}
      </ul>
      {data.next_page && limit < MOST && (
        <p>
          <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
            {words.table.more}
          </button>
        </p>
      )}
    </>
  )
}

function Answered({ approval }: { approval: Approval }) {
  const words = useWords()
  const [open, setOpen] = useState(false)
  const status = approval.status as keyof typeof MARK
  const call = { name: approval.tool_name, server: null, input: approval.input }
  const { decision } = approval
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className="row">
          <Icon name="chevron" />
          <span className={MARK[status]}>{words.history.status[status]}</span>
          <span className="grow clip">
            {verbOf(words, call)} <code className="soft">{targetOf(call)}</code>
          </span>
          <span className="small soft hide-phone">{approval.actor}</span>
          <span className="tiny faint">
            <Ago at={approval.decided_at ?? approval.created_at} />
          </span>
        </summary>
        {open && (
          <div className="stack">
            <ToolInput name={approval.tool_name} input={decision?.updated_input ?? approval.input} />
            {decision?.updated_input != null && <p className="small soft">{words.history.edited}</p>}
            <p className="small soft">{reasonInWords(approval.reason, words)}</p>
            {decision?.deny_message && (
              <p className="small">
                {words.history.because} {decision.deny_message}
              </p>
            )}
            {decision?.remember && <p className="small soft">{words.history.remember[decision.remember]}</p>}
            <p className="row wrap small">
              <Link to="/s/$id" params={{ id: approval.session_id }}>
                {approval.session_title || words.ask.open}
              </Link>
              {approval.actor !== null && <span className="soft">{approval.actor}</span>}
            </p>
          </div>
        )}
      </details>
    </li>
  )
}
