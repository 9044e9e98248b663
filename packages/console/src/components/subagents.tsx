import { NEW_SUBAGENT, type SubagentDraft } from '../lib/agent-parts.ts'
import { useWords } from '../words/use-words.tsx'

/** The helpers that an agent may start, each with its own prompt. */
export function Subagents({
  subagents,
  change,
}: {
  subagents: SubagentDraft[]
  change: (subagents: SubagentDraft[]) => void
}) {
  const { agents, option, remove } = useWords()
  return (
    <fieldset className="plain-set">
      <legend>{agents.subagents}</legend>
      {subagents.map((subagent, index) => {
        const set = (name: Exclude<keyof SubagentDraft, 'kept'>) => (event: { target: { value: string } }) =>
          change(subagents.with(index, { ...subagent, [name]: event.target.value }))
        return (
          <div key={index} className="subagent stack" role="group" aria-label={agents.subagent(subagent.name)}>
            <div className="pair">
              <label className="field">
                <span>{agents.name}</span>
                <input required maxLength={64} pattern="[^\(\),*]+" value={subagent.name} onChange={set('name')} />
              </label>
              <label className="field">
                <span>{option.model}</span>
                <input
                  list="agent-models"
                  maxLength={256}
                  value={subagent.model}
                  placeholder={agents.subagentModel}
                  onChange={set('model')}
                />
              </label>
            </div>
            <label className="field">
              <span>{agents.subagentWhen}</span>
              <input required maxLength={2048} value={subagent.description} onChange={set('description')} />
            </label>
            <label className="field">
              <span>{option.system}</span>
              <textarea required rows={3} maxLength={100_000} value={subagent.system} onChange={set('system')} />
            </label>
            <label className="field">
              <span>{agents.subagentTools}</span>
              <input value={subagent.tools} placeholder="Read, Grep, Glob" onChange={set('tools')} />
            </label>
            <p>
              <button
                type="button"
                className="plain"
                aria-label={agents.removeSubagent(subagent.name)}
                onClick={() => change(subagents.toSpliced(index, 1))}
              >
                {remove}
              </button>
            </p>
          </div>
        )
      })}
      <p className="row wrap">
        <button type="button" onClick={() => change([...subagents, NEW_SUBAGENT])} disabled={subagents.length >= 20}>
          {agents.addSubagent}
        </button>
        <span className="tiny soft grow">{agents.subagentsHint}</span>
      </p>
    </fieldset>
  )
}
