import type { Checkout } from '@troupe/protocol/repository'

/** A git repository that a session was given. Erased with the session. */
export interface RepositoryRow {
  id: string
  sessionId: string
  workspaceId: string
  url: string
  /** What its host asks for; null where it asks for nothing. */
  token: string | null
  /** Null: its default branch. */
  checkout: Checkout | null
  /** As it was asked for. */
  mountPath: string
  /** Where it lies, relative to the workdir, with `/`. */
  path: string
  createdAt: number
  updatedAt: number
}

/** What a change does to the repositories of its session. */
export interface RepositoryChanges {
  add?: RepositoryRow[]
  remove?: string[]
  tokens?: { id: string; token: string; at: number }[]
}

/** The part of the store's contract that is about repositories of sessions. It is written with a session's changes. */
export interface RepositoryStore {
  /** Of one session, by (created, id). */
  list(sessionId: string): Promise<RepositoryRow[]>
}
