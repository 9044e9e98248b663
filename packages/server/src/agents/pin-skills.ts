import { ApiError } from '@troupe/protocol/error'
import { MAX_AGENT_SKILLS, type PinnedSkill, type SkillParam } from '@troupe/protocol/attached-skill'
import type { SkillStore } from '../store/skills.ts'

/**
 * The skills of an agent, each at one version: what is newest now is what the agent has from now on. Absent stays
 * absent. Throws `skill_not_found`, `unsupported_feature` for Anthropic's, `validation_failed` where names meet.
 */
export async function pinSkills(
  skills: SkillStore,
  workspaceId: string,
  given: readonly SkillParam[] | null | undefined,
): Promise<PinnedSkill[] | null | undefined> {
  if (!given) return given
  if (given.length > MAX_AGENT_SKILLS)
    throw new ApiError('validation_failed', `An agent has at most ${MAX_AGENT_SKILLS} skills.`)
  const names = new Set<string>()
  const pinned: PinnedSkill[] = []
  for (const { type, skill_id, version } of given) {
    if (type !== 'custom')
      throw new ApiError(
        'unsupported_feature',
        `skills of type ${JSON.stringify(type)}: only skills that were uploaded here can be attached.`,
      )
    const skill = await skills.read(workspaceId, skill_id)
    const wanted = version == null || version === 'latest' ? skill?.latestVersionId : version
    const row = wanted === undefined ? null : await skills.readVersion(workspaceId, skill_id, wanted)
    if (!row)
      throw new ApiError(
        'skill_not_found',
        `Skill ${JSON.stringify(skill_id)} with version ${JSON.stringify(version ?? 'latest')} does not exist.`,
      )
    if (names.has(row.name)) throw new ApiError('validation_failed', `Two skills of the agent are named ${row.name}.`)
    names.add(row.name)
    pinned.push({ type: 'custom', skill_id, version: row.id })
  }
  return pinned
}
