import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { MAX_SKILL_VERSIONS, MAX_SKILLS } from '@troupe/protocol/skill'
import type { Clock } from '../lib/clock.ts'
import {
  LastVersion,
  SkillLimit,
  SkillRenamed,
  type SkillRow,
  type SkillStore,
  type SkillVersionRow,
} from '../store/skills.ts'
import type { SessionChange } from '../store/session-change.ts'
import type { SkillContent } from './skill-content.ts'

export interface SkillContext {
  skills: SkillStore
  clock: Clock
  workspaceId: string
}
type Effect = SessionChange['effect']

const noSkill = (id: string) => new ApiError('skill_not_found', `Skill ${JSON.stringify(id)} does not exist.`)

/** Throws `skill_not_found`. */
export async function requireSkill({ skills, workspaceId }: SkillContext, id: string): Promise<SkillRow> {
  const row = await skills.read(workspaceId, id)
  if (!row) throw noSkill(id)
  return row
}

/** A version by its id, or `latest`. Throws `skill_not_found`. */
export async function requireVersion(
  context: SkillContext,
  skillId: string,
  version: string,
): Promise<SkillVersionRow> {
  const skill = await requireSkill(context, skillId)
  const id = version === 'latest' ? skill.latestVersionId : version
  const row = await context.skills.readVersion(context.workspaceId, skillId, id)
  if (!row) throw new ApiError('skill_not_found', `Skill ${skillId} has no version ${JSON.stringify(version)}.`)
  return row
}

/** Keeps a skill with its first version. Throws `skill_limit`. */
export async function createSkill(
  context: SkillContext,
  { name, description, files }: SkillContent,
  displayName: string | null,
  effectOf: (id: string) => Effect,
): Promise<SkillRow> {
  const at = context.clock.now()
  const id = newId('skill')
  const version = { id: newId('skver'), skillId: id, name, description, createdAt: at }
  const row: SkillRow = {
    id,
    workspaceId: context.workspaceId,
    name,
    displayName: displayName ?? name,
    latestVersionId: version.id,
    createdAt: at,
    updatedAt: at,
  }
  await withinLimits(context.skills.create(row, version, files, MAX_SKILLS, effectOf(id)))
  return row
}

/** Keeps a new version, the newest from now on; agents keep theirs. Throws `skill_not_found`, `skill_limit`, `validation_failed`. */
export async function addVersion(
  context: SkillContext,
  skillId: string,
  { name, description, files }: SkillContent,
  effectOf: (id: string) => Effect,
): Promise<SkillVersionRow> {
  const row = { id: newId('skver'), skillId, name, description, createdAt: context.clock.now() }
  const { skills, workspaceId } = context
  const added = await withinLimits(skills.addVersion(workspaceId, row, files, MAX_SKILL_VERSIONS, effectOf(row.id)))
  if (!added) throw noSkill(skillId)
  return row
}

/** With its versions. Sessions that have one go on without it. Throws `skill_not_found`. */
export async function deleteSkill({ skills, workspaceId }: SkillContext, id: string, effect: Effect): Promise<void> {
  if (!(await skills.delete(workspaceId, id, effect))) throw noSkill(id)
}

/** Throws `skill_not_found`, and `validation_failed` for the only one. */
export async function deleteVersion(
  context: SkillContext,
  skillId: string,
  versionId: string,
  effect: Effect,
): Promise<void> {
  try {
    const { id } = await requireVersion(context, skillId, versionId)
    await context.skills.deleteVersion(context.workspaceId, skillId, id, effect)
  } catch (error) {
    if (!(error instanceof LastVersion)) throw error
    throw new ApiError('validation_failed', `A skill has at least one version; delete skill ${skillId} instead.`)
  }
}

async function withinLimits<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof SkillLimit) throw new ApiError('skill_limit', `There are ${error.message}, as many as may be.`)
    if (error instanceof SkillRenamed)
      throw new ApiError('validation_failed', `The skill is named ${error.message}; each of its versions is.`)
    throw error
  }
}
