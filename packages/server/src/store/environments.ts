import type { EnvironmentConfig } from '@troupe/protocol/environment'
import type { Effect } from './idempotency.ts'

/** A named way to run sessions. */
export interface EnvironmentRow {
  id: string
  workspaceId: string
  name: string
  description: string | null
  config: EnvironmentConfig
  metadata: Record<string, string>
  /** Grows with each change. */
  version: number
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

/** There are as many as there may be. */
export class EnvironmentLimit extends Error {
  override readonly name = 'EnvironmentLimit'
}

/** Somebody else has changed or deleted it. */
export class EnvironmentChanged extends Error {
  override readonly name = 'EnvironmentChanged'
}

/** The part of the store's contract that is about environments. Sessions keep copies: nothing here is read for them later. */
export interface EnvironmentStore {
  /** Throws `EnvironmentLimit` when the workspace has `limit`. */
  create(row: EnvironmentRow, limit: number, effect?: Effect): Promise<void>
  /** Null when the workspace has no such environment. */
  read(workspaceId: string, id: string): Promise<EnvironmentRow | null>
  /** Writes the row in place of version `from`. Throws `EnvironmentChanged`. */
  replace(row: EnvironmentRow, from: number, effect?: Effect): Promise<void>
  /** False when the workspace has no such environment. */
  delete(workspaceId: string, id: string, effect?: Effect): Promise<boolean>
  /** By (created, id). */
  list(
    filter: { workspaceId: string; includeArchived: boolean },
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: EnvironmentRow[]; more: boolean }>
}
