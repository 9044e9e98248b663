import type { ApprovalPatch, ApprovalRow, GrantRow } from './approvals.ts'
import type { RunWrite } from './deployments.ts'
import type { EventRow, NewEvent } from './events.ts'
import type { Effect } from './idempotency.ts'
import type { LedgerEntry } from './ledger.ts'
import type { OutputsChange } from './outputs.ts'
import type { RepositoryChanges } from './repositories.ts'
import type { ResourceRow } from './resources.ts'
import type { SessionPatch, SessionRow } from './session-row.ts'
import type { ThreadPatch, ThreadRow } from './threads.ts'
import type { TurnPatch, TurnRow } from './turns.ts'

/** One state change, whole: all of it is committed or nothing. */
export interface SessionChange {
  sessionId: string
  /** Time of the change, in ms. */
  at: number
  /** Made by a runner under this lease: refused with `StaleEpoch` once another run has begun. */
  epoch?: number
  /** Refused with `VersionConflict` when the session has changed since it was read. */
  version?: number
  /** Refused with `QueueFull` when as many sessions wait as this: the change would put one more into the line. */
  queueLimit?: number
  session?: SessionPatch
  newTurns?: TurnRow[]
  turns?: { id: string; patch: TurnPatch }[]
  newThreads?: ThreadRow[]
  threads?: { id: string; patch: ThreadPatch }[]
  events?: NewEvent[]
  newApprovals?: ApprovalRow[]
  approvals?: { id: string; patch: ApprovalPatch }[]
  grants?: GrantRow[]
  messages?: { turnId: string | null; body: string }[]
  /** Sets the session back; the first event of the change tells of it. */
  rewind?: RewindChange
  /**
   * The run of the deployment that starts the session. Refused with `DeploymentChanged` or `TickTaken` where the tick
   * is another's.
   */
  deploymentRun?: RunWrite
  /** What the session is given; refused with `FileGone` where a file is not there. And what is taken from it. */
  newResources?: ResourceRow[]
  removedResources?: string[]
  /** What the agent left in the turn that the change ends. */
  outputs?: OutputsChange
  repositories?: RepositoryChanges
  /** Entries of the accounts, as they now stand. */
  ledger?: LedgerEntry[]
  /** The idempotency key under which the change is made, and what it did: committed together. */
  effect?: Effect
}

/** What a rewind does to a session, besides its event. */
export interface RewindChange {
  eventId: string
  toSeq: number
  conversation: boolean
  /** Entries of inputs that are undone: the first of them, and what follows it, goes. Null: the transcript stays. */
  dropped: string[] | null
  /** The snapshot that the workdir is set back to; undefined: it is left alone. */
  commit: string | null | undefined
}

export interface Committed {
  /** The events as numbered. */
  events: EventRow[]
}

/** The part of the store's contract that writes sessions. */
export interface ChangeStore {
  /** Creates a session with its first change. Throws `ExternalIdTaken`. */
  createSession(row: SessionRow, change: SessionChange): Promise<Committed>
  /** Applies a change. Throws `StaleEpoch`, `VersionConflict`, `NoSuchSession`, `QueueFull`, `StorageUnavailable`. */
  commit(change: SessionChange): Promise<Committed>
  /** Erases a session with all that hangs on it and leaves a tombstone. `version` and `effect` as in a change. */
  deleteSession(id: string, at: number, version?: number, effect?: Effect): Promise<void>
}
