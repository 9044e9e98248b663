import { useQuery } from '@tanstack/react-query'
import { DELEGATIONS, type Delegation, lacksAgents, MOST_AGENTS, type RosterDraft } from '../lib/agent-roster.ts'
import { agentsQuery } from '../lib/agents.ts'
import { useWords } from '../words/use-words.tsx'

/** Whom the agent may start, and which saved agents are among them, each at one version. */
export function Roster({
  id,
  draft,
  change,
}: {
  /** Of the agent itself, which is in no roster of its own. */
  id: string | null
  draft: RosterDraft
  change: (draft: RosterDraft) => void
}) {
  const { agents } = useWords()
  const { data } = useQuery(agentsQuery(1000))
  const { delegation, agents: chosen } = draft
  const known = (data?.data ?? []).filter((agent) => agent.id !== id && agent.source !== 'built_in')
  const gone = chosen.filter((each) => data && !known.some((agent) => agent.id === each.id))
  const rows = [
    ...known.map((agent) => ({ id: agent.id, name: agent.name, newest: String(agent.version) })),
    ...gone.map((each) => ({ id: each.id, name: each.id, newest: null })),
  ]
  const choose = (next: RosterDraft['agents']) => change({ ...draft, agents: next })
  const lacks = lacksAgents(draft)
  return (
    <fieldset className="plain-set">
      <legend>{agents.roster}</legend>
      <label className="field">
        <span>{agents.delegation}</span>
        <select
          value={delegation}
          onChange={(event) => change({ ...draft, delegation: event.target.value as Delegation })}
        >
          {DELEGATIONS.map((each) => (
            <option key={each} value={each}>
              {agents.delegations[each]}
            </option>
          ))}
        </select>
      </label>
      {(delegation === 'roster' || delegation === 'both') && (
        <>
          <ul className="tool-policies skill-choice">
            {rows.map(({ id: each, name, newest }) => {
              const has = chosen.find((one) => one.id === each)
              const older = has !== undefined && has.version !== null && newest !== null && has.version !== newest
              return (
                <li key={each}>
                  <label className="row">
                    <input
                      type="checkbox"
                      checked={has !== undefined}
                      disabled={!has && chosen.length >= MOST_AGENTS}
                      onChange={() =>
                        choose(has ? chosen.filter((one) => one !== has) : [...chosen, { id: each, version: null }])
                      }
                    />
                    {name}
                  </label>
                  {older && (
                    <button
                      type="button"
                      className="plain"
                      onClick={() => choose(chosen.map((one) => (one === has ? { id: each, version: null } : one)))}
                    >
                      {agents.newestSkill}
                    </button>
                  )}
                  {newest === null && <span className="tiny bad-text">{agents.rosterGone}</span>}
                </li>
              )
            })}
          </ul>
          <p className={lacks ? 'tiny bad-text' : 'tiny soft'} role={lacks ? 'alert' : undefined}>
            {data && rows.length === 0 ? agents.rosterEmpty : lacks ? agents.rosterNone : agents.rosterHint}
          </p>
        </>
      )}
    </fieldset>
  )
}
