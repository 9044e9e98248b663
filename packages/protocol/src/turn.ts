import { z } from 'zod'
import { OutputFile } from './output.ts'
import { SessionError } from './event.ts'

/** Tokens and cost. `cost_usd` is the SDK's estimate at list price; `list_cost` the same in whole cents, as the hosted API writes it. */
export const Usage = z
  .object({
    input_tokens: z.number(),
    output_tokens: z.number(),
    cache_read_input_tokens: z.number(),
    cache_creation_input_tokens: z.number(),
    cache_creation: z.object({ ephemeral_1h_input_tokens: z.number(), ephemeral_5m_input_tokens: z.number() }),
    list_cost: z.object({ amount: z.string(), currency: z.literal('USD') }),
    cost_usd: z.number(),
    unreported_requests: z
      .number()
      .int()
      .describe(
        'Requests whose usage was lost with a killed agent; at most that many are missing in the other figures',
      ),
    active_seconds: z.number(),
  })
  .meta({ id: 'Usage' })
export type Usage = z.infer<typeof Usage>

export const TurnStatus = z.enum(['queued', 'in_progress', 'waiting', 'completed', 'failed', 'cancelled'])
export type TurnStatus = z.infer<typeof TurnStatus>

/** How the first request of a turn met the prompt cache, by what the endpoint reported. */
export const PromptCache = z
  .object({
    status: z
      .enum(['hit', 'partial', 'miss', 'none'])
      .describe('`hit`: what the turn before had cached was read; `none`: nothing was read or written'),
    reason: z
      .enum(['first_turn', 'model_changed', 'system_changed', 'tools_changed', 'cwd_changed', 'expired', 'unknown'])
      .nullable()
      .describe('Why it was not a hit'),
  })
  .meta({ id: 'PromptCache' })
export type PromptCache = z.infer<typeof PromptCache>

/** From an input to the SDK's result. */
export const Turn = z
  .object({
    type: z.literal('turn'),
    id: z.string(),
    session_id: z.string(),
    number: z.number().int().describe('1, 2, 3 … within the session'),
    status: TurnStatus,
    input_event_ids: z.array(z.string()),
    output: z.object({ text: z.string().nullable(), structured: z.unknown() }).nullable(),
    stop_reason: z.looseObject({ type: z.string() }).nullable(),
    error: SessionError.nullable(),
    usage: Usage.nullable(),
    cache: PromptCache.nullable(),
    model_requests: z.number().int().nullable(),
    files: z.array(OutputFile).describe('What its agent left in `outputs/`, new or another than before'),
    trace_id: z
      .string()
      .describe('Its trace: that of the `traceparent` of the request that it came with, or one of its own'),
    created_at: z.string(),
    started_at: z.string().nullable(),
    ended_at: z.string().nullable(),
  })
  .meta({ id: 'Turn' })
export type Turn = z.infer<typeof Turn>

export const CancelTurn = z
  .object({ mode: z.enum(['graceful', 'now']).optional(), grace_ms: z.number().int().min(0).max(600_000).optional() })
  .nullish()
