import { type LedgerEntry, type LedgerStore, NANOS, toNanos } from './ledger.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { sumLedger } from './sum-ledger.ts'

export function writeLedger(prepare: SqliteAccess['statement'], entries: readonly LedgerEntry[]): void {
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
function readTurnLedger(prepare: SqliteAccess['statement'], turnId: string): LedgerEntry[] {
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

export function sqliteLedger({ statement }: SqliteAccess): LedgerStore {
  return {
    async readTurnLedger(turnId) {
      return readTurnLedger(statement, turnId)
    },

    async *sumUsage(filter, groups) {
      for (const sums of sumLedger(statement, filter, groups)) {
        yield sums
        // Whoever waits for the event loop comes first.
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    },
  }
}
