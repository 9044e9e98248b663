import type { SessionAgent } from '@troupe/protocol/agent'
import type { SessionError } from '@troupe/protocol/event'
import type { SessionStatus, StopReason } from '@troupe/protocol/session'
import type { TurnStatus } from '@troupe/protocol/turn'
import type { SessionOptions } from './session-options.ts'
import type { SdkTotals, UsageTotals } from './usage.ts'

export interface SessionRow {
  id: string
  status: SessionStatus
  /** Grows with each change of status, turns or options; not with a mere append. */
  version: number
  lastSeq: number
  epoch: number
  holder: string | null
  leaseUntil: number | null
  /** Since when the session waits for a slot; null when it does not. */
  queuedAt: number | null
  /** −100 to 100; higher is taken first. */
  priority: number
  /** Whose session it is: the key that made it. */
  principal: string
  /** Nothing of another workspace sees it. */
  workspaceId: string
  /** Sessions of one principal with the same one share a place in the line, and a cap on how many run; null: no such bond. */
  concurrencyKey: string | null
  /** Milliseconds that it may wait for a slot; null: for ever. */
  maxQueueMs: number | null
  currentTurnId: string | null
  lastTurnStatus: TurnStatus | null
  turnCount: number
  messageCount: number
  agent: SessionAgent
  options: SessionOptions
  cwd: string
  title: string | null
  metadata: Record<string, string>
  externalId: string | null
  /** All prompts so far, joined as the origin API joins them. */
  prompt: string
  stopReason: StopReason | null
  lastError: SessionError | null
  result: { turn_id: string; text: string | null; structured: unknown; is_error: boolean } | null
  /** The newest `ResultMessage`, as the origin API shows it. */
  originResult: Record<string, unknown> | null
  usage: UsageTotals
  /** The SDK's own running totals when the last turn ended; what a turn cost is the difference. */
  sdkTotals: { models?: SdkTotals }
  /** Null until a request of the main agent has used the cache. */
  cachePrefix: CachePrefix | null
  /** Null until it was measured behind an answer. */
  context: ContextFill | null
  activeMs: number
  startedAt: number | null
  endedAt: number | null
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

/** The fields of a session that a change may set. */
export type SessionPatch = Partial<
  Omit<SessionRow, 'id' | 'version' | 'lastSeq' | 'epoch' | 'messageCount' | 'createdAt'>
>

/** What the next turn's first request can read from the prompt cache, and what made it. */
export interface CachePrefix {
  /** Hashes of what stands before the conversation; each one that changes makes the cache useless. */
  model: string
  system: string
  tools: string
  cwd: string
  /** Tokens that the last request of the main agent read from the cache or wrote to it. */
  tokens: number
  /** How long they live, in ms, since they were last read. */
  ttlMs: number
  /** When that request began, in ms. */
  at: number
}

/** What fills the context of a session's agent, measured behind its last answer. */
export interface ContextFill {
  tokens: number
  maxTokens: number
  model: string
  /** In ms. */
  at: number
  categories: { id: string; name: string; tokens: number; kind: string }[]
}
