import { ApiError } from '@troupe/protocol/error'
import { EVENT_TYPES, type EventType } from '@troupe/protocol/event'
import type { EventRow } from '../store/events.ts'
import { eventJson, eventToWire } from '../log/wire.ts'
import type { Server } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller switches on the hosted API's values and would stumble over others (`?compat=strict`). */
    strict: boolean
  }
}

/**
 * Types of events that the hosted API does not have (`BetaManagedAgentsSessionEventType` of the official SDK 1.12.0): all
 * of them say more than what its own events say, so nothing is lost that a client of it could know.
 */
const OURS = new Set<EventType>([
  'agent.permission_denied',
  'session.approval_closed',
  'session.background_work',
  'session.context_nearly_full',
  'session.created',
  'session.files_persisted',
  'session.forked',
  'session.input_changed',
  'session.queued',
  'session.rewound',
  'session.setup_command',
  'session.setup_started',
  'session.worktree_created',
  'turn.started',
  'turn.resumed',
  'turn.completed',
  'turn.failed',
  'turn.cancelled',
])
const isHosted = (type: string): boolean => type in EVENT_TYPES && !OURS.has(type as EventType)

/** The types of events that are left. */
export const HOSTED_TYPES: readonly string[] = Object.keys(EVENT_TYPES).filter(isHosted)

/** Stop reasons that the hosted API does not have, as what it would say: it ends an interrupted turn with `end_turn`. */
const STOP_REASONS: Readonly<Record<string, string>> = {
  interrupted: 'end_turn',
  max_turns: 'end_turn',
  timeout: 'retries_exhausted',
  structured_output_failed: 'retries_exhausted',
}

/** Types of errors in sessions that the hosted API has; every other is its `unknown_error`. */
const ERRORS = new Set([
  'billing_error',
  'compaction_limit_reached_error',
  'credential_host_unreachable_error',
  'mcp_authentication_failed_error',
  'mcp_connection_failed_error',
  'model_overloaded_error',
  'model_rate_limited_error',
  'model_request_failed_error',
  'program_error',
  'repository_authentication_error',
  'repository_checkout_error',
  'repository_clone_error',
  'repository_forbidden_error',
  'repository_not_found_error',
  'thread_limit_error',
  'timeout_error',
  'tool_use_limit_reached_error',
  'unknown_error',
])

/** An event for this reader as JSON text; null: not at all. */
export function eventFor(strict: boolean, event: EventRow): string | null {
  if (!strict) return eventJson(event)
  return isHosted(event.type) ? JSON.stringify(hosted(eventToWire(event))) : null
}

/** What a list of events is asked for: the types that the reader names, of those that it may see. */
export const typesFor = (strict: boolean, types: string[] | undefined): string[] | undefined =>
  strict ? (types ?? [...HOSTED_TYPES]).filter(isHosted) : types

type Typed = { type: string }
const isTyped = (value: unknown): value is Typed =>
  typeof value === 'object' && value !== null && typeof (value as Typed).type === 'string'

/** A session, thread or event with the hosted API's values in the place of ours; what else it has stays. */
function hosted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { stop_reason: reason, error, last_error: last } = value as Record<string, unknown>
  const stops = isTyped(reason) && STOP_REASONS[reason.type]
  const known = (told: Typed) => (ERRORS.has(told.type) ? told : { ...told, type: 'unknown_error' })
  return {
    ...value,
    ...(stops && { stop_reason: { type: stops } }),
    ...(isTyped(error) && 'message' in error && { error: known(error) }),
    ...(isTyped(last) && { last_error: known(last) }),
  }
}

/**
 * `?compat=strict` on any request of `/v1`: answers have no values of enumerations but the hosted API's. Answers that are
 * repeated (`Idempotency-Key`) are mapped like first ones. Costs a parse of the answer.
 */
export function strictAnswers(server: Server): void {
  server.decorateRequest('strict', false)
  // Before validation, which keeps of a query what its route knows.
  server.addHook('onRequest', (request, _reply, done) => {
    const { compat } = (request.query ?? {}) as { compat?: unknown }
    request.strict = compat === 'strict'
    if (compat === undefined || request.strict || !request.url.startsWith('/v1/')) done()
    else
      done(
        new ApiError('validation_failed', 'compat is "strict" or left out.', {
          errors: [{ pointer: 'query:compat', code: 'invalid_value', detail: 'strict' }],
        }),
      )
  })
  server.addHook('onSend', (request, reply, payload, done) => {
    const json = String(reply.getHeader('content-type')).startsWith('application/json')
    if (!request.strict || !json || typeof payload !== 'string' || reply.statusCode !== 200) return done(null, payload)
    const { url = '' } = request.routeOptions
    if (!url.startsWith('/v1/sessions')) return done(null, payload)
    const answer = JSON.parse(payload) as { data?: unknown }
    const mapped = Array.isArray(answer.data) ? { ...answer, data: answer.data.map(hosted) } : hosted(answer)
    return done(null, JSON.stringify(mapped))
  })
}
