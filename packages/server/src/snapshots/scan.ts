import type { BigIntStats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NotAFolder, openStanding, type Owner } from '../lib/folder.ts'
import { LEFT_OUT, NoSnapshot, type SnapshotLimits } from './limits.ts'

export interface ScannedFile {
  kind: 'file' | 'link'
  /** Permission bits. */
  mode: number
  size: number
  /** Changes whenever the content may have: of a file with the same stamp nothing is read. */
  stamp: string
  /** When it last changed in any way, in ms. */
  changedAt: number
}

/** A workdir as it stands, without contents. Paths are relative, with `/`. */
export interface Scan {
  files: Map<string, ScannedFile>
  /** Permission bits of the folders. */
  dirs: Map<string, number>
  /** Sockets, devices, pipes, and names that are not text: neither kept nor touched. */
  other: string[]
}

/** Entries looked at between two looks at the clock; so many are asked for at once. */
const BATCH = 64

/**
 * Looks at every file of a folder but those left out (`everything`: at those too); follows no link. Throws `NoSnapshot` where there is more than the
 * limits allow, or `signal` aborts first.
 */
export async function scan(
  root: string,
  limits: SnapshotLimits,
  signal: AbortSignal,
  everything = false,
  owner: Owner | null = null,
): Promise<Scan> {
  const found: Scan = { files: new Map(), dirs: new Map(), other: [] }
  let entries = 0
  let bytes = 0
  const pending = ['']
  while (pending.length > 0) {
    const dir = pending.pop()!
    await using folder = await listed(join(root, dir), owner)
    const names = await folder.names().catch((error: NodeJS.ErrnoException) => {
      if (dir === '') throw new NoSnapshot('workdir_missing', `The workdir ${root} cannot be read.`, error)
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR' && !(error instanceof NotAFolder)) found.other.push(dir)
      return []
    })
    const kept = everything ? names : names.filter((name) => !LEFT_OUT.has(name) && name.toLowerCase() !== '.git')
    if ((entries += kept.length) > limits.entries)
      throw new NoSnapshot('too_many_files', `The workdir ${root} has more than ${limits.entries} files and folders.`)
    for (let at = 0; at < kept.length; at += BATCH) {
      if (signal.aborted) throw new NoSnapshot('too_slow', `Looking through the workdir ${root} took too long.`)
      const some = kept.slice(at, at + BATCH)
      const batch = some.map((name) => (dir === '' ? name : `${dir}/${name}`))
      const stats = await Promise.all(
        some.map((name) => lstat(join(folder.path, name), { bigint: true }).catch(() => null)),
      )
      for (const [index, stat] of stats.entries()) {
        const path = batch[index]!
        if (!stat || path.includes('\uFFFD')) found.other.push(path)
        else if (stat.isDirectory()) {
          found.dirs.set(path, Number(stat.mode & 0o7777n))
          pending.push(path)
        } else if (stat.isFile() || stat.isSymbolicLink()) {
          found.files.set(path, scanned(stat))
          bytes += Number(stat.size)
        } else found.other.push(path)
      }
      if (bytes > limits.bytes)
        throw new NoSnapshot('too_many_bytes', `The workdir ${root} has more than ${limits.bytes} bytes.`)
    }
  }
  return found
}

/** What stands in a folder. With an owner it is held open meanwhile, and no link has led to it. */
async function listed(
  path: string,
  owner: Owner | null,
): Promise<{ path: string; names(): Promise<string[]> } & AsyncDisposable> {
  if (!owner) return { path, names: () => readdir(path), [Symbol.asyncDispose]: async () => undefined }
  try {
    const folder = await openStanding(path, owner)
    const held = folder.path('.')
    return { path: held, names: () => readdir(held), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
  } catch (error) {
    return { path, names: () => Promise.reject(error as Error), [Symbol.asyncDispose]: async () => undefined }
  }
}

const scanned = (stat: BigIntStats): ScannedFile => ({
  kind: stat.isSymbolicLink() ? 'link' : 'file',
  mode: Number(stat.mode & 0o7777n),
  size: Number(stat.size),
  stamp: [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs, stat.mode].join(' '),
  changedAt: Number(stat.ctimeNs / 1_000_000n),
})
