import type { SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import type { StopReason } from '@troupe/protocol/session'
import type { TurnPart } from '../sessions/approval-state.ts'
import type { TurnOutcome } from '../sessions/end-turn.ts'
import { NO_USAGE, type UsageTotals } from '../store/store.ts'

/** The SDK's running totals, main agent and subagents together: `usage` would leave the subagents out. */
export function sdkTotals(result: SDKResultMessage): UsageTotals {
  const models = Object.values(result.modelUsage ?? {})
  const sum = (of: (usage: (typeof models)[number]) => number) => models.reduce((total, usage) => total + of(usage), 0)
  return {
    inputTokens: sum((usage) => usage.inputTokens),
    outputTokens: sum((usage) => usage.outputTokens),
    cacheReadTokens: sum((usage) => usage.cacheReadInputTokens),
    cacheCreationTokens: sum((usage) => usage.cacheCreationInputTokens),
    costUsd: result.total_cost_usd ?? 0,
  }
}

/** What was used between two running totals. A total that fell began anew: all of it is new. */
export function usageSince(before: UsageTotals, now: UsageTotals): UsageTotals {
  const restarted = now.costUsd < before.costUsd || now.inputTokens < before.inputTokens
  const base = restarted ? NO_USAGE : before
  const delta = (field: keyof UsageTotals) => Math.max(0, now[field] - base[field])
  return {
    inputTokens: delta('inputTokens'),
    outputTokens: delta('outputTokens'),
    cacheReadTokens: delta('cacheReadTokens'),
    cacheCreationTokens: delta('cacheCreationTokens'),
    costUsd: delta('costUsd'),
  }
}

/** What a turn used until a call of it was parked. */
export function partOfResult(result: SDKResultMessage, before: UsageTotals, modelRequests: number): TurnPart {
  const totals = sdkTotals(result)
  return { usage: usageSince(before, totals), sdkTotals: totals, modelRequests }
}

/** How a turn ended by the SDK's word. `terminal_reason` is read before `subtype`, which calls an aborted turn a success. */
export function outcomeOfResult(
  result: SDKResultMessage,
  context: { before: UsageTotals; interrupted: boolean; modelError: SessionError | null; modelRequests: number },
): TurnOutcome {
  const totals = sdkTotals(result)
  const text = result.subtype === 'success' && !result.is_error && !context.modelError ? result.result : null
  const base = {
    text,
    structured: result.subtype === 'success' ? (result.structured_output ?? null) : null,
    usage: usageSince(context.before, totals),
    sdkTotals: totals,
    modelRequests: Math.max(context.modelRequests, result.num_turns),
    originResult: originResult(result),
  }
  const end = (status: TurnOutcome['status'], type: string, error: SessionError | null = null): TurnOutcome => {
    const stopReason: StopReason = { type }
    return { ...base, status, stopReason, error }
  }
  // A turn that was done before the interrupt reached the agent is done.
  if (context.interrupted && !(result.subtype === 'success' && result.terminal_reason === 'completed'))
    return end('cancelled', 'interrupted')
  switch (result.terminal_reason) {
    case 'aborted_streaming':
    case 'aborted_tools':
      return end('cancelled', 'interrupted')
    case 'max_turns':
      return end('completed', 'max_turns')
    case 'budget_exhausted':
      return end('completed', 'budget_reached')
    case 'structured_output_retry_exhausted':
      return end('failed', 'structured_output_failed', failure(result, context.modelError))
    default:
      break
  }
  if (context.modelError || result.is_error) return errorEnd()
  if (result.stop_reason === 'refusal') return end('completed', 'refusal')
  return end('completed', 'end_turn')

  function errorEnd(): TurnOutcome {
    if (result.subtype === 'error_max_turns') return end('completed', 'max_turns')
    if (result.subtype === 'error_max_budget_usd') return end('completed', 'budget_reached')
    return end('failed', 'retries_exhausted', failure(result, context.modelError))
  }
}

function failure(result: SDKResultMessage, known: SessionError | null): SessionError {
  // The agent words an overloaded endpoint as any server error; the status tells.
  if (known && result.subtype === 'success' && result.api_error_status === 529)
    return { ...known, type: 'model_overloaded_error', code: 'overloaded' }
  if (known) return known
  const said = result.subtype === 'success' ? result.result : result.errors.join('\n')
  return {
    type: 'unknown_error',
    code: result.terminal_reason ?? result.subtype,
    message: said || `The agent ended its turn with ${result.subtype}.`,
    retry_status: { type: 'terminal' },
  }
}

/** The origin API's `result`, with the text that it left out. */
function originResult(result: SDKResultMessage): Record<string, unknown> {
  return {
    session_id: result.session_id,
    num_turns: result.num_turns,
    duration_ms: result.duration_ms,
    total_cost_usd: result.total_cost_usd,
    usage: result.usage,
    result: result.subtype === 'success' ? result.result : null,
  }
}
