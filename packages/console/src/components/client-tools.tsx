import { type ClientToolDraft, inputSchemaProblem, isNamedTwice, NEW_CLIENT_TOOL } from '../lib/client-tools.ts'
import { useWords } from '../words/use-words.tsx'

/** Tools of one agent, at most; those of its servers and the toolset count too. */
const MOST = 200

/** The tools that whoever uses the agent runs: what they are called, what they are for, what they take. */
export function ClientTools({
  tools,
  change,
}: {
  tools: ClientToolDraft[]
  change: (tools: ClientToolDraft[]) => void
}) {
  const { agents, remove } = useWords()
  return (
    <fieldset className="plain-set">
      <legend>{agents.clientTools}</legend>
      {tools.map((tool, index) => {
        const set = (name: keyof ClientToolDraft) => (event: { target: { value: string } }) =>
          change(tools.with(index, { ...tool, [name]: event.target.value }))
        const twice = isNamedTwice(tools, index)
        const wrong = inputSchemaProblem(tool.schema)
        return (
          <div key={index} className="subagent stack" role="group" aria-label={agents.clientTool(tool.name)}>
            <label className="field">
              <span>{agents.name}</span>
              <input
                required
                maxLength={64}
                pattern="[a-zA-Z0-9_\-]+"
                className="mono"
                spellCheck={false}
                placeholder="get_weather"
                title={agents.clientToolName}
                aria-invalid={twice}
                value={tool.name}
                onChange={set('name')}
              />
              <span className={twice ? 'tiny bad-text' : 'tiny soft'} role={twice ? 'alert' : undefined}>
                {twice ? agents.clientToolTwice : agents.clientToolName}
              </span>
            </label>
            <label className="field">
              <span>{agents.clientToolWhat}</span>
              <textarea required rows={2} maxLength={8192} value={tool.description} onChange={set('description')} />
            </label>
            <label className="field">
              <span>{agents.clientToolSchema}</span>
              <textarea
                required
                rows={4}
                className="mono"
                spellCheck={false}
                aria-invalid={wrong !== null}
                value={tool.schema}
                onChange={set('schema')}
              />
              {wrong !== null && (
                <span className="tiny bad-text" role="alert">
                  {wrong === 'syntax' ? agents.schemaSyntax : agents.clientToolObject}
                </span>
              )}
            </label>
            <p>
              <button
                type="button"
                className="plain"
                aria-label={agents.removeClientTool(tool.name)}
                onClick={() => change(tools.toSpliced(index, 1))}
              >
                {remove}
              </button>
            </p>
          </div>
        )
      })}
      <p className="row wrap">
        <button type="button" onClick={() => change([...tools, NEW_CLIENT_TOOL])} disabled={tools.length >= MOST}>
          {agents.addClientTool}
        </button>
        <span className="tiny soft grow">{agents.clientToolsHint}</span>
      </p>
    </fieldset>
  )
}
