import { z } from 'zod'

/** Skills of an agent, at most: what each says of itself stands in every prompt. */
export const MAX_AGENT_SKILLS = 20

/** A skill as an agent names it. */
export const SkillParam = z.object({
  type: z.enum(['custom', 'anthropic']).describe('`custom`: one that was uploaded here; others are refused'),
  skill_id: z.string().min(1).max(256),
  version: z.string().min(1).max(256).nullish().describe('Absent or `latest`: the newest, from now on that one'),
})
export type SkillParam = z.infer<typeof SkillParam>

/** A skill of an agent, at one version. */
export const PinnedSkill = z.object({ type: z.literal('custom'), skill_id: z.string(), version: z.string() })
export type PinnedSkill = z.infer<typeof PinnedSkill>
