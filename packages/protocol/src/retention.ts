import { z } from 'zod'

/** Ten years, in seconds: what is to be kept longer is kept for ever. */
const MAX_TTL_SECONDS = 315_360_000

const Ttl = z.int().min(1).max(MAX_TTL_SECONDS)

/** What becomes of a session that nobody uses any more. */
export const RetentionParam = z
  .strictObject({
    ttl_seconds: Ttl.nullish().describe(
      'Seconds after its last change until an idle session is deleted; null: never. Absent: as the workspace, else the server, says',
    ),
    keep: z
      .boolean()
      .optional()
      .describe('It does not expire, and no clean-up takes it; only a DELETE that names it does'),
  })
  .meta({ id: 'RetentionParam' })
export type RetentionParam = z.infer<typeof RetentionParam>

export const Retention = z
  .object({
    ttl_seconds: z.int().nullable().describe('What holds for it now; null: it is kept'),
    keep: z.boolean(),
    source: z.enum(['session', 'workspace', 'server']).nullable().describe('Who said so; null: nobody did'),
  })
  .meta({ id: 'Retention' })
export type Retention = z.infer<typeof Retention>

/** What sessions of a workspace have that say nothing themselves. */
export const WorkspaceRetention = z
  .strictObject({ ttl_seconds: Ttl.nullable().describe('Null: they are kept, whatever the server is set to') })
  .meta({ id: 'WorkspaceRetention' })
export type WorkspaceRetention = z.infer<typeof WorkspaceRetention>
