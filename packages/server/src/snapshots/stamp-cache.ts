import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScannedFile } from './scan.ts'

/** What is known of a file's content as long as its stamp stays. */
export interface KnownFile {
  stamp: string
  kind: 'file' | 'link'
  mode: number
  size: number
  /** Git's name of the content; of a file too large to be kept only its hash. */
  oid: string
  large: boolean
}

/** The files of the newest snapshot, so that the next one reads only what changed. */
export interface StampCache {
  commit: string | null
  files: Map<string, KnownFile>
}

/** A file that changed in the last moment before it was looked at may change again without its stamp saying so, in ms. */
const TICK_MS = 100

const FILE = 'stamps.json'

/** What the last snapshot left; nothing where there is none, or it was cut off, or belongs to another commit. */
export async function readStamps(gitDir: string, commit: string | null): Promise<StampCache | null> {
  try {
    const { commit: of, files } = JSON.parse(await readFile(join(gitDir, FILE), 'utf8')) as {
      commit: string | null
      files: [string, KnownFile][]
    }
    return of === commit ? { commit, files: new Map(files) } : null
  } catch {
    return null
  }
}

/** Written whole or not at all. */
export async function writeStamps(gitDir: string, { commit, files }: StampCache): Promise<void> {
  const temporary = join(gitDir, `${FILE}.new`)
  await writeFile(temporary, JSON.stringify({ commit, files: [...files] }), { mode: 0o600 })
  await rename(temporary, join(gitDir, FILE))
}

/** The stamp that may be trusted later: none of a file that had only just changed. */
export const lastingStamp = (file: ScannedFile, lookedAt: number): string =>
  file.changedAt < lookedAt - TICK_MS ? file.stamp : ''
