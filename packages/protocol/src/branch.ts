import { z } from 'zod'
import { AgentParam, EnvVars } from './agent.ts'
import { Metadata } from './metadata.ts'

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

export const ForkSession = z.object({
  at_event_id: z
    .string()
    .max(64)
    .nullish()
    .describe(
      'An event of a turn that has ended: the fork goes on after that turn. A `user.message`: before its turn. Absent: where the session stands',
    ),
  files: z
    .enum(['copy', 'share'])
    .optional()
    .describe('`copy` (default): a workdir of its own; `share`: both work in the same one, as it is'),
  title: z.string().max(512).nullish().describe("Absent: the other session's"),
  metadata: Metadata.optional().describe("Absent: the other session's"),
})
export type ForkSession = z.infer<typeof ForkSession>

export const RewindSession = z.object({
  to_event_id: z
    .string()
    .max(64)
    .describe(
      'An event of a turn: the session stands again as that turn left it. A `user.message`: as it stood before',
    ),
  scope: z.enum(['conversation', 'files', 'both']).optional().describe('Default `both`'),
  dry_run: z.boolean().optional().describe('Only say what would change'),
})
export type RewindSession = z.infer<typeof RewindSession>

export const Rewind = z
  .object({
    type: z.literal('rewind'),
    session_id: z.string(),
    to_event_id: z.string(),
    to_turn_id: z.string().nullable().describe('The last turn of the conversation as it is now; null: none is left'),
    scope: z.enum(['conversation', 'files', 'both']),
    dry_run: z.boolean(),
    turns_undone: z.array(z.string()).describe('Turns that the agent does not know any more'),
    files: z
      .object({
        written: z.array(z.string()),
        removed: z.array(z.string()),
        modes: z.array(z.string()).describe('Only their permission bits change'),
        not_restored: z.array(z.string()).describe('Too large to have been kept'),
        truncated: z.boolean().describe('More than 1,000 of a kind; the first are named'),
      })
      .nullable(),
  })
  .meta({ id: 'Rewind' })
export type Rewind = z.infer<typeof Rewind>

export const ExportQuery = z.object({
  format: z
    .enum(['jsonl', 'markdown', 'html', 'claude'])
    .optional()
    .describe('`jsonl` (default): every event; `markdown`, `html`: to read; `claude`: the native transcript'),
})

export const ArchiveQuery = z.object({ format: z.enum(['tar.gz', 'tar']).optional().describe('Default `tar.gz`') })

export const ImportSession = z.object({
  transcript: z.string().min(1).describe('A transcript of Claude Code, a line of JSON for each entry; 50,000 at most'),
  agent: AgentParam.optional().describe('Who goes on with it; default: the built-in `agent_default`'),
  cwd: z
    .string()
    .min(1)
    .max(4096)
    .nullish()
    .describe(
      "The workdir, an absolute path; absent: a fresh one of the session's own. What the transcript names is not used",
    ),
  env: EnvVars.optional(),
  title: z.string().max(512).nullish(),
  metadata: Metadata.optional(),
})
export type ImportSession = z.infer<typeof ImportSession>
