import type { ReactNode } from 'react'
import { type AgentDraft, EFFORTS, POLICIES, schemaProblem, type ServerDraft, TOOLS } from '../lib/agent-draft.ts'
import { ClientTools } from './client-tools.tsx'
import { FetchDomains } from './fetch-domains.tsx'
import { PermissionRules } from './permission-rules.tsx'
import { Roster } from './roster.tsx'
import { SkillChoice } from './skill-choice.tsx'
import { Subagents } from './subagents.tsx'
import { useWords } from '../words/use-words.tsx'

/** The fields of an agent. Shows what it is given, and tells each change. */
export function AgentForm({
  id,
  draft,
  models,
  kept,
  change,
}: {
  /** Of the agent that is changed; null: it is a new one. */
  id: string | null
  draft: AgentDraft
  models: readonly string[]
  /** Parts of the agent that are not shown here. */
  kept: number
  change: (fields: Partial<AgentDraft>) => void
}) {
  const words = useWords()
  const set = (name: keyof AgentDraft) => (event: { target: { value: string } }) =>
    change({ [name]: event.target.value })
  const wrong = schemaProblem(draft.schema)
  return (
    <>
      <div className="pair">
        <Field name={words.agents.name}>
          <input
            required
            maxLength={256}
            value={draft.name}
            placeholder={words.agents.nameHint}
            onChange={set('name')}
          />
        </Field>
        <Field name={words.option.model}>
          <input
            list="agent-models"
            maxLength={256}
            value={draft.model}
            placeholder={words.option.modelDefault}
            onChange={set('model')}
          />
        </Field>
        <datalist id="agent-models">
          {models.map((model) => (
            <option key={model} value={model} />
          ))}
        </datalist>
        <Field name={words.option.mode}>
          <select value={draft.mode} onChange={set('mode')}>
            {Object.entries(words.modes).map(([mode, name]) => (
              <option key={mode} value={mode}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field name={words.agents.effort}>
          <select value={draft.effort} onChange={set('effort')}>
            <option value="">{words.agents.effortDefault}</option>
            {EFFORTS.map((effort) => (
              <option key={effort} value={effort}>
                {words.agents.efforts[effort]}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <Field name={words.agents.description}>
        <input maxLength={2048} value={draft.description} onChange={set('description')} />
      </Field>
      <Field name={words.option.system}>
        <textarea
          rows={8}
          maxLength={100_000}
          value={draft.system}
          placeholder={words.option.systemHint}
          onChange={set('system')}
        />
      </Field>
      <fieldset className="plain-set">
        <legend>{words.agents.tools}</legend>
        <ul className="tool-policies">
          {TOOLS.map((tool) => (
            <li key={tool}>
              <span>{words.agents.toolNames[tool]}</span>
              <select
                aria-label={words.agents.policyOf(words.agents.toolNames[tool])}
                value={draft.tools[tool]}
                data-tool-policy={tool}
                onChange={(event) => change({ tools: { ...draft.tools, [tool]: event.target.value } })}
              >
                {[...POLICIES, 'none' as const].map((policy) => (
                  <option key={policy} value={policy}>
                    {words.agents.policies[policy]}
                  </option>
                ))}
              </select>
            </li>
          ))}
        </ul>
        {draft.tools.web_fetch !== 'none' && <FetchDomains draft={draft.fetch} change={(fetch) => change({ fetch })} />}
      </fieldset>
      <div className="pair">
        <Field name={words.option.allowed}>
          <input value={draft.allowed} placeholder={words.option.toolsHint} onChange={set('allowed')} />
        </Field>
        <Field name={words.option.disallowed}>
          <input value={draft.disallowed} placeholder={words.option.toolsHint} onChange={set('disallowed')} />
        </Field>
      </div>
      <PermissionRules rules={draft.rules} change={(rules) => change({ rules })} />
      <Servers servers={draft.servers} change={(servers) => change({ servers })} />
      <ClientTools tools={draft.clientTools} change={(clientTools) => change({ clientTools })} />
      <SkillChoice chosen={draft.skills} change={(skills) => change({ skills })} />
      <Subagents subagents={draft.subagents} change={(subagents) => change({ subagents })} />
      <Roster id={id} draft={draft.roster} change={(roster) => change({ roster })} />
      <Field name={words.agents.schema}>
        <textarea
          rows={4}
          className="mono"
          spellCheck={false}
          value={draft.schema}
          aria-invalid={wrong !== null}
          placeholder='{ "type": "object", "properties": { … } }'
          onChange={set('schema')}
        />
        <span className={wrong === null ? 'tiny soft' : 'tiny bad-text'} role={wrong === null ? undefined : 'alert'}>
          {wrong === null
            ? words.agents.schemaHint
            : wrong === 'syntax'
              ? words.agents.schemaSyntax
              : words.agents.schemaObject}
        </span>
      </Field>
      {kept > 0 && <p className="tiny soft">{words.agents.kept(kept)}</p>}
    </>
  )
}

function Field({ name, children }: { name: string; children: ReactNode }) {
  return (
    <label className="field">
      <span>{name}</span>
      {children}
    </label>
  )
}

function Servers({ servers, change }: { servers: ServerDraft[]; change: (servers: ServerDraft[]) => void }) {
  const words = useWords()
  const set = (index: number, fields: Partial<ServerDraft>) =>
    change(servers.with(index, { ...servers[index]!, ...fields }))
  return (
    <fieldset className="plain-set">
      <legend>{words.agents.servers}</legend>
      {servers.map((server, index) => (
        // Rows have no name of their own while one is being written.
        <div key={index} className="server-row">
          <input
            aria-label={words.agents.serverName}
            placeholder={words.agents.serverName}
            required
            maxLength={64}
            pattern="[A-Za-z0-9\-]+(_[A-Za-z0-9\-]+)*"
            value={server.name}
            onChange={(event) => set(index, { name: event.target.value })}
          />
          <input
            aria-label={words.agents.serverUrl}
            placeholder="https://example.com/mcp"
            type="url"
            required
            maxLength={2048}
            value={server.url}
            onChange={(event) => set(index, { url: event.target.value })}
          />
          <select
            aria-label={words.agents.serverPolicy}
            value={server.policy}
            onChange={(event) => set(index, { policy: event.target.value as ServerDraft['policy'] })}
          >
            {POLICIES.map((policy) => (
              <option key={policy} value={policy}>
                {words.agents.policies[policy]}
              </option>
            ))}
          </select>
          <button
            type="button"
            className="plain"
            aria-label={words.agents.removeServer(server.name)}
            onClick={() => change(servers.toSpliced(index, 1))}
          >
            {words.remove}
          </button>
        </div>
      ))}
      <p className="row wrap">
        <button
          type="button"
          onClick={() => change([...servers, { name: '', url: '', policy: 'always_ask' }])}
          disabled={servers.length >= 20}
        >
          {words.agents.addServer}
        </button>
        <span className="tiny soft grow">{words.agents.serversHint}</span>
      </p>
    </fieldset>
  )
}
