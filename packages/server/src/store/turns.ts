import type { SessionError } from '@troupe/protocol/event'
import type { OutputFile } from '@troupe/protocol/output'
import type { StopReason } from '@troupe/protocol/session'
import type { PromptCache, TurnStatus } from '@troupe/protocol/turn'
import type { UsageTotals } from './usage.ts'

export interface TurnRow {
  id: string
  sessionId: string
  number: number
  status: TurnStatus
  inputEventIds: string[]
  output: { text: string | null; structured: unknown } | null
  stopReason: StopReason | null
  error: SessionError | null
  usage: UsageTotals | null
  /** How its first request met the prompt cache; null until it was answered. */
  cache: PromptCache | null
  modelRequests: number | null
  createdAt: number
  startedAt: number | null
  endedAt: number | null
  /** Its place among the turns that wait: the smallest is next. */
  position: number
  /** Time it was worked on before `runningSince`, in ms. */
  activeMs: number
  runningSince: number | null
  /** How its next run begins, when not with its input: a parked call is driven again, a cut conversation goes on. */
  resume: 'approval' | 'recovery' | null
  /** When it was taken up again after the end of a server, in ms. */
  recoveries: number[]
  /** What its agent left; absent: nothing. */
  files?: OutputFile[]
  /** The `traceparent` of the request that it came with; absent: none. */
  traceparent?: string
}

export type TurnPatch = Partial<Omit<TurnRow, 'id' | 'sessionId' | 'number' | 'createdAt'>>

/** The part of the store's contract that is about turns. They are written by changes. */
export interface TurnStore {
  readTurn(sessionId: string, turnId: string): Promise<TurnRow | null>
  listTurns(
    sessionId: string,
    order: 'asc' | 'desc',
    limit: number,
    after: number | null,
  ): Promise<{ rows: TurnRow[]; more: boolean }>
}
