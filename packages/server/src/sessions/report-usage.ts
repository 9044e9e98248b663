import type { UsageRow, UsageTotals } from '@troupe/protocol/usage-report'
import { NO_USAGE } from '../store/usage.ts'
import type { Store } from '../store/store.ts'
import type { UsageFilter, UsageGroup, UsageSums } from '../store/ledger.ts'
import { addUsage, addUsd, money, tokensToWire, usdToWire } from './usage-totals.ts'

type Sums = Omit<UsageSums, 'keys'>

const NONE: Sums = { usage: NO_USAGE, guessedUsd: 0, modelRequests: 0, turns: 0 }

/**
 * What was used, by group, in the order of the keys; a group without the key comes first. Takes time for each entry in
 * the range, and memory for each group.
 */
export async function reportUsage(
  store: Store,
  filter: UsageFilter,
  groups: readonly UsageGroup[],
): Promise<{ rows: { keys: UsageSums['keys']; row: UsageRow }[]; totals: UsageTotals }> {
  const rows = new Map<string, UsageSums>()
  for await (const sums of store.sumUsage(filter, groups))
    for (const sum of sums) {
      const id = JSON.stringify(sum.keys)
      const known = rows.get(id)
      rows.set(id, known ? { keys: sum.keys, ...plus(known, sum) } : sum)
    }
  const byDay = groups.includes('day')
  const all = [...rows.values()]
  // Days and models of one turn are several rows: the turns of all of them are counted on their own.
  const turns = byDay || groups.includes('model') ? await countTurns(store, filter) : undefined
  const total = all.reduce<Sums>(plus, NONE)
  return {
    rows: all
      .toSorted((a, b) => compareKeys(a.keys, b.keys))
      .map((sum) => ({ keys: sum.keys, row: rowOf(sum, groups) })),
    totals: { type: 'usage_totals', ...sumsOf({ ...total, ...(turns !== undefined && { turns }) }) },
  }
}

async function countTurns(store: Store, filter: UsageFilter): Promise<number> {
  let turns = 0
  for await (const sums of store.sumUsage(filter, [])) for (const sum of sums) turns += sum.turns
  return turns
}

const plus = (a: Sums, b: Sums): Sums => ({
  usage: addUsage(a.usage, b.usage),
  guessedUsd: addUsd(a.guessedUsd, b.guessedUsd),
  modelRequests: a.modelRequests + b.modelRequests,
  turns: a.turns + b.turns,
})

/** The order of rows: by the first key, then the second … */
export function compareKeys(a: UsageSums['keys'], b: UsageSums['keys']): number {
  for (const [index, key] of a.entries()) {
    const other = b[index] ?? null
    if (key === other) continue
    if (key === null || other === null) return key === null ? -1 : 1
    return key < other ? -1 : 1
  }
  return 0
}

function rowOf(sums: UsageSums, groups: readonly UsageGroup[]): UsageRow {
  const group = Object.fromEntries(groups.map((name, index) => [name, sums.keys[index] ?? null]))
  return { type: 'usage_row', group, ...sumsOf(sums) }
}

function sumsOf({ usage, guessedUsd, modelRequests, turns }: Sums) {
  const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheCreationTokens
  return {
    ...tokensToWire(usage),
    cost_usd: usdToWire(usage.costUsd),
    list_cost: money(usage.costUsd),
    guessed_cost_usd: usdToWire(guessedUsd),
    turns,
    model_requests: modelRequests,
    unreported_requests: usage.unreportedRequests,
    cache_hit_ratio: input === 0 ? null : Number((usage.cacheReadTokens / input).toFixed(4)),
  }
}
