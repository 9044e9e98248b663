import { useQuery } from '@tanstack/react-query'
import type { WebhookEndpoint } from '@troupe/protocol/webhook'
import { useState } from 'react'
import { FormDialog } from '../components/form-dialog.tsx'
import { NewSecret } from '../components/new-secret.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { Endpoint } from '../components/webhook-endpoint.tsx'
import { queries } from '../lib/queries.ts'
import { createEndpoint, ENDPOINTS_PATH, endpointsQuery, type NewEndpoint, webhooksKey } from '../lib/webhooks.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Who is told of what happens: endpoints, and what was sent to each. */
export function WebhooksPage() {
  const words = useWords()
  const { data, error, isPending, refetch } = useQuery(endpointsQuery)
  const [adding, setAdding] = useState(false)
  const [made, setMade] = useState<WebhookEndpoint | null>(null)
  usePageTitle(words.webhooks.title)
  const show = (endpoint: WebhookEndpoint) => {
    setMade(endpoint)
    void queries.invalidateQueries({ queryKey: webhooksKey })
  }
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.webhooks.title}</h1>
          <button type="button" className="primary" onClick={() => setAdding(true)}>
            {words.webhooks.add}
          </button>
        </div>
        {made && <NewSecret name={made.url} secret={made.secret ?? null} close={() => setMade(null)} />}
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={4} />
        ) : data && data.data.length > 0 ? (
          <ul className="stack">
            {data.data.map((endpoint) => (
              <Endpoint key={endpoint.id} endpoint={endpoint} secret={show} />
            ))}
          </ul>
        ) : (
          !error && <p className="empty">{words.webhooks.none}</p>
        )}
      </div>
      {adding && <AddEndpoint made={show} close={() => setAdding(false)} />}
    </main>
  )
}

function AddEndpoint({ made, close }: { made: (endpoint: WebhookEndpoint) => void; close: () => void }) {
  const words = useWords()
  const [url, setUrl] = useState('')
  const [description, setDescription] = useState('')
  const [types, setTypes] = useState('*')
  const body = (): NewEndpoint => ({
    url: url.trim(),
    ...(description.trim() !== '' && { description: description.trim() }),
    types: types.split(/[\s,、]+/).filter((type) => type !== ''),
  })
  return (
    <FormDialog
      title={words.webhooks.add}
      action={words.webhooks.add}
      ready={url.trim() !== '' && body().types.length > 0}
      call={() => ({ method: 'POST', path: ENDPOINTS_PATH, body: body() })}
      submit={async () => made(await createEndpoint(body()))}
      close={close}
    >
      <label className="field">
        <span>{words.webhooks.url}</span>
        <input
          autoFocus
          required
          type="url"
          maxLength={2048}
          value={url}
          placeholder="https://example.com/hooks"
          onChange={(event) => setUrl(event.target.value)}
        />
      </label>
      <label className="field">
        <span>{words.webhooks.types}</span>
        <input required value={types} onChange={(event) => setTypes(event.target.value)} />
        <span className="tiny soft">{words.webhooks.typesHint}</span>
      </label>
      <label className="field">
        <span>{words.webhooks.description}</span>
        <input maxLength={512} value={description} onChange={(event) => setDescription(event.target.value)} />
      </label>
    </FormDialog>
  )
}
