import { z } from 'zod'

/** Files that an agent has left for a session, at most, and their bytes together. */
export const MAX_OUTPUTS = 500
export const MAX_OUTPUT_BYTES = 5 * 1024 * 1024 * 1024

/** What becomes of the folder `outputs` of the workdir. */
export const OutputsMode = z
  .enum(['auto', 'on', 'off'])
  .describe(
    "Whether what the agent leaves in `outputs/` is kept as files: `auto` (default) in the session's own workdir; `on` anywhere, and the agent is told of it; `off` never",
  )
export type OutputsMode = z.infer<typeof OutputsMode>

/** A file that an agent left in a turn. */
export const OutputFile = z
  .object({
    file_id: z.string().describe('`file_…`'),
    filename: z.string(),
    path: z.string().describe('Below `outputs/`'),
    mime_type: z.string(),
    size_bytes: z.number().int(),
  })
  .meta({ id: 'OutputFile' })
export type OutputFile = z.infer<typeof OutputFile>

/** Why something in `outputs/` was left out. An open union. */
export type OutputProblem =
  | 'link'
  | 'not_a_file'
  | 'bad_name'
  | 'too_deep'
  | 'too_large'
  | 'sparse'
  | 'too_many_files'
  | 'session_limit'
  | 'workspace_limit'
  | 'too_slow'
  | 'changing'
  | 'unreadable'
  | 'disk_full'
