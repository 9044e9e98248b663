import type { StopReason } from '@troupe/protocol/session'
import type { UsageTotals } from './usage.ts'

export type ThreadStatus = 'running' | 'idle' | 'terminated'

/** A subagent's conversation. The session's own agent has no row: its thread is the session. */
export interface ThreadRow {
  id: string
  sessionId: string
  /** Null when the session's own agent started it. */
  parentId: string | null
  /** The turn that it works, or last worked, in. */
  turnId: string | null
  /** The event of the call that started it. */
  toolUseId: string | null
  /** The agent's own id of it, kept when it is taken up again. */
  taskId: string
  agentName: string
  description: string
  model: string | null
  background: boolean
  status: ThreadStatus
  stopReason: StopReason | null
  summary: string | null
  /** Of its own model requests; `costUsd` is not tracked and 0. */
  usage: UsageTotals | null
  /** Milliseconds at work, without the stretch that `runningSince` began. */
  activeMs: number
  runningSince: number | null
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

export type ThreadPatch = Partial<Omit<ThreadRow, 'id' | 'sessionId' | 'taskId' | 'createdAt' | 'updatedAt'>>

/** The part of the store's contract that is about subagents' conversations. They are written by changes. */
export interface ThreadStore {
  readThread(sessionId: string, threadId: string): Promise<ThreadRow | null>
  /** Threads by (created, id), after the one given. */
  listThreads(
    sessionId: string,
    statuses: ThreadStatus[] | undefined,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: ThreadRow[]; more: boolean }>
}
