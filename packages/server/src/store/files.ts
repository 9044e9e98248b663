import type { Effect } from './idempotency.ts'

/** A file that lies whole in the data folder, under its id. Never changed. */
export interface FileRow {
  id: string
  workspaceId: string
  filename: string
  mimeType: string
  sizeBytes: number
  createdAt: number
  /** The session and turn that an agent left it in, and where, below `outputs/`; absent: it was uploaded. */
  sessionId?: string
  turnId?: string
  path?: string
}

/** There are as many files, or bytes of them, as there may be. */
export class FileLimit extends Error {
  override readonly name = 'FileLimit'
}

/** The part of the store's contract that is about files: what is known of them, not what is in them. */
export interface FileStore {
  /** Adds a file. Throws `FileLimit` where the workspace would have more files, or bytes, than `limits`. */
  create(row: FileRow, limits: { files: number; bytes: number }, effect?: Effect): Promise<void>
  /** Null when the workspace has no such file. */
  read(workspaceId: string, id: string): Promise<FileRow | null>
  /** Whether any workspace has it, or a session was given it: its content is still needed. */
  has(id: string): Promise<boolean>
  /** Takes it out of the lists; false when the workspace has no such file. */
  delete(workspaceId: string, id: string, effect?: Effect): Promise<boolean>
  /** Files of a workspace, and their bytes together. */
  totals(workspaceId: string): Promise<{ files: number; bytes: number }>
  /** By (created, id); of `ids`, or of one session, alone where they are given. */
  list(
    workspaceId: string,
    only: { ids?: readonly string[] | undefined; sessionId?: string | undefined },
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: FileRow[]; more: boolean }>
}
