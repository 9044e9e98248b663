import { useQuery } from '@tanstack/react-query'
import { duration } from '../lib/format.ts'
import { infoQuery, queueQuery, readyQuery } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'

/** How the server is: whether it takes work, its slots, its queue. `waiting` null: no approvals here. */
export function Health({ waiting }: { waiting: number | null }) {
  const words = useWords()
  const info = useQuery(infoQuery).data
  const health = useQuery(readyQuery).data
  const queue = useQuery(queueQuery).data
  const depth = queue && [queue.depth, queue.queued].find((value) => typeof value === 'number')
  const ready = health?.ready.status === 'ready'
  return (
    <section aria-label={words.health.title} className="stack">
      <dl className="facts">
        <div>
          <dt>{words.health.title}</dt>
          <dd>{health ? (ready ? words.health.ready : words.health.notReady) : '–'}</dd>
        </div>
        <div>
          <dt>{words.health.slots}</dt>
          <dd>
            {info?.slots.used ?? '–'} <small>/ {info?.slots.max ?? '–'}</small>
          </dd>
        </div>
        {typeof depth === 'number' && (
          <div>
            <dt>{words.health.queue}</dt>
            <dd>{depth}</dd>
          </div>
        )}
        {waiting !== null && (
          <div>
            <dt>{words.health.waiting}</dt>
            <dd>{waiting}</dd>
          </div>
        )}
        <div>
          <dt>{words.health.uptime}</dt>
          <dd>{health ? duration(health.health.uptime_seconds * 1000) : '–'}</dd>
        </div>
        <div>
          <dt>{words.health.version}</dt>
          <dd>
            {info?.version ?? '–'} <small>SDK {info?.agent_sdk_version ?? '–'}</small>
          </dd>
        </div>
      </dl>
      {health?.ready.reasons.map((reason) => (
        <p key={reason} className="notice bad">
          {reason}
        </p>
      ))}
    </section>
  )
}
