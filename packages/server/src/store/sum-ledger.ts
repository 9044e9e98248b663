import { NANOS, type USAGE_GROUPS, type UsageFilter, type UsageGroup, type UsageSums } from './ledger.ts'
import type { SqliteAccess } from './sqlite-access.ts'

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

/**
 * Sums by group, one UTC day of entries after the other: whoever runs the generator may do something else in between,
 * so that a long report holds nobody up for longer than a day's entries take. A turn that goes over midnight counts
 * once, on its first day in the report; where days are grouped, on each of them.
 */
export function* sumLedger(
  prepare: SqliteAccess['statement'],
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
  const where = ['workspace_id = ?']
  const values: (string | number)[] = [filter.workspaceId]
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
