import type { NewSession } from '@troupe/client/requests'
import type { Session } from '@troupe/protocol/session'
import { useState } from 'react'
import { asCurl } from '../lib/api.ts'
import { useWords } from '../words/use-words.tsx'
import { CopyButton } from './copy-button.tsx'
import { titleOf } from './session-list.tsx'

export interface Draft {
  prompt: string
  model: string
  mode: string
  system: string
  maxTurns: string
  cwd: string
  allowed: string
  disallowed: string
  resume: string
}
const EMPTY: Draft = {
  prompt: '',
  model: '',
  mode: 'default',
  system: '',
  maxTurns: '',
  cwd: '',
  allowed: '',
  disallowed: '',
  resume: '',
}

/** Names between commas; a comma within brackets belongs to its tool: `Bash(git add a,b)`. */
export const namesIn = (list: string): string[] =>
  (list.match(/(?:\([^)]*\)|[^,(])+/g) ?? []).map((name) => name.trim()).filter(Boolean)

/** The body that creates the session of a draft; what was left empty is left out. */
export function bodyOf(draft: Draft): NewSession {
  const [allowed, disallowed] = [namesIn(draft.allowed), namesIn(draft.disallowed)]
  return {
    agent: {
      type: 'inline',
      ...(draft.model.trim() && { model: draft.model.trim() }),
      ...(draft.system.trim() && { system: draft.system }),
      ...(draft.mode !== 'default' && { permission_mode: draft.mode as 'plan' }),
      ...(allowed.length > 0 && { allowed_tools: allowed }),
      ...(disallowed.length > 0 && { disallowed_tools: disallowed }),
    },
    ...(draft.cwd.trim() && { cwd: draft.cwd.trim() }),
    ...(draft.maxTurns && { limits: { max_turns: Number(draft.maxTurns) } }),
    initial_events: [{ type: 'user.message', content: draft.prompt }],
  }
}

/** A prompt and its options. Starts a session, or goes on with one. */
export function StartForm({
  models,
  sessions,
  busy,
  start,
}: {
  models: readonly string[]
  sessions: readonly Session[]
  busy: boolean
  start: (draft: Draft) => void
}) {
  const words = useWords()
  const [draft, setDraft] = useState(EMPTY)
  const [open, setOpen] = useState(false)
  const set = (name: keyof Draft) => (event: { target: { value: string } }) =>
    setDraft((before) => ({ ...before, [name]: event.target.value }))
  const ready = draft.prompt.trim() !== '' && !busy
  const curl = () =>
    draft.resume
      ? asCurl('POST', `/v1/sessions/${draft.resume}/events`, { events: bodyOf(draft).initial_events })
      : asCurl('POST', '/v1/sessions', bodyOf(draft))
  const field = (name: keyof Draft, placeholder: string, more: object = {}) => (
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
            {field('cwd', words.option.cwdHint)}
            {field('maxTurns', '50', { type: 'number', min: 1, max: 1000 })}
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
          <CopyButton text={curl} label={words.copyCurl} />
          <span className="grow" />
          <button className="primary" disabled={!ready}>
            {draft.resume ? words.resumeButton : words.startButton} <kbd className="hide-phone">⌘↵</kbd>
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
