import type { Environment } from '@troupe/protocol/environment'
import type { Agent } from '@troupe/protocol/saved-agent'
import type { Session } from '@troupe/protocol/session'
import { useState } from 'react'
import { bodyOf, type Draft, EMPTY_DRAFT } from '../lib/draft.ts'
import { SEND_KEY } from '../lib/keys.ts'
import { useWords } from '../words/use-words.tsx'
import { CopyRequest } from './copy-request.tsx'
import { EnvironmentChoice } from './environment-choice.tsx'
import { FileChoice } from './file-choice.tsx'
import { titleOf } from './session-list.tsx'

/** A prompt and its options. Starts a session, or goes on with one. */
export function StartForm({
  agents,
  agentId,
  environments,
  environmentId,
  models,
  sessions,
  busy,
  start,
}: {
  agents: readonly Agent[]
  /** The agent that is chosen at first; empty: none. */
  agentId: string
  /** Those that can be chosen besides the one that sessions have by themselves. */
  environments: readonly Environment[]
  environmentId: string
  models: readonly string[]
  sessions: readonly Session[]
  busy: boolean
  start: (draft: Draft) => void
}) {
  const words = useWords()
  const [draft, setDraft] = useState({ ...EMPTY_DRAFT, agentId, environmentId })
  const [open, setOpen] = useState(agentId !== '' || environmentId !== '')
  const chosen = draft.agentId !== ''
  const set = (name: Exclude<keyof Draft, 'files'>) => (event: { target: { value: string } }) =>
    setDraft((before) => ({ ...before, [name]: event.target.value }))
  const ready = draft.prompt.trim() !== '' && !busy
  const call = () =>
    draft.resume
      ? {
          method: 'POST',
          path: `/v1/sessions/${draft.resume}/events`,
          body: { events: bodyOf(draft).initial_events },
        }
      : { method: 'POST', path: '/v1/sessions', body: bodyOf(draft) }
  const field = (name: Exclude<keyof Draft, 'files'>, placeholder: string, more: object = {}) => (
    <label className="field">
      <span>{words.option[name as 'model']}</span>
      <input
        value={draft[name]}
        onChange={set(name)}
        placeholder={placeholder}
        disabled={draft.resume !== ''}
        {...more}
      />
    </label>
  )
  return (
    <>
      <form
        className="prompt"
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) start(draft)
        }}
      >
        <textarea
          id="prompt"
          autoFocus
          value={draft.prompt}
          aria-label={words.promptLabel}
          placeholder={words.promptHint}
          onChange={set('prompt')}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.metaKey || event.ctrlKey) && ready) start(draft)
          }}
        />
        {open && (
          <div className="options" id="options">
            {(agents.length > 0 || chosen) && (
              <label className="field wide">
                <span>{words.agents.use}</span>
                <select value={draft.agentId} onChange={set('agentId')} disabled={draft.resume !== ''}>
                  <option value="">{words.agents.useNone}</option>
                  {chosen && !agents.some(({ id }) => id === draft.agentId) && (
                    <option value={draft.agentId}>{draft.agentId}</option>
                  )}
                  {agents.map(({ id, name }) => (
                    <option key={id} value={id}>
                      {name}
                    </option>
                  ))}
                </select>
                {chosen && <span className="small soft">{words.agents.useNote}</span>}
              </label>
            )}
            <EnvironmentChoice
              environments={environments}
              chosen={draft.environmentId}
              change={set('environmentId')}
              className="field wide"
              disabled={draft.resume !== ''}
            />
            {!chosen && (
              <>
                {field('model', words.option.modelDefault, { list: 'models' })}
                <datalist id="models">
                  {models.map((model) => (
                    <option key={model} value={model} />
                  ))}
                </datalist>
                <label className="field">
                  <span>{words.option.mode}</span>
                  <select value={draft.mode} onChange={set('mode')} disabled={draft.resume !== ''}>
                    {Object.entries(words.modes).map(([mode, name]) => (
                      <option key={mode} value={mode}>
                        {name}
                      </option>
                    ))}
                  </select>
                </label>
              </>
            )}
            {field('cwd', words.option.cwdHint)}
            {field('maxTurns', '50', { type: 'number', min: 1, max: 1000 })}
            {!chosen && (
              <>
                {field('allowed', words.option.toolsHint)}
                {field('disallowed', words.option.toolsHint)}
                <label className="field wide">
                  <span>{words.option.system}</span>
                  <textarea
                    rows={2}
                    style={{ minHeight: 0, border: '1px solid var(--line-strong)', padding: '6px 10px' }}
                    value={draft.system}
                    onChange={set('system')}
                    placeholder={words.option.systemHint}
                    disabled={draft.resume !== ''}
                  />
                </label>
              </>
            )}
            <FileChoice
              chosen={draft.files}
              change={(files) => setDraft((before) => ({ ...before, files }))}
              disabled={draft.resume !== ''}
            />
            <label className="field wide">
              <span>{words.option.resume}</span>
              <select value={draft.resume} onChange={set('resume')}>
                <option value="">{words.option.resumeNone}</option>
                {sessions
                  .filter(({ status }) => status === 'idle')
                  .map((session) => (
                    <option key={session.id} value={session.id}>
                      {titleOf(session, words)}
                    </option>
                  ))}
              </select>
              {draft.resume && <span className="small soft">{words.option.resumeNote}</span>}
            </label>
          </div>
        )}
        <div className="bar">
          <button
            type="button"
            className="plain"
            aria-expanded={open}
            aria-controls="options"
            onClick={() => setOpen(!open)}
          >
            {words.options}
          </button>
          <CopyRequest call={call} />
          <span className="grow" />
          <button className="primary" disabled={!ready}>
            {draft.resume ? words.resumeButton : words.startButton} <kbd className="hide-phone">{SEND_KEY}</kbd>
          </button>
        </div>
      </form>
      <section className="examples" aria-labelledby="examples">
        <h2 id="examples" className="small soft">
          {words.examplesTitle}
        </h2>
        {words.examples.map((prompt) => (
          <button key={prompt} type="button" disabled={busy} onClick={() => start({ ...draft, prompt })}>
            {prompt}
          </button>
        ))}
      </section>
    </>
  )
}
