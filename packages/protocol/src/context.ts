import { z } from 'zod'

/** What fills an agent's context, and how full it is. */
export const ContextUsage = z.object({
  tokens: z.int().describe('In the window when it was measured'),
  max_tokens: z.int().describe('What the window takes'),
  percent: z.number().describe('0 to 100, with one digit'),
  model: z.string(),
  measured_at: z.string().describe('RFC 3339; behind the last answer'),
})
export type ContextUsage = z.infer<typeof ContextUsage>

/** The parts of a context, as the agent tells them: names may be added. */
export const ContextCategory = z.object({
  id: z.string().describe('`system_prompt`, `system_tools`, `mcp_tools`, `messages`, `free_space` …'),
  name: z.string(),
  tokens: z.int(),
  kind: z.string().describe('`used`, `free`, `buffer` (kept for compaction) or `deferred` (not in the window)'),
})

export const SessionContextUsage = z.object({
  type: z.literal('context_usage'),
  session_id: z.string(),
  usage: ContextUsage.nullable().describe('null until an answer was measured, and after a rewind'),
  categories: z.array(ContextCategory),
})
export type SessionContextUsage = z.infer<typeof SessionContextUsage>

/** Characters of what a summary is to keep in mind. */
export const MAX_COMPACT_INSTRUCTIONS = 10_000

export const CompactSession = z.object({
  instructions: z
    .string()
    .trim()
    .max(MAX_COMPACT_INSTRUCTIONS)
    .optional()
    .describe('What the summary is to keep, in words for the agent'),
})
export type CompactSession = z.infer<typeof CompactSession>
