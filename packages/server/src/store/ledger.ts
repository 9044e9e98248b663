import type { UsageTotals } from './usage.ts'

/**
 * What one turn used of one model on one day (UTC): the unit of the accounts. Written as absolute figures under
 * (turn, model, day), so writing it again changes nothing. Entries outlive their session: accounting outlives content.
 */
export interface LedgerEntry {
  turnId: string
  /** The model's name as the agent reports it. */
  model: string
  /** `YYYY-MM-DD`, the day on which the agent reported it. */
  day: string
  sessionId: string
  agentId: string
  /** The key whose session it is; `local` without keys. */
  principal: string
  /** The session's metadata when the turn began. */
  metadata: Record<string, string>
  /** Time of the first report, in ms. */
  at: number
  usage: UsageTotals
  /** The part of the cost that the agent guessed, because it knows no price for the model. */
  guessedUsd: number
  /** Requests to the model, those without a report too. */
  modelRequests: number
}

export const USAGE_GROUPS = ['day', 'model', 'agent', 'api_key', 'session', 'turn'] as const
/** What a report can be grouped by; the last form is a key of the sessions' metadata. */
export type UsageGroup = (typeof USAGE_GROUPS)[number] | `metadata.${string}`

export interface UsageFilter {
  workspaceId: string
  /** Bounds on an entry's time, in ms. */
  at?: { gt?: number; gte?: number; lt?: number; lte?: number }
  agentId?: string | undefined
  sessionId?: string | undefined
}

/** Sums over the entries of one group. */
export interface UsageSums {
  /** One per group asked for, in that order; null: an entry without that metadata key. */
  keys: (string | null)[]
  usage: UsageTotals
  guessedUsd: number
  modelRequests: number
  turns: number
}

/** The part of the store's contract that reads the accounts. They are written by changes. */
export interface LedgerStore {
  /** What a turn has used so far, by model and day. */
  readTurnLedger(turnId: string): Promise<LedgerEntry[]>
  /** Sums of the ledger by group. Takes time for each entry in the range, and lets others work in between. */
  sumUsage(filter: UsageFilter, groups: readonly UsageGroup[]): AsyncGenerator<UsageSums[], void, void>
}

/** Money is kept in billionths of a dollar: whole numbers, so that sums are exact in any order. */
export const NANOS = 1e9

export const toNanos = (usd: number): number => Math.round(usd * NANOS)
