import type { FileRow } from './files.ts'

/** What is known of a path below `outputs/`: what it was when it was last kept, or why it was left out. */
export interface OutputRow {
  path: string
  /** Null: it was left out. */
  fileId: string | null
  /** Of its content. */
  sha256: string | null
  /** As long as a file has this stamp nothing of it is read; null: it must be read. */
  stamp: string | null
  /** Why it was left out. */
  problem: string | null
}

/** What was found in `outputs/` at the end of a turn; written with that end. */
export interface OutputsChange {
  /** New files. */
  files: FileRow[]
  /** Paths of which another thing is known now. */
  known: OutputRow[]
  /** All paths that are left out now, instead of those that were before. */
  problems: OutputRow[]
}

/** The part of the store's contract that is about what agents leave. It is written with a session's changes. */
export interface OutputStore {
  /** What is known of the paths of a session. */
  known(sessionId: string): Promise<OutputRow[]>
  /** Files of a session, and their bytes together. */
  totals(sessionId: string): Promise<{ files: number; bytes: number }>
  /** Ids of the files of a session. */
  files(sessionId: string): Promise<string[]>
}
