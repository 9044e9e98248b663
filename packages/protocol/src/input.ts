import { z } from 'zod'
import { ContentBlock } from './event.ts'

/** How input that arrives during a run is delivered. */
export const Delivery = z
  .enum(['queue', 'steer', 'interrupt', 'reject'])
  .describe(
    '`queue`: a turn of its own afterwards; `steer`: into the running turn at its next tool boundary; `interrupt`: stops the running turn and goes first; `reject`: 409 while there is work',
  )
export type Delivery = z.infer<typeof Delivery>

/** An input that the agent has not taken yet. */
export const PendingInput = z
  .object({
    type: z.literal('pending_input'),
    event_id: z.string(),
    turn_id: z.string(),
    content: z.array(ContentBlock),
    delivery: z.enum(['queue', 'steer']),
    position: z.number().int().describe('Of its turn among those that wait: 1 is next; 0 steers the running turn'),
    created_at: z.string(),
  })
  .meta({ id: 'PendingInput' })
export type PendingInput = z.infer<typeof PendingInput>

export const EditInput = z.object({
  content: z
    .union([z.string().transform((text): ContentBlock[] => [{ type: 'text', text }]), z.array(ContentBlock).max(256)])
    .refine((content) => content.some((block) => block.type !== 'text' || block.text.trim() !== ''), {
      message: 'content must hold something other than white space',
    })
    .optional(),
  position: z.number().int().min(1).max(100_000).optional().describe('Moves its turn to this place in the queue'),
})
