import { z } from 'zod'
import { QueueReason } from './session.ts'

export const QueueQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).optional().describe('Of the first in line; default 20'),
})

export const MemoryUse = z.object({
  budget_bytes: z.number().int().describe('What agents and all they start may take before no further one is started'),
  used_bytes: z.number().int().describe('What they took when it was last measured, and what is kept for new ones'),
})

/** Who waits, who runs, and what keeps the next one. */
export const Queue = z
  .object({
    type: z.literal('queue'),
    depth: z.number().int().describe('Sessions that wait'),
    running: z.number().int(),
    slots: z.object({ max: z.number().int(), used: z.number().int() }),
    memory: MemoryUse,
    oldest_queued_at: z.string().nullable(),
    backoff_until: z.string().nullable().describe('Until when nothing is started because the model refused (429, 529)'),
    by_key: z
      .array(
        z.object({
          principal: z.string(),
          concurrency_key: z.string().nullable(),
          depth: z.number().int(),
          running: z.number().int(),
          oldest_queued_at: z.string().nullable(),
        }),
      )
      .describe('At most 100, those with the most waiting first'),
    data: z
      .array(
        z.object({
          session_id: z.string(),
          position: z.number().int(),
          priority: z.number().int(),
          concurrency_key: z.string().nullable(),
          enqueued_at: z.string(),
          reason: QueueReason,
        }),
      )
      .describe('The first in line, in order'),
  })
  .meta({ id: 'Queue' })
export type Queue = z.infer<typeof Queue>
