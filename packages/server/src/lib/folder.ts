import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'

/** A folder that is held open: whatever is done at its paths is done there, whoever moves it or its parents meanwhile. */
export interface OpenFolder extends AsyncDisposable {
  readonly handle: FileHandle
  /** Of an entry. Not for names with a separator. */
  path(name: string): string
}

/** What stands in the way is no folder, or a link to one. */
export class NotAFolder extends Error {
  override readonly name = 'NotAFolder'
}

/**
 * Opens the folder at the end of `parts`, below `root`, and follows no link on the way; `make` makes what is missing.
 * Where the system lets paths begin at an open folder (Linux), nobody can put a link in the way behind our back; else
 * each step is looked at once. Throws `NotAFolder`, and what the disk refuses (`ENOENT` without `make`).
 */
export async function openFolder(root: string, parts: readonly string[], make = false): Promise<OpenFolder> {
  let folder = held(await open(root, constants.O_RDONLY | constants.O_DIRECTORY), root)
  for (const part of parts) {
    await using outer = folder
    const path = outer.path(part)
    if (make)
      await mkdir(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
    folder = held(await openReal(path), path)
  }
  return folder
}

async function openReal(path: string): Promise<FileHandle> {
  try {
    if (!(await lstat(path)).isDirectory()) throw new NotAFolder(path)
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ELOOP' || code === 'ENOTDIR' ? new NotAFolder(path, { cause: error }) : error
  }
}

const held = (handle: FileHandle, path: string): OpenFolder => {
  const base = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path
  return {
    handle,
    path: (name) => join(base, name),
    [Symbol.asyncDispose]: () => handle.close(),
  }
}
