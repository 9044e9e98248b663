import { z } from 'zod'
import { OutputSchema } from './output-schema.ts'

/** The five words of the origin API. */
export const OriginStatus = z.enum(['pending', 'running', 'completed', 'error', 'cancelled'])
export type OriginStatus = z.infer<typeof OriginStatus>

/** `POST /execute/`: documentation only; the routes check it by hand because FastAPI's messages are part of the contract. */
export const ExecuteRequest = z
  .object({
    prompt: z.string().min(1),
    allowed_tools: z.array(z.string()).nullish(),
    disallowed_tools: z.array(z.string()).nullish(),
    system_prompt: z.string().nullish(),
    permission_mode: z.enum(['default', 'acceptEdits', 'plan', 'bypassPermissions']).nullish(),
    model: z.string().nullish(),
    cwd: z.string().nullish(),
    max_turns: z.number().int().min(1).max(100).nullish(),
    env: z.record(z.string(), z.string()).nullish(),
    resume_session_id: z.string().nullish(),
    output_schema: OutputSchema.nullish(),
  })
  .meta({ id: 'ExecuteRequest' })

export const ExecuteResponse = z
  .object({ session_id: z.string(), status: OriginStatus, message: z.string() })
  .meta({ id: 'ExecuteResponse' })

export const OriginMessage = z.object({ type: z.string(), content: z.unknown(), timestamp: z.string() })

export const OriginResult = z.looseObject({
  session_id: z.string(),
  num_turns: z.number(),
  duration_ms: z.number(),
  total_cost_usd: z.number().nullable(),
  usage: z.unknown(),
  result: z.string().nullable(),
  structured_output: z.unknown().optional().describe('Only in sessions with an `output_schema`'),
})

export const StatusResponse = z
  .looseObject({
    session_id: z.string(),
    status: OriginStatus,
    messages: z.array(OriginMessage),
    result: OriginResult.nullable(),
    error: z.string().nullable(),
    duration_ms: z.number().nullable(),
    total_cost_usd: z.number().nullable(),
  })
  .meta({ id: 'StatusResponse' })

export const OriginSession = z
  .object({
    session_id: z.string(),
    status: OriginStatus,
    prompt: z.string(),
    created_at: z.string(),
    start_time: z.string().nullable(),
    end_time: z.string().nullable(),
    error: z.string().nullable(),
    result: OriginResult.nullable(),
    message_count: z.number().int(),
    claude_session_id: z.string().nullable(),
  })
  .meta({ id: 'OriginSession' })

export const CleanupResponse = z.object({ removed: z.number().int(), message: z.string() })

export const OriginInfo = z.looseObject({
  message: z.string(),
  version: z.string(),
  endpoints: z.record(z.string(), z.string()),
})

/** FastAPI's 422. */
export const OriginValidationError = z.looseObject({
  detail: z.array(
    z.looseObject({ type: z.string(), loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }),
  ),
})
