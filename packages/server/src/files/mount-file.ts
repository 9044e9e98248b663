import { constants, type Stats } from 'node:fs'
import { copyFile, type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { NotAFolder, type OpenFolder, openFolder, type Owner } from '../lib/folder.ts'
import { StorageUnavailable } from '../store/errors.ts'

/** A file that is to lie in a workdir. */
export interface Mount {
  /** Names what is half made, so that it is found again. */
  id: string
  /** In the folder of files. */
  fileId: string
  /** Relative to the workdir, checked. */
  parts: readonly string[]
}

const READ_ONLY = 0o444
/** The workdir is not there, or not to be read or written. */
export const OUT_OF_REACH: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'EPERM', 'EROFS'])
const PIECE = 64 * 1024

/** Whether anything is at a place, or stands in the way of it. Throws where the workdir itself cannot be read. */
export async function isTaken(cwd: string, parts: readonly string[], owner: Owner | null = null): Promise<boolean> {
  try {
    await using folder = await openFolder(cwd, parts.slice(0, -1), false, owner)
    return (await statOf(folder.path(parts.at(-1)!))) !== null
  } catch (error) {
    if (error instanceof NotAFolder) return true
    // A folder on the way is missing: nothing is there. That the workdir is missing is seen when something is put there.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * Puts a copy at its place, read-only and whole: a server that dies meanwhile leaves a part under a name of its own, which
 * the next attempt removes. False: something is there already, or in the way, and is left as it is. Throws
 * `StorageUnavailable` where the disk is full.
 */
export async function mountFile(
  filesFolder: string,
  cwd: string,
  { id, fileId, parts }: Mount,
  owner: Owner | null = null,
): Promise<boolean> {
  const name = parts.at(-1)!
  try {
    await using folder = await openFolder(cwd, parts.slice(0, -1), true, owner)
    const part = partOf(folder, id)
    await rm(part, { force: true })
    if (await statOf(folder.path(name))) return false
    try {
      await copyFile(join(filesFolder, fileId), part, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
      await using whole = await open(part, constants.O_RDONLY | constants.O_NOFOLLOW)
      // By what is open: a link that took its place would lead elsewhere.
      await whole.chmod(READ_ONLY)
      if (owner) await giveFile(whole, folder, owner)
      await whole.sync()
      await rename(part, folder.path(name))
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
    await folder.handle.sync()
    return true
  } catch (error) {
    if (error instanceof NotAFolder) return false
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new StorageUnavailable('disk_full', error) : error
  }
}

/** Takes the copy away, if it is still what was put there; what the agent made of it stays. */
export async function unmountFile(
  filesFolder: string,
  cwd: string,
  { id, fileId, parts }: Mount,
  owner: Owner | null = null,
): Promise<void> {
  try {
    await using folder = await openFolder(cwd, parts.slice(0, -1), false, owner)
    await rm(partOf(folder, id), { force: true })
    const path = folder.path(parts.at(-1)!)
    if (await isCopy(path, join(filesFolder, fileId))) await rm(path, { force: true })
  } catch (error) {
    // What cannot be reached is left: or a session could never again be rid of it.
    const left = error instanceof NotAFolder || OUT_OF_REACH.has((error as NodeJS.ErrnoException).code ?? '')
    if (!left) throw error
  }
}

/** As a copy that its agent had made: it may change or remove it. */
async function giveFile(file: FileHandle, around: OpenFolder, { uid }: Owner): Promise<void> {
  const { uid: of, nlink } = await file.stat()
  if (of === 0 && nlink === 1) await file.chown(uid, (await around.handle.stat()).gid)
}

const partOf = (folder: OpenFolder, id: string): string => folder.path(`.${id}.part`)

async function isCopy(path: string, original: string): Promise<boolean> {
  if (!(await statOf(path))?.isFile()) return false
  await using there = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  await using ours = await open(original, constants.O_RDONLY)
  const [a, b] = await Promise.all([there.stat(), ours.stat()])
  if (!a.isFile() || a.size !== b.size) return false
  for (let at = 0; at < a.size; at += PIECE) {
    const [one, other] = await Promise.all([pieceOf(there, at), pieceOf(ours, at)])
    if (!one.equals(other)) return false
  }
  return true
}

async function pieceOf(file: FileHandle, at: number): Promise<Buffer> {
  const buffer = Buffer.alloc(PIECE)
  const { bytesRead } = await file.read(buffer, 0, PIECE, at)
  return buffer.subarray(0, bytesRead)
}

const statOf = (path: string): Promise<Stats | null> =>
  lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
