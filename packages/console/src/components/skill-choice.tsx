import { useQuery } from '@tanstack/react-query'
import type { SkillDraft } from '../lib/agent-parts.ts'
import { skillsQuery } from '../lib/skills.ts'
import { useWords } from '../words/use-words.tsx'

/** Skills of one agent, at most. */
const MOST = 20

/** Which skills an agent has, and at which version. */
export function SkillChoice({ chosen, change }: { chosen: SkillDraft[]; change: (chosen: SkillDraft[]) => void }) {
  const { agents } = useWords()
  const { data } = useQuery(skillsQuery)
  const skills = data?.data ?? []
  // One that was deleted is still in the agent, and can be taken from it.
  const gone = chosen.filter(({ id }) => data && !skills.some((skill) => skill.id === id))
  if (skills.length === 0 && chosen.length === 0) return null
  const toggle = (id: string) =>
    change(
      chosen.some((each) => each.id === id)
        ? chosen.filter((each) => each.id !== id)
        : [...chosen, { id, version: null }],
    )
  const rows = [
    ...skills.map(({ id, display_name, latest_version_id }) => ({ id, name: display_name, newest: latest_version_id })),
    ...gone.map(({ id }) => ({ id, name: id, newest: null })),
  ]
  return (
    <fieldset className="plain-set">
      <legend>{agents.skills}</legend>
      <ul className="tool-policies skill-choice">
        {rows.map(({ id, name, newest }) => {
          const has = chosen.find((each) => each.id === id)
          const older = has !== undefined && has.version !== null && newest !== null && has.version !== newest
          return (
            <li key={id}>
              <label className="row">
                <input
                  type="checkbox"
                  checked={has !== undefined}
                  disabled={!has && chosen.length >= MOST}
                  onChange={() => toggle(id)}
                />
                {name}
              </label>
              {older && (
                <button
                  type="button"
                  className="plain"
                  onClick={() => change(chosen.map((each) => (each.id === id ? { id, version: null } : each)))}
                >
                  {agents.newestSkill}
                </button>
              )}
              {newest === null && <span className="tiny bad-text">{agents.skillGone}</span>}
            </li>
          )
        })}
      </ul>
      <p className="tiny soft">{agents.skillsHint}</p>
    </fieldset>
  )
}
