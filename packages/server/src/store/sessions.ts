import type { SessionStatus } from '@troupe/protocol/session'
import type { ApprovalRow } from './approvals.ts'
import type { SearchFilter } from './search.ts'
import type { SessionRow } from './session-row.ts'
import type { ThreadRow } from './threads.ts'
import type { TurnRow } from './turns.ts'

export interface SessionState {
  session: SessionRow
  openTurns: TurnRow[]
  approvals: ApprovalRow[]
  /** Subagents at work. Absent where a state is made of another one. */
  openThreads?: ThreadRow[]
  /** Inputs that the agent has taken, of the turn that was begun; absent where that turn has but one. */
  takenInputs?: ReadonlySet<string>
}

export interface SessionFilter extends SearchFilter {
  statuses?: SessionStatus[] | undefined
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
  includeArchived?: boolean | undefined
  externalId?: string | undefined
  agentId?: string | undefined
  environmentId?: string | undefined
  agentVersion?: number | undefined
  /** Those that it started. */
  deploymentId?: string | undefined
  stopReasons?: string[] | undefined
}

/** Keyset position: the rows after (`forward`) or before this one in the list's order. */
export interface Position {
  at: number
  id: string
  backward: boolean
}

/** The part of the store's contract that finds and reads sessions. They are written by changes. */
export interface SessionStore {
  readSession(id: string): Promise<SessionRow | null>
  hasSession(id: string): Promise<boolean>
  /**
   * The session, its turns that have not ended (one that runs or waits for an answer first, then those that wait for
   * their turn, in their order), and the approvals that are pending or whose answer has not reached the agent. One consistent read.
   */
  readSessionState(id: string): Promise<SessionState | null>
  findByExternalId(workspaceId: string, externalId: string): Promise<SessionRow | null>
  isDeleted(id: string): Promise<boolean>
  /** Whose a session is, or was; null: there never was one. */
  workspaceOf(sessionId: string): Promise<string | null>

  /** At most `limit` sessions by (created, id), and whether more follow in that direction. */
  listSessions(
    filter: SessionFilter,
    order: 'asc' | 'desc',
    limit: number,
    from: Position | null,
  ): Promise<{ rows: SessionRow[]; more: boolean }>
  countSessions(filter: SessionFilter): Promise<number>
  /** Sessions not running and not to be kept, last changed before `before`, oldest first; of all workspaces where that is null. */
  findPrunable(
    workspaceId: string | null,
    before: number,
    statuses: SessionStatus[],
    limit: number,
    field: 'updated' | 'ended',
  ): Promise<string[]>
}
