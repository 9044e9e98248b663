import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import type { Agent } from '@troupe/protocol/saved-agent'
import { type FormEvent, useState } from 'react'
import { AgentForm } from '../components/agent-form.tsx'
import { AgentVersions } from '../components/agent-versions.tsx'
import { CopyRequest } from '../components/copy-request.tsx'
import { FormDialog } from '../components/form-dialog.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { TryOut } from '../components/try-out.tsx'
import { agentBody, agentToTry, draftOfAgent, EMPTY_AGENT, isWhole } from '../lib/agent-draft.ts'
import { agentPath, agentQuery, AGENTS_PATH, agentsKey, archiveAgent, createAgent, updateAgent } from '../lib/agents.ts'
import { modelsQuery, queries } from '../lib/queries.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** An agent in a form, with a place beside it to try what the form says; `new`: one that is still to be. */
export function AgentPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  return id === 'new' ? <Editor key="new" newest={null} /> : <Existing key={id} id={id} />
}

function Existing({ id }: { id: string }) {
  const words = useWords()
  const { data, error, refetch } = useQuery(agentQuery(id))
  usePageTitle(data?.name ?? words.agents.title)
  if (!data)
    return (
      <main className="page" id="content">
        <div className="column">
          <h1>{words.agents.title}</h1>
          {error ? <Problem error={error} retry={() => void refetch()} /> : <ListSkeleton rows={5} />}
        </div>
      </main>
    )
  return <Editor newest={data} />
}

function Editor({ newest }: { newest: Agent | null }) {
  const words = useWords()
  const navigate = useNavigate()
  const models = useQuery(modelsQuery)
  /** What the form began with: a newer one does not take away what is being written. */
  const [saved, setSaved] = useState(newest)
  const [draft, setDraft] = useState(() => (newest ? draftOfAgent(newest) : EMPTY_AGENT))
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [archiving, setArchiving] = useState(false)
  const archived = newest?.archived_at != null
  const readOnly = archived ? 'archived' : saved && saved.source !== 'api' ? saved.source : null
  const body = agentBody(draft, saved)
  const changed = Object.keys(body).length > 0
  const fits = draft.name.trim() !== '' && isWhole(draft) && (!saved || draft.model.trim() !== '')
  const overtaken = saved && newest && newest.version > saved.version ? newest : null
  usePageTitle(draft.name.trim() || words.agents.add)

  const begin = (agent: Agent) => {
    setSaved(agent)
    setDraft(draftOfAgent(agent))
  }
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      const agent = saved ? await updateAgent(saved.id, { ...body, version: saved.version }) : await createAgent(body)
      queries.setQueryData(agentQuery(agent.id).queryKey, agent)
      void queries.invalidateQueries({ queryKey: agentsKey })
      if (saved) begin(agent)
      else await navigate({ to: '/agents/$id', params: { id: agent.id } })
    } catch (caught) {
      setError(caught)
      void queries.invalidateQueries({ queryKey: agentsKey })
    }
    setBusy(false)
  }
  const call = () => ({
    method: 'POST',
    path: saved ? agentPath(saved.id) : AGENTS_PATH,
    body: saved ? { ...body, version: saved.version } : body,
  })
  return (
    <main className="page editor" id="content">
      <form className="stack" onSubmit={(event) => void save(event)} data-form="agent">
        <div className="row wrap">
          <div className="grow">
            <Link to="/agents" className="small">
              {words.agents.title}
            </Link>
            <h1>{saved ? saved.name : words.agents.add}</h1>
            {saved && (
              <p className="tiny faint row wrap">
                <span>{words.agents.version(saved.version)}</span>
                <code>{saved.id}</code>
              </p>
            )}
          </div>
          {saved && !archived && (
            <Link to="/" search={{ agent: saved.id }} className="button">
              {words.agents.start}
            </Link>
          )}
        </div>
        {readOnly && <p className="notice">{words.agents.readOnly[readOnly]}</p>}
        {overtaken && (
          <p className="notice wait row wrap" role="status">
            <span className="grow">{words.agents.newer(overtaken.version)}</span>
            <button type="button" onClick={() => begin(overtaken)}>
              {words.agents.loadNewer}
            </button>
          </p>
        )}
        <fieldset className="bare stack" disabled={readOnly !== null || busy}>
          <AgentForm
            id={saved?.id ?? null}
            draft={draft}
            models={models.data?.data.map(({ id }) => id) ?? []}
            kept={saved ? hiddenParts(saved) : 0}
            change={(fields) => setDraft((before) => ({ ...before, ...fields }))}
          />
        </fieldset>
        {error !== null && <Problem error={error} />}
        {!readOnly && (
          <div className="row wrap save-bar">
            {saved && (
              <button type="button" className="danger" onClick={() => setArchiving(true)}>
                {words.archive}
              </button>
            )}
            <CopyRequest call={call} />
            <span className="grow tiny soft" role="status">
              {saved && !changed && words.agents.unchanged}
            </span>
            <button type="submit" className="primary" disabled={busy || !fits || !changed}>
              {words.save}
            </button>
          </div>
        )}
        {saved && saved.source !== 'built_in' && (
          <section className="stack versions">
            <h2>{words.agents.versions}</h2>
            <AgentVersions id={saved.id} newest={saved.version} />
          </section>
        )}
      </form>
      {!archived && <TryOut name={draft.name} agent={() => agentToTry(draft, saved)} fits={isWhole(draft)} />}
      {archiving && saved && (
        <FormDialog
          title={words.agents.archiveTitle(saved.name)}
          action={words.archive}
          danger
          call={() => ({ method: 'POST', path: agentPath(saved.id, 'archive'), body: {} })}
          submit={async () => {
            queries.setQueryData(agentQuery(saved.id).queryKey, await archiveAgent(saved.id))
            await queries.invalidateQueries({ queryKey: agentsKey })
          }}
          close={() => setArchiving(false)}
        >
          <p>{words.agents.archiveMeans}</p>
        </FormDialog>
      )}
    </main>
  )
}

/** Parts of an agent that the form neither shows nor changes. */
const hiddenParts = ({ mcp_servers }: Agent): number => mcp_servers.filter(({ type }) => type !== 'url').length
