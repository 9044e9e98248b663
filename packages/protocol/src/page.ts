import { z } from 'zod'

/** `limit`, `page` and what else every list takes. Unknown parameters are ignored. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  page: z.string().max(2048).optional(),
  order: z.enum(['asc', 'desc']).optional(),
})
