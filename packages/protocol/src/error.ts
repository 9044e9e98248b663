import { z } from 'zod'

/** The types of Anthropic's error envelope; the official SDKs choose their exception by status. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'rate_limit_error'
  | 'api_error'
  | 'overloaded_error'
  | 'timeout_error'

interface ErrorKind {
  status: number
  type: ErrorType
  title: string
  /** Whether the very same request may succeed by itself later; told to clients as `x-should-retry`. */
  retry: boolean
}

const invalid = (status: number, title: string): ErrorKind => ({
  status,
  type: 'invalid_request_error',
  title,
  retry: false,
})
const missing = (title: string, status = 404): ErrorKind => ({ status, type: 'not_found_error', title, retry: false })
const conflict = (title: string, retry = false): ErrorKind => ({ status: 409, type: 'conflict_error', title, retry })

const unauthorised = (title: string): ErrorKind => ({
  status: 401,
  type: 'authentication_error',
  title,
  retry: false,
})
const forbidden = (title: string): ErrorKind => ({ status: 403, type: 'permission_error', title, retry: false })

/** Every error a caller can cause, by code. `docs/errors.md` lists the same codes; a test compares the two. */
export const ERRORS = {
  validation_failed: invalid(400, 'The request does not have the right form'),
  invalid_json: invalid(400, 'The body is not valid JSON'),
  invalid_cursor: invalid(400, 'The page cursor or sequence number is not valid here'),
  unsupported_feature: invalid(400, 'This server does not have that feature yet'),
  cwd_not_found: invalid(400, 'The workdir does not exist'),
  cwd_not_a_directory: invalid(400, 'The workdir is not a directory'),
  env_not_allowed: invalid(400, 'That environment variable may not be set by a request'),
  session_terminated: invalid(400, 'The session is archived and takes no more input'),
  budget_reached: invalid(400, 'The session has spent its budget'),
  budget_not_raised: invalid(400, 'The session has already spent more than that budget'),
  session_too_large: invalid(400, 'The session is too large for that'),
  permission_mode_refused: invalid(400, 'The agent refuses that permission mode on this server'),
  agent_archived: invalid(400, 'The agent is archived'),
  repository_refused: invalid(400, 'That repository may not be cloned here'),
  environment_archived: invalid(400, 'The environment is archived'),
  invalid_config_type_change: invalid(400, 'The type of an environment cannot change'),
  deployment_archived: invalid(400, 'The deployment is archived'),
  mcp_server_refused: invalid(400, 'That MCP server may not be used here'),
  webhook_url_refused: invalid(400, 'Webhooks are not sent to that address'),
  method_not_allowed: invalid(405, 'That method is not allowed here'),
  body_too_large: invalid(413, 'The body is too large'),
  unsupported_media_type: invalid(415, 'The body must be JSON'),
  misdirected_host: invalid(421, 'The Host header does not name this server'),
  idempotency_key_reused: invalid(422, 'The idempotency key was used for another request'),
  origin_not_allowed: {
    status: 403,
    type: 'permission_error',
    title: 'That web origin may not use this server',
    retry: false,
  },
  missing_credentials: unauthorised('No key was sent'),
  invalid_api_key: unauthorised('That key is not good'),
  token_expired: unauthorised('That token has ended'),
  scope_missing: forbidden('The key may not do that'),
  permission_mode_not_allowed: forbidden('The key may not use that permission mode'),
  model_not_allowed: forbidden('The key may not use that model'),
  cwd_not_allowed: forbidden('The key may not use that workdir'),
  environment_not_allowed: forbidden('The key may not use that environment'),
  limit_not_allowed: forbidden('The key may not have that much'),
  api_key_not_found: missing('There is no such key'),
  workspace_not_found: missing('There is no such workspace'),
  access_limit: conflict('There are as many as there may be'),
  rate_limited: { status: 429, type: 'rate_limit_error', title: 'Too many requests', retry: true },
  daily_budget_reached: {
    status: 429,
    type: 'rate_limit_error',
    title: "The day's budget is spent",
    retry: false,
  },
  session_not_found: missing('There is no such session'),
  turn_not_found: missing('There is no such turn'),
  approval_not_found: missing('There is no such approval'),
  grant_not_found: missing('There is no such grant'),
  event_not_found: missing('There is no such event'),
  thread_not_found: missing('There is no such thread'),
  agent_not_found: missing('There is no such agent'),
  snapshot_not_found: missing('The workdir was not kept then'),
  deployment_not_found: missing('There is no such deployment'),
  deployment_run_not_found: missing('There is no such run of a deployment'),
  file_not_found: missing('There is no such file'),
  skill_not_found: missing('There is no such skill'),
  resource_not_found: missing('The session has no such resource'),
  model_not_found: missing('There is no such alias of a model'),
  environment_not_found: missing('There is no such environment'),
  webhook_endpoint_not_found: missing('There is no such webhook endpoint'),
  webhook_delivery_not_found: missing('There is no such webhook delivery'),
  route_not_found: missing('There is no such route'),
  session_deleted: missing('The session was deleted', 410),
  session_running: conflict('The session is running'),
  session_not_running: conflict('The session is not running'),
  approval_not_pending: conflict('The approval was already decided'),
  input_not_pending: conflict('The agent has already taken that input'),
  turn_not_running: conflict('The turn has already ended'),
  nothing_to_compact: conflict('The session has no conversation yet'),
  transcript_conflict: conflict('Somebody else has gone on with that conversation'),
  event_rewound: conflict('A rewind has taken that event out of the conversation'),
  turn_not_ended: conflict('The turn has not ended'),
  webhook_endpoint_limit: conflict('There are as many webhook endpoints as there may be'),
  file_limit: conflict('There are as many files as there may be'),
  skill_limit: conflict('There are as many skills as there may be'),
  resource_limit: conflict('The session has as many resources as it may'),
  mount_path_taken: conflict('Something is at that place in the workdir'),
  agent_limit: conflict('There are as many agents, or versions of one, as there may be'),
  environment_limit: conflict('There are as many environments as there may be'),
  environment_read_only: conflict('The environment cannot be changed'),
  deployment_limit: conflict('There are as many deployments as there may be'),
  agent_read_only: conflict('The agent cannot be changed here'),
  webhook_endpoint_disabled: conflict('The webhook endpoint is disabled'),
  version_conflict: conflict('The agent has another version by now'),
  thread_running: conflict('The thread is running'),
  precondition_failed: {
    status: 412,
    type: 'conflict_error',
    title: 'What If-Match names is not the current state',
    retry: false,
  },
  idempotency_in_progress: conflict('The first request with that idempotency key is still running', true),
  queue_full: { status: 429, type: 'rate_limit_error', title: 'Too much is waiting', retry: true },
  internal: { status: 500, type: 'api_error', title: 'Something went wrong in the server', retry: true },
  draining: { status: 503, type: 'overloaded_error', title: 'The server is shutting down', retry: true },
  storage_unavailable: { status: 503, type: 'overloaded_error', title: 'The store cannot be written', retry: true },
  snapshots_unavailable: {
    status: 503,
    type: 'api_error',
    title: 'Workdirs cannot be kept or restored on this server',
    retry: false,
  },
  container_unavailable: { status: 503, type: 'api_error', title: 'Containers cannot be run here', retry: false },
  sandbox_unavailable: { status: 503, type: 'api_error', title: 'Commands cannot be confined here', retry: false },
  agent_unavailable: { status: 503, type: 'api_error', title: 'The agent binary cannot be started', retry: false },
  model_unreachable: { status: 503, type: 'api_error', title: 'No model is configured', retry: false },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

export interface FieldError {
  /** JSON pointer into the body, or the name of the query parameter or header. */
  pointer: string
  code: string
  detail: string
}

/** What a caller can cause. Anything else that is thrown is a bug and answered as 500 without details. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  readonly errors: FieldError[] | undefined
  /** Seconds after which the caller may try again. */
  readonly retryAfter: number | undefined

  constructor(
    code: ErrorCode,
    detail: string,
    options: { errors?: FieldError[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.errors = options.errors
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return ERRORS[this.code].status
  }
}

/** One body for three readers: RFC 9457, Anthropic's SDKs (`error`), and FastAPI clients (`detail`). */
export const ErrorBody = z
  .looseObject({
    type: z.string().describe('URI reference of the kind of problem (RFC 9457)'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What was received and what to do'),
    instance: z.string(),
    code: z.string(),
    request_id: z.string(),
    error: z.object({
      type: z.string(),
      message: z.string(),
      details: z.object({ error_code: z.string() }),
    }),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof ErrorBody>

/** Renders the one error body. */
export function errorBody(
  error: { code: ErrorCode; message: string; errors?: FieldError[] | undefined },
  instance: string,
  requestId: string,
): ErrorBody {
  const kind = ERRORS[error.code]
  return {
    type: `/problems/${error.code}`,
    title: kind.title,
    status: kind.status,
    detail: error.message,
    instance,
    code: error.code,
    request_id: requestId,
    error: { type: kind.type, message: error.message, details: { error_code: error.code } },
    ...(error.errors && { errors: error.errors }),
  }
}
