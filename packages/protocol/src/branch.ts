import { z } from 'zod'

/** Whether a workdir is kept turn by turn. */
export const SnapshotMode = z
  .enum(['auto', 'on', 'off'])
  .describe(
    "Whether the workdir is kept turn by turn, for diff, fork and rewind: `auto` keeps the session's own, and a small one that was named",
  )
export type SnapshotMode = z.infer<typeof SnapshotMode>

const FileState = z.object({
  size: z.number().int(),
  mode: z.string().describe('Permission bits, in octal'),
  hash: z.string().describe("`sha1:` and git's name of the content: of `blob `, the size, a zero and the content"),
})

export const FileChange = z
  .object({
    path: z.string().describe('From the workdir'),
    status: z.enum(['added', 'modified', 'deleted', 'renamed']),
    previous_path: z.string().nullable(),
    before: FileState.nullable(),
    after: FileState.nullable(),
    additions: z.number().int().nullable().describe('Lines; null of a binary or large file'),
    deletions: z.number().int().nullable(),
    binary: z.boolean(),
    patch: z.string().nullable().describe('Unified hunks of a text file'),
    patch_truncated: z.boolean(),
  })
  .meta({ id: 'FileChange' })
export type FileChange = z.infer<typeof FileChange>

export const Diff = z
  .object({
    type: z.literal('diff'),
    session_id: z.string(),
    turn_id: z.string().nullable(),
    from: z.string().nullable().describe('When the earlier state was noted; null: before there was anything'),
    to: z.string(),
    files: z.array(FileChange),
    files_changed: z.number().int().describe('Also those that are not in `files`'),
    additions: z.number().int(),
    deletions: z.number().int(),
    truncated: z.boolean().describe('Files or patches were left out for their number or size'),
  })
  .meta({ id: 'Diff' })
export type Diff = z.infer<typeof Diff>

export const DiffQuery = z.object({
  turn_id: z.string().max(64).optional().describe('What this turn changed; absent: what the whole session did'),
})
