import type { Statement } from 'better-sqlite3'
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

export type Prepare = (text: string) => Statement

export function writeLedger(prepare: Prepare, entries: readonly LedgerEntry[]): void {
  const write = prepare(
    `insert into ledger (turn_id, model, day, session_id, agent_id, principal, workspace_id, metadata, at, input_tokens,
       output_tokens, cache_read_tokens, cache_creation_tokens, cache_creation_1h_tokens, cost_nano, guessed_nano,
       model_requests, unreported_requests)
     values (?, ?, ?, ?, ?, ?, coalesce((select workspace_id from sessions where id = ?), 'wrkspc_default'), ?, ?, ?, ?, ?,
       ?, ?, ?, ?, ?, ?)
     on conflict (turn_id, model, day) do update set
       input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
       cache_read_tokens = excluded.cache_read_tokens, cache_creation_tokens = excluded.cache_creation_tokens,
       cache_creation_1h_tokens = excluded.cache_creation_1h_tokens, cost_nano = excluded.cost_nano,
       guessed_nano = excluded.guessed_nano, model_requests = excluded.model_requests,
       unreported_requests = excluded.unreported_requests`,
  )
  for (const { usage, ...entry } of entries)
    write.run(
      entry.turnId,
      entry.model,
      entry.day,
      entry.sessionId,
      entry.agentId,
      entry.principal,
      entry.sessionId,
      Object.keys(entry.metadata).length === 0 ? null : JSON.stringify(entry.metadata),
      entry.at,
      usage.inputTokens,
      usage.outputTokens,
      usage.cacheReadTokens,
      usage.cacheCreationTokens,
      usage.cacheCreation1hTokens,
      toNanos(usage.costUsd),
      toNanos(entry.guessedUsd),
      entry.modelRequests,
      usage.unreportedRequests,
    )
}

/** The entries of one turn. */
export function readTurnLedger(prepare: Prepare, turnId: string): LedgerEntry[] {
  const rows = prepare('select * from ledger where turn_id = ? order by day, model').all(turnId) as Record<
    string,
    never
  >[]
  return rows.map((row) => ({
    turnId: row.turn_id!,
    model: row.model!,
    day: row.day!,
    sessionId: row.session_id!,
    agentId: row.agent_id!,
    principal: row.principal!,
    metadata: row.metadata ? (JSON.parse(row.metadata) as Record<string, string>) : {},
    at: row.at!,
    usage: {
      inputTokens: row.input_tokens!,
      outputTokens: row.output_tokens!,
      cacheReadTokens: row.cache_read_tokens!,
      cacheCreationTokens: row.cache_creation_tokens!,
      cacheCreation1hTokens: row.cache_creation_1h_tokens!,
      costUsd: row.cost_nano! / NANOS,
      unreportedRequests: row.unreported_requests!,
    },
    guessedUsd: row.guessed_nano! / NANOS,
    modelRequests: row.model_requests!,
  }))
}
