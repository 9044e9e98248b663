import { ApiError } from '@troupe/protocol/error'
import { MAX_FILES, MAX_FILES_BYTES } from '@troupe/protocol/file'
import { newId } from '@troupe/protocol/ids'
import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { FileLimit, type FileRow } from '../store/files.ts'
import { StorageUnavailable } from '../store/errors.ts'
import { effectOf, type FileContext, type Key } from './context.ts'

/** Contents that lie on the disk, whole, and belong to nobody yet. */
export interface Received {
  id: string
  sizeBytes: number
  /** Of the content, in hex. */
  sha256: string
}

/**
 * Writes what comes to the disk as it comes, and through to the disk. Nothing knows of it until it is kept: what is
 * dropped, or left by a server that dies, is swept. Throws `body_too_large` beyond `maxBytes`, and
 * `StorageUnavailable` where the disk is full; then nothing is left.
 */
export async function receive({ folder, maxBytes }: FileContext, content: Readable): Promise<Received> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const id = newId('file')
  const part = join(folder, `${id}.part`)
  let sizeBytes = 0
  const hash = createHash('sha256')
  try {
    const file = await open(part, 'wx', 0o600)
    try {
      for await (const piece of content as AsyncIterable<Buffer>) {
        sizeBytes += piece.length
        if (sizeBytes > maxBytes) throw new ApiError('body_too_large', `The file is larger than ${maxBytes} bytes.`)
        hash.update(piece)
        await file.writeFile(piece)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, join(folder, id))
    await syncFolder(folder)
  } catch (error) {
    await rm(part, { force: true })
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new StorageUnavailable('disk_full', error) : error
  }
  return { id, sizeBytes, sha256: hash.digest('hex') }
}

/** Reads what comes and keeps nothing of it; answers the hash of it. Throws `body_too_large`. */
export async function hashOf({ maxBytes }: FileContext, content: Readable): Promise<string> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of content as AsyncIterable<Buffer>) {
    if ((sizeBytes += piece.length) > maxBytes)
      throw new ApiError('body_too_large', `The file is larger than ${maxBytes} bytes.`)
    hash.update(piece)
  }
  return hash.digest('hex')
}

/** What two uploads have in common that are the same. */
export const printOf = ({ filename, mimeType }: Pick<FileRow, 'filename' | 'mimeType'>, sha256: string): string =>
  createHash('sha256')
    .update(JSON.stringify([filename, mimeType, sha256]))
    .digest('base64url')

/** Removes contents that nobody will own. */
export const drop = ({ folder }: FileContext, { id }: Pick<Received, 'id'>): Promise<void> =>
  rm(join(folder, id), { force: true })

/** Lets a workspace own what was received: from now on it is found. Throws `file_limit`; then nothing is left. */
export async function keep(
  context: FileContext,
  received: Received,
  named: Pick<FileRow, 'workspaceId' | 'filename' | 'mimeType'>,
  key: Key,
): Promise<FileRow> {
  const { sha256, ...content } = received
  const row = { ...content, ...named, createdAt: context.clock.now() }
  try {
    await context.store.create(
      row,
      { files: MAX_FILES, bytes: MAX_FILES_BYTES },
      effectOf(key, row.id, printOf(named, sha256)),
    )
    return row
  } catch (error) {
    await drop(context, received)
    if (error instanceof FileLimit)
      throw new ApiError('file_limit', `The workspace has ${error.message}, as many as may. Delete what is not needed.`)
    throw error
  }
}

/** A name is as durable as the folder it stands in. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
