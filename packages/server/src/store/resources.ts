/** What a session was given. Erased with the session. */
export interface ResourceRow {
  id: string
  sessionId: string
  workspaceId: string
  type: 'file'
  /** As it was asked for. */
  mountPath: string
  /** Where it lies, relative to the workdir, with `/`. */
  path: string
  /** Its content lies under this id, and stays as long as this row, whatever becomes of the file. */
  fileId: string
  sizeBytes: number
  createdAt: number
}

/** The file that a resource names is not there, or another workspace's; nothing of the change was written. */
export class FileGone extends Error {
  override readonly name = 'FileGone'
}

/** The part of the store's contract that is about what sessions were given. It is written with a session's changes. */
export interface ResourceStore {
  /** Of one session, by (created, id). */
  list(sessionId: string): Promise<ResourceRow[]>
}
