import type { Clock } from '../lib/clock.ts'
import type { Owner } from '../lib/folder.ts'
import type { FileStore } from '../store/files.ts'

export interface FileContext {
  store: FileStore
  /** Where contents lie, each under its id: no name that came from elsewhere is ever part of a path. */
  folder: string
  clock: Clock
  /** Whose the workdirs are; null: the server's own user's. */
  owner?: Owner | null
  /** Bytes of one file, at most. */
  maxBytes: number
}

/** The idempotency key of a request; what it did is noted with it. */
export type Key = { principal: string; key: string } | null

/** What was done, so that an answer that was lost can be given again; and to whom: `print` is that of an upload. */
export const effectOf = (key: Key, id: string, print?: string) =>
  key ? { ...key, result: JSON.stringify({ id, ...(print !== undefined && { print }) }) } : undefined
