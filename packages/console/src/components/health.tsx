import { useQuery } from '@tanstack/react-query'
import { fieldsOf } from '../lib/fields.ts'
import { bytes, duration } from '../lib/format.ts'
import { infoQuery, queueQuery, readyQuery } from '../lib/queries.ts'
import { Ago } from './time.tsx'
import { useSpeech } from '../words/use-words.tsx'

/** How the server is: whether it takes work, its slots, its queue. `waiting` null: no approvals here. */
export function Health({ waiting }: { waiting: number | null }) {
  const { words, language } = useSpeech()
  const info = useQuery(infoQuery).data
  const health = useQuery(readyQuery).data
  const queue = useQuery(queueQuery).data
  const depth = queue?.depth
  const memory = fieldsOf(queue?.memory)
  const [used, budget] = [Number(memory.used_bytes), Number(memory.budget_bytes)]
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
        {budget > 0 && (
          <div>
            <dt>{words.health.memory}</dt>
            <dd>
              {bytes(used, language)} <small>/ {bytes(budget, language)}</small>
            </dd>
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
      {typeof queue?.backoff_until === 'string' && (
        <p className="notice wait">
          {words.health.backoff} <Ago at={queue.backoff_until} future />
        </p>
      )}
      {health?.ready.reasons.map((reason) => (
        <p key={reason} className="notice bad">
          {reason}
        </p>
      ))}
    </section>
  )
}
