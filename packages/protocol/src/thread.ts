import { z } from 'zod'
import { PageQuery, SessionStatus, StopReason } from './session.ts'

/** Of one thread. Cost is counted for turns and sessions; a thread's `list_cost` is null until it is tracked. */
const ThreadUsage = z.object({
  input_tokens: z.number(),
  output_tokens: z.number(),
  cache_read_input_tokens: z.number(),
  cache_creation_input_tokens: z.number(),
  cache_creation: z.object({ ephemeral_1h_input_tokens: z.number(), ephemeral_5m_input_tokens: z.number() }),
  list_cost: z.null(),
  active_seconds: z.number(),
})

/**
 * The conversation of one agent in a session: of the session's own agent (the primary thread), or of a subagent. The
 * fields of the hosted API, and ours after them.
 */
export const Thread = z
  .object({
    type: z.literal('session_thread'),
    id: z.string(),
    session_id: z.string(),
    parent_thread_id: z.string().nullable().describe('Null for the primary thread'),
    agent: z
      .looseObject({ type: z.enum(['agent', 'inline']), name: z.string() })
      .describe("Who works in it: the session's agent, or a subagent as `inline`"),
    status: SessionStatus,
    stats: z
      .object({ active_seconds: z.number(), duration_seconds: z.number(), startup_seconds: z.number() })
      .nullable(),
    usage: ThreadUsage.nullable().describe("Of its own model requests, without its subagents'; null until it was idle"),
    workflow_run_id: z.null(),
    created_at: z.string(),
    updated_at: z.string(),
    archived_at: z.string().nullable(),
    description: z.string().nullable().describe('What the subagent was started for, in a few words'),
    stop_reason: StopReason.nullable().describe('Why it went idle or was terminated'),
    summary: z.string().nullable().describe('What it reported'),
    turn_id: z.string().nullable().describe('The turn that it works, or last worked, in'),
    tool_use_id: z.string().nullable().describe('The `agent.tool_use` event that started it'),
    background: z.boolean().describe('Whether its caller went on without waiting for it'),
  })
  .meta({ id: 'SessionThread' })
export type Thread = z.infer<typeof Thread>

export const ListThreads = PageQuery.extend({
  'statuses[]': z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(SessionStatus).max(100).optional(),
  ),
})
