import type { CreateDeployment, ScheduleParam } from '@troupe/protocol/deployment'
import type { ResourceParam } from '@troupe/protocol/resource'
import type { Effect } from './idempotency.ts'

/** A deployment: what to start, and when. */
export interface DeploymentRow {
  id: string
  workspaceId: string
  /** Whose sessions its scheduled runs are: the key that last said what they do. */
  principal: string
  name: string
  description: string | null
  agentId: string
  agentVersion: number
  /** What is handed to each session. */
  body: {
    environmentId: string
    initialEvents: CreateDeployment['initial_events']
    budget: CreateDeployment['budget'] | null
    cwd: string | null
    /** With the tokens of repositories. Absent in those that were saved before there were any. */
    resources?: ResourceParam[]
  }
  metadata: Record<string, string>
  schedule: Required<ScheduleParam> | null
  /** The tick that is to be run next; null while it is paused, archived or has no schedule. */
  nextAt: number | null
  /** When that is to happen: later by its jitter. */
  fireAt: number | null
  pausedReason: { type: 'manual' } | { type: 'error'; error: { type: string } } | null
  lastRunAt: number | null
  /** Grows with each change, a scheduled run too. */
  version: number
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

/** That it was run, or could not be; never changed. */
export interface DeploymentRunRow {
  id: string
  deploymentId: string
  workspaceId: string
  agentId: string
  agentVersion: number
  sessionId: string | null
  error: { type: string; message: string } | null
  /** The tick; null: by hand. */
  scheduledAt: number | null
  createdAt: number
}

/** A run and what it leaves of its tick, written as one: with its session, or alone when there is none. */
export interface RunWrite {
  run: DeploymentRunRow
  /** Of a scheduled run: refused with `DeploymentChanged` unless the deployment is at this version. */
  tick: {
    version: number
    nextAt: number | null
    fireAt: number | null
  } | null
  /** Pauses it, with this reason. */
  pause?: DeploymentRow['pausedReason']
}

type Range = { gt?: number; gte?: number; lt?: number; lte?: number }
type After = { at: number; id: string } | null

/** Somebody else has changed it, or run its tick. */
export class DeploymentChanged extends Error {
  override readonly name = 'DeploymentChanged'
}

/** That tick was run already. */
export class TickTaken extends Error {
  override readonly name = 'TickTaken'
}

/** There are as many as there may be. */
export class DeploymentLimit extends Error {
  override readonly name = 'DeploymentLimit'
}

/** The part of the store's contract that is about deployments. A run with a session is written by its change. */
export interface DeploymentStore {
  /** Throws `DeploymentLimit` when the workspace has `limit` that are not archived. */
  create(row: DeploymentRow, limit: number, effect?: Effect): Promise<void>
  /** Of this workspace; null: of any. */
  read(workspaceId: string | null, id: string): Promise<DeploymentRow | null>
  /** Writes the row in place of version `from`. Throws `DeploymentChanged`. */
  replace(row: DeploymentRow, from: number, effect?: Effect): Promise<void>
  list(
    filter: {
      workspaceId: string
      agentId?: string | undefined
      status?: 'active' | 'paused' | undefined
      includeArchived?: boolean | undefined
      createdAt: Range
    },
    order: 'asc' | 'desc',
    limit: number,
    after: After,
  ): Promise<{ rows: DeploymentRow[]; more: boolean }>
  /** Those to be run by now, the longest due first. */
  due(at: number, limit: number): Promise<DeploymentRow[]>
  /** When the next one is to be run. */
  nextFire(): Promise<number | null>
  /** Writes a run that started no session. Throws `DeploymentChanged`, `TickTaken`. */
  noteRun(write: RunWrite, effect?: Effect): Promise<void>
  readRun(workspaceId: string, id: string): Promise<DeploymentRunRow | null>
  listRuns(
    filter: {
      workspaceId: string
      deploymentId?: string | undefined
      hasError?: boolean | undefined
      trigger?: 'schedule' | 'manual' | undefined
      createdAt: Range
    },
    order: 'asc' | 'desc',
    limit: number,
    after: After,
  ): Promise<{ rows: DeploymentRunRow[]; more: boolean }>
}
