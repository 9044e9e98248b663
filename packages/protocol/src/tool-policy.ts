import { z } from 'zod'

/** What becomes of a tool's calls where no closer rule speaks. */
export const Policy = z.object({ type: z.enum(['always_allow', 'always_ask', 'auto', 'deny']) })
export type ToolPolicy = z.infer<typeof Policy>['type']
