import { ApiError } from '@troupe/protocol/error'
import type { FileMetadata } from '@troupe/protocol/file'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { FileRow } from '../store/files.ts'
import { effectOf, type FileContext, type Key } from './context.ts'

const noFile = (id: string) => new ApiError('file_not_found', `File ${JSON.stringify(id)} does not exist.`)

/** Throws `file_not_found`. */
export async function requireFile({ store }: FileContext, workspaceId: string, id: string): Promise<FileRow> {
  const row = await store.read(workspaceId, id)
  if (!row) throw noFile(id)
  return row
}

/** What is in it, read as it is taken. A file that is deleted meanwhile is read to its end. Throws `file_not_found`. */
export async function readFile(context: FileContext, row: FileRow): Promise<Readable> {
  try {
    const file = await open(join(context.folder, row.id), 'r')
    return file.createReadStream()
  } catch (error) {
    // It was deleted between the two reads, or somebody took it out of the data folder.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noFile(row.id)
    throw error
  }
}

/** Forgets it, then removes what was in it, unless a session was given it; what a dying server leaves is swept. Throws `file_not_found`. */
export async function deleteFile(context: FileContext, workspaceId: string, id: string, key: Key): Promise<void> {
  if (!(await context.store.delete(workspaceId, id, effectOf(key, id)))) throw noFile(id)
  await removeUnneeded(context, [id])
}

/** Removes contents that nobody needs any more. */
export async function removeUnneeded({ store, folder }: FileContext, ids: Iterable<string>): Promise<void> {
  for (const id of ids) if (!(await store.has(id))) await rm(join(folder, id), { force: true })
}

export const fileToWire = (row: FileRow): FileMetadata => ({
  id: row.id,
  type: 'file',
  filename: row.filename,
  mime_type: row.mimeType,
  size_bytes: row.sizeBytes,
  created_at: new Date(row.createdAt).toISOString(),
  downloadable: true,
  scope: row.sessionId === undefined ? null : { type: 'session', id: row.sessionId },
  turn_id: row.turnId ?? null,
  path: row.path ?? null,
  expires_at: null,
})
