import type { SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import type { StopReason } from '@troupe/protocol/session'
import type { TurnOutcome } from '../sessions/end-turn.ts'
import type { AccountOfTurn } from './turn-account.ts'

/** How a turn ended by the SDK's word. `terminal_reason` is read before `subtype`, which calls an aborted turn a success. */
export function outcomeOfResult(
  result: SDKResultMessage,
  context: { account: AccountOfTurn; interrupted: boolean; modelError: SessionError | null; structured: boolean },
): TurnOutcome {
  const text = result.subtype === 'success' && !result.is_error && !context.modelError ? result.result : null
  const base = {
    text,
    structured: result.subtype === 'success' ? (result.structured_output ?? null) : null,
    ...context.account,
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
      return unfit(base, result.subtype === 'success' ? '' : result.errors.join('\n'))
    default:
      break
  }
  if (context.modelError || result.is_error) return errorEnd()
  if (result.stop_reason === 'refusal') return end('completed', 'refusal')
  // An agent that was told twice to answer by its tool and did not is let go as a success (measured, 2.1.330).
  if (context.structured && result.subtype === 'success' && result.structured_output === undefined)
    return unfit(base, withoutAnswer(result.result))
  return end('completed', 'end_turn')

  function errorEnd(): TurnOutcome {
    if (result.subtype === 'error_max_turns') return end('completed', 'max_turns')
    if (result.subtype === 'error_max_budget_usd') return end('completed', 'budget_reached')
    return end('failed', 'retries_exhausted', failure(result, context.modelError))
  }
}

/** What is said of an agent that ended its turn without the answer it was asked for. */
export const withoutAnswer = (said: string): string =>
  `The agent ended its turn without a structured answer; it said: ${said}`

/** The end of a turn that did not give an answer of the form that was asked for; what it cost stays. */
export function unfit<T extends object>(account: T, message: string): T & TurnOutcome {
  const error: SessionError = {
    type: 'unknown_error',
    code: 'structured_output_failed',
    message: message || 'The agent gave no answer that fits the output_schema.',
    retry_status: { type: 'exhausted' },
  }
  const stopReason = { type: 'structured_output_failed' }
  return {
    usage: null,
    modelRequests: null,
    ...account,
    status: 'failed',
    stopReason,
    error,
    text: null,
    structured: null,
  }
}

/** How a turn ended whose agent gave no result: stopped on purpose when there is no error. */
export function brokenOff(error: SessionError | null, account: AccountOfTurn): TurnOutcome {
  return {
    status: error ? 'failed' : 'cancelled',
    stopReason: { type: error ? 'retries_exhausted' : 'interrupted' },
    error,
    text: null,
    structured: null,
    ...accountOnly(account),
  }
}

function accountOnly({ usage, modelRequests, ledger, sdkTotals, cache, cachePrefix }: AccountOfTurn): AccountOfTurn {
  return {
    usage,
    modelRequests,
    ...(ledger && { ledger }),
    ...(sdkTotals && { sdkTotals }),
    ...(cachePrefix && { cachePrefix }),
    cache: cache ?? null,
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
    ...(result.subtype === 'success' &&
      result.structured_output !== undefined && { structured_output: result.structured_output }),
  }
}
