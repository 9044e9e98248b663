import type { Usage } from '@troupe/protocol/turn'
import { type LedgerEntry, NANOS, toNanos } from '../store/ledger.ts'
import { NO_USAGE, type UsageTotals } from '../store/usage.ts'

/** Sums money in whole billionths of a dollar, so that sums of sums agree to the last digit. */
export const addUsd = (a: number, b: number): number => (toNanos(a) + toNanos(b)) / NANOS

export function addUsage(a: UsageTotals, b: UsageTotals | null): UsageTotals {
  if (!b) return a
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheCreationTokens: a.cacheCreationTokens + b.cacheCreationTokens,
    cacheCreation1hTokens: a.cacheCreation1hTokens + b.cacheCreation1hTokens,
    costUsd: addUsd(a.costUsd, b.costUsd),
    unreportedRequests: a.unreportedRequests + b.unreportedRequests,
  }
}

/** What the entries of a turn, or of any other part of the ledger, come to. */
export function sumOfEntries(entries: readonly Pick<LedgerEntry, 'usage'>[]): UsageTotals {
  return entries.reduce((sum, entry) => addUsage(sum, entry.usage), NO_USAGE)
}

/** Usage as the wire writes it. Whole cents are rounded up, so that a cost is never shown as nothing. */
export function usageToWire(usage: UsageTotals, activeMs: number): Usage {
  return {
    ...tokensToWire(usage),
    list_cost: money(usage.costUsd),
    cost_usd: usdToWire(usage.costUsd),
    unreported_requests: usage.unreportedRequests,
    active_seconds: Math.max(0, activeMs) / 1000,
  }
}

export function tokensToWire(usage: UsageTotals) {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation_input_tokens: usage.cacheCreationTokens,
    cache_creation: {
      ephemeral_1h_input_tokens: usage.cacheCreation1hTokens,
      ephemeral_5m_input_tokens: Math.max(0, usage.cacheCreationTokens - usage.cacheCreation1hTokens),
    },
  }
}

/** Ten decimals are enough for a token's price and hide the noise of binary fractions (0.07 * 100 > 7). */
export const usdToWire = (usd: number): number => Number(usd.toFixed(10))

/** Whole cents, rounded up. */
export const money = (usd: number) => ({
  amount: String(Math.ceil(Number((usd * 100).toFixed(8)))),
  currency: 'USD' as const,
})
