import type { Environment } from '@troupe/protocol/environment'
import { type ReactNode, useState } from 'react'
import {
  type DraftType,
  draftOfEnvironment,
  emptyEnvironment,
  environmentBody,
  type EnvironmentDraft,
  wrongVariable,
} from '../lib/environment-draft.ts'
import {
  changeEnvironment,
  createEnvironment,
  environmentPath,
  ENVIRONMENTS_PATH,
  environmentsKey,
} from '../lib/environments.ts'
import { queries } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'

const TYPES: readonly DraftType[] = ['local', 'sandbox', 'container']

/** Makes an environment, or changes `saved`. */
export function EnvironmentForm({ saved, close }: { saved: Environment | null; close: () => void }) {
  const words = useWords()
  const say = words.environments
  const [draft, setDraft] = useState(() => (saved ? draftOfEnvironment(saved) : emptyEnvironment()))
  type Text = { [K in keyof EnvironmentDraft]: EnvironmentDraft[K] extends string ? K : never }[keyof EnvironmentDraft]
  type Flag = { [K in keyof EnvironmentDraft]: EnvironmentDraft[K] extends boolean ? K : never }[keyof EnvironmentDraft]
  const change = (fields: Partial<EnvironmentDraft>) => setDraft((before) => ({ ...before, ...fields }))
  const wrong = wrongVariable(draft, saved)
  const ready = draft.name.trim() !== '' && wrong === null && (draft.type !== 'container' || draft.image.trim() !== '')
  const body = () => environmentBody(draft, saved)
  const field = (name: Text, label: string, more: { hint?: string; [attribute: string]: unknown } = {}) => {
    const { hint, ...attributes } = more
    return (
      <label className="field">
        <span>{label}</span>
        <input value={draft[name]} onChange={(event) => change({ [name]: event.target.value })} {...attributes} />
        {hint && <span className="tiny soft">{hint}</span>}
      </label>
    )
  }
  const list = (name: Text, label: string, hint: string, rows = 3) => (
    <label className="field">
      <span>{label}</span>
      <textarea
        className="mono"
        rows={rows}
        spellCheck={false}
        value={draft[name]}
        onChange={(event) => change({ [name]: event.target.value })}
      />
      <span className="tiny soft">{hint}</span>
    </label>
  )
  const flag = (name: Flag, label: string) => (
    <label className="row small">
      <input type="checkbox" checked={draft[name]} onChange={() => change({ [name]: !draft[name] })} />
      {label}
    </label>
  )
  const count = (name: Text, label: string, max: number) =>
    field(name, label, { type: 'number', min: 1, max, placeholder: say.unlimited })
  const part = (title: string, children: ReactNode, open = false) => (
    <details className="part" open={open}>
      <summary>{title}</summary>
      <div className="stack">{children}</div>
    </details>
  )
  return (
    <FormDialog
      title={saved ? saved.name : say.add}
      action={words.save}
      className="wide"
      ready={ready}
      call={() => ({ method: 'POST', path: saved ? environmentPath(saved.id) : ENVIRONMENTS_PATH, body: body() })}
      submit={async () => {
        await (saved ? changeEnvironment(saved.id, body()) : createEnvironment(body()))
        await queries.invalidateQueries({ queryKey: environmentsKey })
      }}
      close={close}
    >
      <div className="pair">
        {field('name', words.agents.name, { autoFocus: true, required: true, maxLength: 256 })}
        <label className="field">
          <span>{say.type}</span>
          <select
            value={draft.type}
            disabled={saved !== null}
            onChange={(event) => change({ type: event.target.value as DraftType })}
          >
            {TYPES.map((type) => (
              <option key={type} value={type}>
                {say.types[type]}
              </option>
            ))}
          </select>
          <span className="tiny soft">{say.typeMeans[draft.type]}</span>
        </label>
      </div>
      {field('description', words.agents.description, { maxLength: 2048 })}
      {draft.type === 'container' && (
        <>
          {field('image', say.image, { required: true, maxLength: 256, hint: say.imageHint })}
          <div className="pair">
            {count('memoryMb', say.memory, 1_048_576)}
            {count('pids', say.pids, 1_000_000)}
          </div>
          {field('cpus', say.cpus, { type: 'number', min: 0.1, step: 0.1, placeholder: say.unlimited })}
        </>
      )}
      {draft.type !== 'local' &&
        part(
          say.network,
          <>
            {flag('limited', say.limited)}
            {draft.limited && (
              <>
                {list('hosts', say.hosts, say.hostsHint)}
                {flag('mcpServers', say.mcpServers)}
                {flag('packageManagers', say.packageManagers)}
              </>
            )}
          </>,
          true,
        )}
      {draft.type === 'sandbox' &&
        part(
          say.filesystem,
          <>
            {list('allowWrite', say.allowWrite, say.pathsHint, 2)}
            {list('denyWrite', say.denyWrite, say.pathsHint, 2)}
            {list('denyRead', say.denyRead, say.pathsHint, 2)}
            {list('allowRead', say.allowRead, say.pathsHint, 2)}
          </>,
        )}
      {draft.type !== 'sandbox' &&
        part(
          say.setup,
          <>
            {list('setup', say.commands, say.commandsHint)}
            {field('setupSeconds', say.setupSeconds, { type: 'number', min: 1, max: 3600, placeholder: '600' })}
          </>,
          draft.setup !== '',
        )}
      {part(
        say.variables,
        <>
          {list('env', say.env, say.envHint)}
          {wrong !== null && (
            <p className="small bad-text" role="alert">
              {say.wrongVariable(wrong)}
            </p>
          )}
          {flag('bounded', say.bounded)}
          {draft.bounded && list('envNames', say.envNames, say.envNamesHint, 2)}
        </>,
        draft.env !== '',
      )}
      {part(
        say.place,
        <>
          {field('cwdRoot', say.cwdRoot, { className: 'mono', placeholder: say.cwdRootNone, maxLength: 4096 })}
          {draft.type === 'local' && (
            <div className="pair">
              {field('repository', say.repository, { className: 'mono', maxLength: 4096, hint: say.repositoryHint })}
              {field('base', say.base, { className: 'mono', placeholder: 'HEAD', maxLength: 256 })}
            </div>
          )}
        </>,
        draft.repository !== '',
      )}
      {part(
        say.limits,
        <>
          <div className="pair">
            {count('maxTurns', words.option.maxTurns, 1000)}
            {count('turnSeconds', say.turnSeconds, 604_800)}
          </div>
          {count('queueSeconds', say.queueSeconds, 604_800)}
        </>,
      )}
      {saved && <p className="small soft">{say.changeMeans}</p>}
    </FormDialog>
  )
}
