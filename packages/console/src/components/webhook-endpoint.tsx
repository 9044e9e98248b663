import type { WebhookEndpoint } from '@troupe/protocol/webhook'
import { useState } from 'react'
import { queries } from '../lib/queries.ts'
import {
  changeEndpoint,
  deleteEndpoint,
  endpointPath,
  rotateSecret,
  testEndpoint,
  webhooksKey,
} from '../lib/webhooks.ts'
import { useWords } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'
import { Problem } from './problem.tsx'
import { Ago } from './time.tsx'
import { Deliveries } from './webhook-deliveries.tsx'

/** An endpoint: what it is told, how it fares, what can be done with it, and what was sent to it. */
export function Endpoint({
  endpoint,
  secret,
}: {
  endpoint: WebhookEndpoint
  secret: (endpoint: WebhookEndpoint) => void
}) {
  const words = useWords()
  const [open, setOpen] = useState(false)
  const [asked, setAsked] = useState<'delete' | 'rotate' | null>(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const enabled = endpoint.status === 'enabled'
  const why = endpoint.disabled_reason
  const act = async (what: () => Promise<unknown>) => {
    setBusy(true)
    setError(null)
    try {
      await what()
    } catch (caught) {
      setError(caught)
    }
    setBusy(false)
    await queries.invalidateQueries({ queryKey: webhooksKey })
  }
  const test = () =>
    act(async () => {
      await testEndpoint(endpoint.id)
      // What came of it is the newest delivery.
      setOpen(true)
    })
  return (
    <li className="endpoint stack" data-endpoint={endpoint.id}>
      <div className="row wrap">
        <h2 className="grow">
          <code>{endpoint.url}</code>
        </h2>
        <span className={enabled ? 'status done' : 'status failed'}>{words.webhooks.status[endpoint.status]}</span>
      </div>
      {endpoint.description !== null && <p>{endpoint.description}</p>}
      {!enabled && why !== null && why !== 'requested' && (
        <p className="notice bad">{words.webhooks.reasons[why] ?? why}</p>
      )}
      <p className="row wrap small soft">
        <code>{endpoint.types.join(', ')}</code>
        <span>
          {endpoint.last_delivered_at === null ? (
            words.webhooks.never
          ) : (
            <>
              {words.webhooks.last} <Ago at={endpoint.last_delivered_at} />
            </>
          )}
        </span>
      </p>
      {error !== null && <Problem error={error} />}
      <div className="row wrap">
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {words.webhooks.deliveries}
        </button>
        <button type="button" disabled={busy} onClick={() => void test()}>
          {words.webhooks.test}
        </button>
        <button
          type="button"
          disabled={busy}
          onClick={() => void act(() => changeEndpoint(endpoint.id, enabled ? 'disabled' : 'enabled'))}
        >
          {enabled ? words.webhooks.disable : words.webhooks.enable}
        </button>
        <button type="button" disabled={busy} onClick={() => setAsked('rotate')}>
          {words.webhooks.rotate}
        </button>
        <button type="button" className="danger" disabled={busy} onClick={() => setAsked('delete')}>
          {words.remove}
        </button>
      </div>
      {open && <Deliveries endpointId={endpoint.id} />}
      {asked === 'delete' && (
        <FormDialog
          title={words.webhooks.removeTitle}
          action={words.remove}
          danger
          call={() => ({ method: 'DELETE', path: endpointPath(endpoint.id) })}
          submit={async () => {
            await deleteEndpoint(endpoint.id)
            await queries.invalidateQueries({ queryKey: webhooksKey })
          }}
          close={() => setAsked(null)}
        >
          <p>{words.webhooks.removeMeans(endpoint.url)}</p>
        </FormDialog>
      )}
      {asked === 'rotate' && (
        <FormDialog
          title={words.webhooks.rotate}
          action={words.webhooks.rotate}
          call={() => ({ method: 'POST', path: endpointPath(endpoint.id, 'rotate_secret'), body: {} })}
          submit={async () => secret(await rotateSecret(endpoint.id))}
          close={() => setAsked(null)}
        >
          <p>{words.webhooks.rotateMeans}</p>
        </FormDialog>
      )}
    </li>
  )
}
