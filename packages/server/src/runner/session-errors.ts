import type { SDKAssistantMessageError } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import { RepositoryProblem } from '../repositories/clone.ts'
import { SetupProblem } from './set-up.ts'
import type { AgentExit } from './spawn-agent.ts'

/** What each of the agent's words for a failed model request is on the wire; complete by type. */
const MODEL_ERRORS: Record<SDKAssistantMessageError, { type: string; retry: 'exhausted' | 'terminal' }> = {
  authentication_failed: { type: 'model_request_failed_error', retry: 'terminal' },
  oauth_org_not_allowed: { type: 'model_request_failed_error', retry: 'terminal' },
  account_on_hold: { type: 'billing_error', retry: 'terminal' },
  verification_required: { type: 'billing_error', retry: 'terminal' },
  billing_error: { type: 'billing_error', retry: 'terminal' },
  rate_limit: { type: 'model_rate_limited_error', retry: 'exhausted' },
  overloaded: { type: 'model_overloaded_error', retry: 'exhausted' },
  invalid_request: { type: 'model_request_failed_error', retry: 'terminal' },
  model_not_found: { type: 'model_request_failed_error', retry: 'terminal' },
  server_error: { type: 'model_request_failed_error', retry: 'exhausted' },
  unknown: { type: 'model_request_failed_error', retry: 'exhausted' },
  max_output_tokens: { type: 'model_request_failed_error', retry: 'terminal' },
  cloud_credential_error: { type: 'model_request_failed_error', retry: 'terminal' },
}

export function modelError(code: SDKAssistantMessageError, message: string): SessionError {
  const known = MODEL_ERRORS[code] ?? MODEL_ERRORS.unknown
  return { type: known.type, code, message: message || code, retry_status: { type: known.retry } }
}

/** A request to the model failed and the agent is about to try again. */
export function retryError(
  code: SDKAssistantMessageError,
  status: number | null,
  attempt: number,
  max: number,
  delayMs: number,
): SessionError {
  const known = MODEL_ERRORS[code] ?? MODEL_ERRORS.unknown
  return {
    type: known.type,
    code,
    message: `The model endpoint answered ${status ?? 'nothing'} (${code}); try ${attempt} of ${max} follows in ${Math.round(delayMs / 100) / 10} s.`,
    retry_status: { type: 'retrying' },
  }
}

const exhausted = (code: string, message: string, more: Record<string, unknown> = {}): SessionError => ({
  type: 'unknown_error',
  code,
  message,
  retry_status: { type: 'exhausted' },
  ...more,
})

/** The server ended while the turn ran, and it does not go on. `call`: one that may have run, or may yet be half done. */
export const serverRestarted = (
  call: { event_id: string; name: string; input: unknown } | null = null,
  tooOften = false,
): SessionError =>
  exhausted(
    'server_restarted',
    tooOften
      ? 'The server stopped again while this turn ran; after the third time in ten minutes it is not taken up again. Send a message to go on.'
      : call
        ? `The server stopped while ${call.name} ran, which may have had effects. What the agent had already done stands; look, then send a message to go on.`
        : 'The server stopped while this turn ran. What the agent had already done stands; send a message to go on.',
    { side_effect_possible: call !== null, call },
  )

/** The server ended while the turn ran; it goes on by itself. */
export const takenUpAgain = (): SessionError => ({
  type: 'unknown_error',
  code: 'server_restarted',
  message: 'The server stopped while this turn ran; it is taken up again.',
  retry_status: { type: 'retrying' },
})

export const modelStalled = (seconds: number): SessionError => ({
  ...exhausted('model_unreachable', `The model endpoint gave no sign of life for ${seconds} s; the turn was ended.`),
  type: 'model_request_failed_error',
})

export const storeFailed = (reason: string): SessionError =>
  exhausted(
    reason === 'disk_full' ? 'disk_full' : 'storage_unavailable',
    reason === 'disk_full'
      ? 'The disk of the data folder was full; the agent was ended because its work could not be recorded.'
      : 'The store could not be written; the agent was ended because its work could not be recorded.',
    { side_effect_possible: true },
  )

/** A skill of the agent was deleted since the session began. */
export const skillMissing = (id: string): SessionError =>
  exhausted('skill_missing', `The skill ${id} is no more; the agent goes on without it.`, { skill_id: id })

/** The agent process ended before its turn did. */
export function processEnded(exit: AgentExit, failure: Error | null): SessionError {
  const cause = exit.error ?? (exit.code === null && exit.signal === null ? failure : null)
  if (cause && exit.code === null && exit.signal === null)
    return exhausted('agent_unavailable', `The agent could not be started: ${cause.message}`)
  if (exit.breach)
    return exhausted(
      'agent_limit',
      `The agent was ended: ${exit.breach.message}. What it had already done stands; send a message to go on.`,
      { limit: exit.breach.limit, side_effect_possible: true },
    )
  const how = exit.signal ? `was ended by ${exit.signal}` : `exited with code ${exit.code}`
  // 137: the kernel's OOM killer, or anyone's KILL, as a wrapper reports it.
  const last = exit.stderr ? ` It last said: ${exit.stderr.slice(-500)}` : ''
  return exhausted('process_crashed', `The agent process ${how} before the turn was done.${last}`, {
    exit_code: exit.code,
    signal: exit.signal,
    stderr_tail: exit.stderr,
    side_effect_possible: true,
  })
}

/** A repository of the session could not be cloned; null for every other failure. */
export const repositoryFailed = (error: unknown): SessionError | null =>
  error instanceof RepositoryProblem
    ? { ...exhausted(error.type, error.message, { resource_id: error.resourceId }), type: error.type }
    : null

/** A command of the environment's setup did not do its work, or there is no worktree; null for every other failure. */
export const setupFailed = (error: unknown): SessionError | null =>
  error instanceof SetupProblem ? exhausted(error.code, error.message, error.details) : null

/** The server itself failed to run the turn. */
export const couldNotRun = (message: string): SessionError =>
  exhausted('agent_unavailable', `The turn could not be run: ${message}`, { side_effect_possible: true })

/** The turn took longer than the session allows. */
export const turnTimedOut = (seconds: number): SessionError =>
  exhausted(
    'turn_timeout',
    `The turn was ended after ${seconds} s, as limits.turn_timeout_seconds says. What the agent had already done stands; send a message to go on.`,
    { side_effect_possible: true },
  )
