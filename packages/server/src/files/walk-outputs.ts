import type { OutputProblem } from '@troupe/protocol/output'
import type { BigIntStats } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { NotAFolder, type OpenFolder, openFolder, type Owner } from '../lib/folder.ts'
import { nameProblem, shownPath } from './file-name.ts'

/** Folders within folders, and entries that are looked at, at most. */
const MAX_DEPTH = 16
const MAX_ENTRIES = 5_000

/** The folder that is looked into, in the workdir. */
export const OUTPUTS = 'outputs'

/** Something that stands below `outputs/`. */
export interface Found {
  /** Below `outputs/`; '' is that itself. */
  path: string
  /** What keeps it from being read; null: it is a file. */
  problem: OutputProblem | null
  /** Changes whenever the content may have. */
  stamp: string
  size: number
  /** Bytes that it takes on the disk. */
  taken: number
  /** When it last changed in any way, in ms. */
  changedAt: number
}

/**
 * Everything below `outputs/` of a workdir, in a fixed order, and no link followed: files, and what is none. Nothing
 * where there is no such folder. Ends early when `signal` aborts, or there are too many entries; then the last says so.
 */
export async function* walkOutputs(
  cwd: string,
  signal: AbortSignal,
  owner: Owner | null = null,
): AsyncGenerator<Found, void, void> {
  let entries = 0
  const pending: string[][] = [[]]
  while (pending.length > 0) {
    const parts = pending.shift()!
    const base = parts.join('/')
    try {
      await using folder = await openFolder(cwd, [OUTPUTS, ...parts], false, owner)
      for (const name of await namesIn(folder, MAX_ENTRIES + 1 - entries)) {
        if (signal.aborted) return yield nothing('', 'too_slow')
        if (++entries > MAX_ENTRIES) return yield nothing('', 'too_many_files')
        const path = base === '' ? name : `${base}/${name}`
        const stat = await lstat(folder.path(name), { bigint: true }).catch(() => null)
        // A name that is not text cannot be asked for again.
        if (nameProblem(name) !== null || name.includes('\ufffd')) yield nothing(shownPath(path), 'bad_name')
        else if (!stat) continue
        else if (stat.isDirectory() && parts.length + 1 > MAX_DEPTH) yield found(path, stat, 'too_deep')
        else if (stat.isDirectory()) pending.push([...parts, name])
        else yield found(path, stat, stat.isSymbolicLink() ? 'link' : stat.isFile() ? null : 'not_a_file')
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (error instanceof NotAFolder) yield nothing(base, 'link')
      else if (code !== 'ENOENT') yield nothing(base, 'unreadable')
    }
  }
}

/** At most so many, however many there are. */
async function namesIn(folder: OpenFolder, most: number): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of await opendir(folder.path('.'))) if (names.push(name) >= most) break
  return names.toSorted()
}

export const stampOf = (stat: BigIntStats): string =>
  [stat.dev, stat.ino, stat.mode, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')

const found = (path: string, stat: BigIntStats, problem: OutputProblem | null): Found => ({
  path,
  problem,
  stamp: stampOf(stat),
  size: Number(stat.size),
  taken: Number(stat.blocks) * 512,
  changedAt: Number(stat.ctimeNs / 1_000_000n),
})

const nothing = (path: string, problem: OutputProblem): Found => ({
  path,
  problem,
  stamp: problem,
  size: 0,
  taken: 0,
  changedAt: 0,
})
