import type { ModelUsage } from '@anthropic-ai/claude-agent-sdk'
import { addUsd } from '../sessions/usage-totals.ts'
import type { ModelTotals, SdkTotals } from '../store/usage.ts'

/** The SDK's running totals by model: main agent, subagents and the agent's own errands together. */
export function totalsOf(models: Record<string, ModelUsage>): SdkTotals {
  return Object.fromEntries(
    Object.entries(models).map(([model, usage]): [string, ModelTotals] => [
      model,
      {
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        cacheReadTokens: usage.cacheReadInputTokens,
        cacheCreationTokens: usage.cacheCreationInputTokens,
        cacheCreation1hTokens: usage.cacheCreationEphemeral1hInputTokens ?? 0,
        costUsd: usage.costUSD,
        guessed: usage.costBasis === 'unknown',
      },
    ]),
  )
}

const NOTHING: ModelTotals = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  cacheCreation1hTokens: 0,
  costUsd: 0,
  guessed: false,
}

/** Whether `now` can be what `before` has grown to. */
const hasGrown = (before: ModelTotals, now: ModelTotals): boolean =>
  now.costUsd >= before.costUsd - 1e-9 &&
  now.inputTokens >= before.inputTokens &&
  now.outputTokens >= before.outputTokens

/** What was used of each model between two running totals. A total that fell began anew: all of it is new. */
export function growth(before: SdkTotals, now: SdkTotals): SdkTotals {
  return Object.fromEntries(
    Object.entries(now).map(([model, total]): [string, ModelTotals] => {
      const known = before[model] ?? NOTHING
      const base = hasGrown(known, total) ? known : NOTHING
      const delta = (field: Exclude<keyof ModelTotals, 'guessed'>) => Math.max(0, total[field] - base[field])
      return [
        model,
        {
          inputTokens: delta('inputTokens'),
          outputTokens: delta('outputTokens'),
          cacheReadTokens: delta('cacheReadTokens'),
          cacheCreationTokens: delta('cacheCreationTokens'),
          cacheCreation1hTokens: delta('cacheCreation1hTokens'),
          costUsd: addUsd(total.costUsd, -base.costUsd) > 0 ? addUsd(total.costUsd, -base.costUsd) : 0,
          guessed: total.guessed,
        },
      ]
    }),
  )
}

/**
 * From where a new agent process counts. `said` is its running total at its start, read from the transcript that the
 * last process left: one that was killed left an older total, so what that process had reported must not be
 * subtracted. Where the transcript knows of more than was `booked`, the difference is booked with the next turn.
 * Without a word from the process it is taken to go on where the last one was.
 */
export function baselineOf(booked: SdkTotals, said: SdkTotals | null): SdkTotals {
  if (said === null) return booked
  // A session without a turn of its own (a fork) begins with what its parent had used.
  if (Object.keys(booked).length === 0) return said
  return Object.fromEntries(
    Object.entries(said).map(([model, total]) => {
      const known = booked[model]
      return [model, known && hasGrown(known, total) ? known : known ? total : NOTHING]
    }),
  )
}
