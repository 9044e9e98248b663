import type { Statement } from 'better-sqlite3'
import type { UsageTotals } from './store.ts'

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
  /** Whose key began the turn; `local` until there are keys. */
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

/** Money is kept in billionths of a dollar: whole numbers, so that sums are exact in any order. */
export const NANOS = 1e9

export const toNanos = (usd: number): number => Math.round(usd * NANOS)

interface SumRow extends Record<string, string | number | null> {
  input: number
  output: number
  cache_read: number
  cache_creation: number
  cache_creation_1h: number
  cost: number
  guessed: number
  requests: number
  unreported: number
  turns: number
}

/** A group's column and the words for it. */
const COLUMNS: Record<(typeof USAGE_GROUPS)[number], string> = {
  day: 'day',
  model: 'model',
  agent: 'agent_id',
  api_key: 'principal',
  session: 'session_id',
  turn: 'turn_id',
}

const SUMS = `sum(input_tokens) as input, sum(output_tokens) as output, sum(cache_read_tokens) as cache_read,
  sum(cache_creation_tokens) as cache_creation, sum(cache_creation_1h_tokens) as cache_creation_1h,
  sum(cost_nano) as cost, sum(guessed_nano) as guessed, sum(model_requests) as requests,
  sum(unreported_requests) as unreported, count(distinct turn_id) as turns`

type Prepare = (text: string) => Statement

export function writeLedger(prepare: Prepare, entries: readonly LedgerEntry[]): void {
  const write = prepare(
    `insert into ledger (turn_id, model, day, session_id, agent_id, principal, metadata, at, input_tokens,
       output_tokens, cache_read_tokens, cache_creation_tokens, cache_creation_1h_tokens, cost_nano, guessed_nano,
       model_requests, unreported_requests)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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

/**
 * Sums by group, one UTC day of entries after the other: whoever runs the generator may do something else in between,
 * so that a long report holds nobody up for longer than a day's entries take. A turn that goes over midnight counts
 * once, on its first day in the report; where days are grouped, on each of them.
 */
export function* sumLedger(
  prepare: Prepare,
  filter: UsageFilter,
  groups: readonly UsageGroup[],
): Generator<UsageSums[], void, void> {
  const { where, values } = conditions(filter)
  const first = dayOf(filter.at?.gt, filter.at?.gte) ?? ''
  const last = dayOf(filter.at?.lt, filter.at?.lte) ?? '~'
  const metadataPaths: string[] = []
  const columns = groups.map((group, index) => {
    const column = COLUMNS[group as (typeof USAGE_GROUPS)[number]]
    if (column) return `${column} as k${index}`
    metadataPaths.push(`$.${JSON.stringify(group.slice('metadata.'.length))}`)
    return `json_extract(metadata, ?) as k${index}`
  })
  const keys = groups.map((_, index) => `k${index}`)
  const byDay = groups.includes('day')
  const sums = byDay
    ? SUMS
    : SUMS.replace(
        'count(distinct turn_id)',
        `count(distinct case when not exists (select 1 from ledger before where before.turn_id = ledger.turn_id
           and before.day < ledger.day and before.day >= ?${groups.includes('model') ? ' and before.model = ledger.model' : ''}) then turn_id end)`,
      )
  const select = prepare(
    `select ${[...columns, sums].join(', ')} from ledger where day = ? and ${where}${keys.length > 0 ? ` group by ${keys.join(', ')}` : ''}`,
  )
  // From one day to the next by the index: days without entries cost nothing.
  const [session, ...ids] = filter.sessionId === undefined ? [''] : ['session_id = ? and ', filter.sessionId]
  const next = (operator: '>=' | '>', day: string) =>
    (
      prepare(`select min(day) as day from ledger where ${session}day ${operator} ? and day <= ?`).get(
        ...ids,
        day,
        last,
      ) as { day: string | null }
    ).day
  for (let day = next('>=', first); day !== null; day = next('>', day)) {
    const rows = select.all(...metadataPaths, ...(byDay ? [] : [first]), day, ...values) as SumRow[]
    yield rows.filter((row) => row.turns !== null && row.requests !== null).map((row) => sumsOf(row, keys))
  }
}

function sumsOf(row: SumRow, keys: string[]): UsageSums {
  return {
    keys: keys.map((key) => (row[key] === null || row[key] === undefined ? null : String(row[key]))),
    usage: {
      inputTokens: row.input,
      outputTokens: row.output,
      cacheReadTokens: row.cache_read,
      cacheCreationTokens: row.cache_creation,
      cacheCreation1hTokens: row.cache_creation_1h,
      costUsd: row.cost / NANOS,
      unreportedRequests: row.unreported,
    },
    guessedUsd: row.guessed / NANOS,
    modelRequests: row.requests,
    turns: row.turns,
  }
}

/** The day of a bound; an entry's time is always within its day. */
function dayOf(...bounds: (number | undefined)[]): string | null {
  const at = bounds.find((bound) => bound !== undefined)
  return at === undefined ? null : new Date(at).toISOString().slice(0, 10)
}

const OPERATORS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function conditions(filter: UsageFilter): { where: string; values: (string | number)[] } {
  const where = ['1']
  const values: (string | number)[] = []
  for (const [bound, operator] of Object.entries(OPERATORS)) {
    const value = filter.at?.[bound as keyof typeof OPERATORS]
    if (value === undefined) continue
    where.push(`at ${operator} ?`)
    values.push(value)
  }
  if (filter.agentId !== undefined) {
    where.push('agent_id = ?')
    values.push(filter.agentId)
  }
  if (filter.sessionId !== undefined) {
    where.push('session_id = ?')
    values.push(filter.sessionId)
  }
  return { where: where.join(' and '), values }
}
