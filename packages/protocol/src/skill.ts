import { z } from 'zod'
import { PageQuery } from './session.ts'

/** Bytes of one version of a skill, all its files together, at most. */
export const MAX_SKILL_BYTES = 8 * 1024 * 1024
/** Files of one version, at most. */
export const MAX_SKILL_FILES = 200
/** Skills of a workspace, and versions of a skill, at most. */
export const MAX_SKILLS = 500
export const MAX_SKILL_VERSIONS = 100
/** Instructions, and files beside them, that an agent reads when they are of use. */
export const Skill = z
  .object({
    id: z.string().describe('`skill_…`'),
    type: z.literal('skill'),
    display_name: z.string(),
    latest_version_id: z.string(),
    source: z.object({ type: z.literal('custom') }),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Skill' })
export type Skill = z.infer<typeof Skill>

/** What was uploaded at once, never changed. */
export const SkillVersion = z
  .object({
    id: z.string().describe('`skver_…`'),
    type: z.literal('skill_version'),
    skill_id: z.string(),
    name: z.string().describe('The same in all versions; the folder that its files lie in'),
    description: z.string().describe('What the agent knows of it before it reads it'),
    created_at: z.string(),
  })
  .meta({ id: 'SkillVersion' })
export type SkillVersion = z.infer<typeof SkillVersion>

export const ListSkills = PageQuery.extend({ source: z.string().max(64).nullish() })
const listOf = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_page: z.string().nullable(), prev_page: z.string().nullable() })
export const SkillList = listOf(Skill)
export const SkillVersionList = listOf(SkillVersion)
export const DeletedSkill = z.object({ id: z.string(), type: z.literal('skill_deleted') })
export const DeletedSkillVersion = z.object({ id: z.string(), type: z.literal('skill_version_deleted') })
