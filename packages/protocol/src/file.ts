import { z } from 'zod'
import { oneOrMany, PageQuery } from './session.ts'

/** Bytes of one file, at most: what the hosted API takes, too. */
export const MAX_FILE_BYTES = 500 * 1024 * 1024
/** Files of a workspace, and their bytes together, at most. */
export const MAX_FILES = 10_000
export const MAX_FILES_BYTES = 100 * 1024 * 1024 * 1024
/** Characters of a name, at most. */
export const MAX_FILENAME = 255

/** An immutable file. */
export const FileMetadata = z
  .object({
    id: z.string().describe('`file_…`'),
    type: z.literal('file'),
    filename: z.string().describe('As it was uploaded; only a label, never where it lies'),
    mime_type: z.string().describe('As its sender declared it; of what an agent left, by its name'),
    size_bytes: z.number().int(),
    created_at: z.string(),
    downloadable: z.boolean(),
    scope: z
      .object({ type: z.literal('session'), id: z.string() })
      .nullable()
      .describe('The session whose agent left it; null: it was uploaded'),
    turn_id: z.string().nullable().describe('The turn that it was left in'),
    path: z.string().nullable().describe('Where it was left, below `outputs/`'),
    expires_at: z.null().describe('Files stay until they are deleted'),
  })
  .meta({ id: 'File' })
export type FileMetadata = z.infer<typeof FileMetadata>

export const ListFiles = PageQuery.extend({
  'ids[]': oneOrMany(z.string().max(256)),
  scope_id: z.string().max(256).optional().describe('What agents left in this session'),
})

export const FileList = z.object({
  data: z.array(FileMetadata),
  next_page: z.string().nullable(),
  prev_page: z.string().nullable(),
})

export const DeletedFile = z.object({ id: z.string(), type: z.literal('file_deleted') })
