import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import type { Effect } from './idempotency.ts'

/** A saved agent at one version. */
export interface AgentRow {
  id: string
  workspaceId: string
  /** Of this row; `newest` is that of the agent. */
  version: number
  newest: number
  definition: AgentDefinition
  /** `file`: read from a folder of files, under `file`, with this hash of what stands there. */
  source: 'api' | 'file' | 'built_in'
  file: string | null
  contentHash: string | null
  createdAt: number
  /** When this version was made. */
  updatedAt: number
  archivedAt: number | null
}

export type NewAgent = Pick<
  AgentRow,
  'id' | 'workspaceId' | 'definition' | 'source' | 'file' | 'contentHash' | 'createdAt'
>

/** A version to be added. */
export interface NewVersion {
  /** The newest one that it was made from. */
  from: number
  definition: AgentDefinition
  contentHash: string | null
  at: number
}

export interface AgentFilter {
  workspaceId: string
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
  includeArchived?: boolean | undefined
}

/** There are as many agents, or versions of one, as there may be. */
export class AgentLimit extends Error {
  override readonly name = 'AgentLimit'
}

/** Another version came first. */
export class AgentChanged extends Error {
  override readonly name = 'AgentChanged'
}

/** The part of the store's contract that is about saved agents. What a version holds is never written again. */
export interface AgentStore {
  /** Adds an agent at version 1. Throws `AgentLimit` at `limit` agents of the workspace. */
  create(agent: NewAgent, limit: number, effect?: Effect): Promise<AgentRow>
  /** The agent at a version, or at its newest; null when the workspace has no such agent or version. */
  read(workspaceId: string, id: string, version?: number): Promise<AgentRow | null>
  /**
   * Adds a version. Throws `AgentChanged` when the agent is archived, gone, or has another newest version than `from`,
   * and `AgentLimit` at `limit` versions.
   */
  addVersion(workspaceId: string, id: string, version: NewVersion, limit: number, effect?: Effect): Promise<AgentRow>
  /** Archives it, or with null takes it back; archiving twice keeps the first time. Null when there is no such agent. */
  archive(workspaceId: string, id: string, at: number | null, effect?: Effect): Promise<AgentRow | null>
  /** At their newest versions, by (created, id). */
  list(
    filter: AgentFilter,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: AgentRow[]; more: boolean }>
  /** Versions of an agent, by number. */
  versions(
    workspaceId: string,
    id: string,
    order: 'asc' | 'desc',
    limit: number,
    after: number | null,
  ): Promise<{ rows: AgentRow[]; more: boolean }>
  /** Those that are read from files, archived ones too. */
  fromFiles(workspaceId: string): Promise<AgentRow[]>
}
