import { z } from 'zod'

const AgentId = z.string().min(1).max(128)
const Reference = z.object({
  type: z.literal('agent'),
  id: AgentId,
  version: z
    .number()
    .int()
    .min(1)
    .max(2 ** 31)
    .nullish(),
})
const RosterEntry = z.union([
  AgentId,
  z.discriminatedUnion('type', [
    Reference,
    z.looseObject({ type: z.literal('self') }),
    z.looseObject({ type: z.literal('advisor') }),
  ]),
])
export type RosterEntry = z.infer<typeof RosterEntry>
const Switch = z.looseObject({ type: z.enum(['enabled', 'disabled']) })

/** Which saved agents an agent may start as subagents, in either form of the hosted API. */
export const MultiagentParam = z.discriminatedUnion('type', [
  z.object({ type: z.literal('coordinator'), agents: z.array(RosterEntry).min(1).max(20) }),
  z.object({
    type: z.literal('multiagent_20261001'),
    subagents: z
      .object({
        type: z.enum(['enabled', 'disabled']),
        inline_agents: Switch.nullish().describe("The agent's own kinds of subagents, beside the predefined ones"),
        predefined_agents: z.array(RosterEntry).max(20).nullish(),
      })
      .nullish(),
    workflows: Switch.nullish(),
    advisor: Switch.nullish(),
  }),
])
export type MultiagentParam = z.infer<typeof MultiagentParam>

/** The same as it is kept: of a saved agent with references, of a session's with whole agents in their place. */
export type Multiagent<Entry = { type: 'agent'; id: string; version: number }> =
  | { type: 'coordinator'; agents: Entry[] }
  | {
      type: 'multiagent_20261001'
      subagents:
        | { type: 'enabled'; inline_agents: { type: 'enabled' | 'disabled' }; predefined_agents: Entry[] }
        | { type: 'disabled' }
      workflows: { type: 'disabled' }
      advisor: { type: 'disabled' }
    }

const SubagentName = z
  .string()
  .trim()
  .regex(/^[^\p{Cc}(),*]{1,64}$/u, 'must be 1 to 64 characters without ( ) , * and line breaks')
const ToolName = z.string().regex(/^[A-Za-z0-9_*-]{1,256}$/, 'must be the name of a tool')

/** A subagent that is defined where it is used. The session's policy judges its calls. */
export const Subagent = z.strictObject({
  name: SubagentName,
  description: z.string().min(1).max(2048).describe('When to start it'),
  system: z.string().min(1).max(100_000).describe('Its system prompt'),
  model: z.string().trim().min(1).max(256).optional().describe("Default: the agent's"),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional(),
  tools: z.array(ToolName).max(256).optional().describe('The tools it has; default: those of the agent'),
  disallowed_tools: z.array(ToolName).max(256).optional(),
})
export type Subagent = z.infer<typeof Subagent>
