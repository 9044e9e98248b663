import { z } from 'zod'
import { MemoryUse } from './queue.ts'

export const Info = z
  .object({
    name: z.literal('troupe'),
    version: z.string(),
    agent_sdk_version: z.string(),
    model: z.object({
      source: z.enum(['configured', 'demo', 'none']),
      note: z.string().describe('In words: which model answers, and how to change it'),
    }),
    containment: z.string().describe('How an agent is kept from outliving its server'),
    keys_required: z.boolean().describe('Whether whoever asks needs a key; then you had one'),
    slots: z.object({ max: z.number().int(), used: z.number().int() }),
    memory: MemoryUse,
    capabilities: z.record(z.string(), z.enum(['yes', 'not yet'])),
  })
  .meta({ id: 'Info' })
export type Info = z.infer<typeof Info>

export const Health = z.object({ status: z.literal('ok'), uptime_seconds: z.number() })
export const Ready = z.object({ status: z.enum(['ready', 'not_ready']), reasons: z.array(z.string()) })

export const Model = z.looseObject({
  type: z.literal('model'),
  id: z.string(),
  display_name: z.string(),
  created_at: z.string(),
  lifecycle: z.enum(['active', 'deprecated', 'retired']),
  line: z.string().nullable(),
  /** These are null: an alias is resolved by the agent, and what its model can do is known to the endpoint. */
  capabilities: z.null(),
  max_input_tokens: z.number().nullable(),
  max_tokens: z.number().nullable(),
  allowed_fallback_models: z.array(z.string()).nullable(),
  deprecated_at: z.string().nullable(),
  retires_at: z.string().nullable(),
})
export const ModelList = z.object({
  data: z.array(Model),
  has_more: z.boolean(),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
})
