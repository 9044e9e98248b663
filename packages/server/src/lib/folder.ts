import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A folder that is held open: whatever is done at its paths is done there, whoever moves it or its parents meanwhile. */
export interface OpenFolder extends AsyncDisposable {
  readonly handle: FileHandle
  /** Of an entry. Not for names with a separator. */
  path(name: string): string
}

/** Whose folders these are, where it is not the user of the server: what he may not read is not read for him. */
export interface Owner {
  uid: number
  mayRead(stat: Pick<Stats, 'uid' | 'gid' | 'mode'>, folder?: boolean): boolean
}

/** What stands in the way is no folder, or a link to one. */
export class NotAFolder extends Error {
  override readonly name = 'NotAFolder'
}

/**
 * Opens the folder at the end of `parts`, below `root`, and follows no link on the way; `make` makes what is missing.
 * Where the system lets paths begin at an open folder (Linux), nobody can put a link in the way behind our back; else
 * each step is looked at once. With an `owner`, `root` is reached by no link either, and what is made is the owner's.
 * Throws `NotAFolder`, and what the disk refuses (`ENOENT` without `make`, `EACCES` where the owner may not read).
 */
export async function openFolder(
  root: string,
  parts: readonly string[],
  make = false,
  owner: Owner | null = null,
): Promise<OpenFolder> {
  let folder = owner
    ? await openStanding(root, owner)
    : held(await open(root, constants.O_RDONLY | constants.O_DIRECTORY), root)
  for (const part of parts) {
    await using outer = folder
    const path = outer.path(part)
    const made = make && (await makeFolder(path))
    folder = held(await openReal(path), path)
    try {
      if (made && owner) await giveMade(folder.handle, outer.handle, owner)
      if (owner) await assertReadable(folder.handle, path, owner)
    } catch (error) {
      await folder.handle.close()
      throw error
    }
  }
  return folder
}

/** Opens the folder that stands at a path itself, reached by no link; only on Linux. Throws as `openFolder` does. */
export async function openStanding(path: string, owner: Owner): Promise<OpenFolder> {
  const handle = await openReal(path)
  try {
    if (!(await standsAt(handle, path))) throw new NotAFolder(path)
    await assertReadable(handle, path, owner)
    return held(handle, path)
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Whether what is open is what a path names, reached by no link. */
export const standsAt = async ({ fd }: FileHandle, path: string): Promise<boolean> =>
  (await readlink(`/proc/self/fd/${fd}`)) === path

/**
 * Does something at a path below `root`: with an `owner` in the folder around it, held open, so that no link leads what
 * is done elsewhere; else by the path itself.
 */
export async function at<T>(
  root: string,
  path: string,
  owner: Owner | null,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const whole = join(root, path)
  if (!owner) return work(whole)
  await using folder = await openStanding(dirname(whole), owner)
  // Awaited here: the folder is held until it is done.
  return await work(folder.path(basename(whole)))
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** Given through what is open; who put another folder there has given that. */
export async function giveMade(made: FileHandle, around: FileHandle | null, { uid }: Owner): Promise<void> {
  const own = await made.stat()
  if (own.uid !== 0 || own.nlink > 2) return
  await made.chown(uid, around ? (await around.stat()).gid : own.gid)
}

async function assertReadable(handle: FileHandle, path: string, owner: Owner): Promise<void> {
  if (owner.mayRead(await handle.stat(), true)) return
  throw Object.assign(new Error(`EACCES: the user of the agents may not read ${path}`), { code: 'EACCES', path })
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
