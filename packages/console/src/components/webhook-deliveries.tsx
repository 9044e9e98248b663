import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { WebhookDelivery } from '@troupe/protocol/webhook'
import { useState } from 'react'
import { duration } from '../lib/format.ts'
import { queries } from '../lib/queries.ts'
import { DELIVERIES, deliveriesQuery, redeliver, webhooksKey } from '../lib/webhooks.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'
import { Ago } from './time.tsx'

const MARK = { delivered: 'status done', pending: 'status running', failed: 'status failed' } as const
const MOST = 1_000

/** What was sent to an endpoint and what waits, newest first. */
export function Deliveries({ endpointId }: { endpointId: string }) {
  const words = useWords()
  const [limit, setLimit] = useState(DELIVERIES)
  const { data, error, isPending, refetch } = useQuery(deliveriesQuery(endpointId, limit))
  if (isPending) return <ListSkeleton rows={3} />
  return (
    <>
      {error && <Problem error={error} retry={() => void refetch()} />}
      {data?.data.length === 0 && <p className="empty">{words.webhooks.nothingSent}</p>}
      <ul className="deliveries" aria-label={words.webhooks.deliveries}>
        {data?.data.map((delivery) => (
          <Delivery key={delivery.id} delivery={delivery} />
        ))}
      </ul>
      {data?.next_page && limit < MOST && (
        <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
          {words.table.more}
        </button>
      )}
    </>
  )
}

function Delivery({ delivery }: { delivery: WebhookDelivery }) {
  const words = useWords()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const again = async () => {
    setBusy(true)
    setError(null)
    try {
      await redeliver(delivery.webhook_endpoint_id, delivery.id)
    } catch (caught) {
      setError(caught)
    }
    setBusy(false)
    await queries.invalidateQueries({ queryKey: webhooksKey })
  }
  return (
    <li>
      <details>
        <summary className="row">
          <Icon name="chevron" />
          <span className={MARK[delivery.status]}>{words.webhooks.delivery[delivery.status]}</span>
          <code className="grow clip">{delivery.event_type}</code>
          <span className="tiny faint">
            <Ago at={delivery.created_at} />
          </span>
        </summary>
        <div className="stack">
          {delivery.attempts.length > 0 && (
            <ol className="small">
              {delivery.attempts.map((attempt) => (
                <li key={attempt.at} className="row wrap">
                  <Ago at={attempt.at} />
                  <strong>{attempt.http_status ?? words.webhooks.noAnswer}</strong>
                  <span className="soft">{duration(attempt.duration_ms)}</span>
                  {attempt.error !== null && <span className="soft">{attempt.error}</span>}
                </li>
              ))}
            </ol>
          )}
          {delivery.next_attempt_at !== null && (
            <p className="small soft">
              {words.webhooks.next} <Ago at={delivery.next_attempt_at} future />
            </p>
          )}
          {delivery.response_body !== null && delivery.response_body !== '' && (
            <pre className="answer" tabIndex={0} aria-label={words.webhooks.answer}>
              {delivery.response_body}
            </pre>
          )}
          {error !== null && <Problem error={error} />}
          <p className="row wrap small">
            {/* Instead of an old test a new one is sent. */}
            {delivery.event_type !== 'webhook.test' && (
              <button type="button" disabled={busy} onClick={() => void again()}>
                {words.webhooks.redeliver}
              </button>
            )}
            {delivery.session_id !== null && (
              <Link to="/s/$id" params={{ id: delivery.session_id }}>
                {words.ask.open}
              </Link>
            )}
          </p>
        </div>
      </details>
    </li>
  )
}
