import { ApiError, errorBody, type FieldError } from '@troupe/protocol/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../lib/logger.ts'
import { QueueFull, StorageUnavailable } from '../store/errors.ts'
import type { Console } from './routes/console.ts'
import { loggedUrl } from './credentials.ts'
import { laterFeature } from './later.ts'
import type { Server } from './server.ts'
import { type Issue, issuesOfUnion } from './union-issues.ts'

/** Paths of the origin API, whose clients expect plain JSON with `detail`. */
const ORIGIN_PATH = /^\/(execute|status|cancel|sessions)(\/|\?|$)/

/** Turns everything thrown into the one error body, and keeps the details of bugs to ourselves. */
export function answerErrors(server: Server, logger: Logger, console: Console): void {
  server.setErrorHandler((error, request, reply) => {
    const known = toApiError(error)
    if (known.status >= 500)
      logger.error({ req: request.id, url: loggedUrl(request), err: known.cause ?? error }, known.message)
    return sendError(request, reply, known)
  })
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const methods = ['GET', 'POST', 'DELETE'].filter(
      (method) => server.hasRoute({ url: path, method }) || findRoute(server, method, path),
    )
    if (methods.length > 0 && !methods.includes(request.method)) {
      void reply.header('allow', methods.join(', '))
      return sendError(
        request,
        reply,
        new ApiError('method_not_allowed', `${request.method} is not allowed on ${path}; ${methods.join(', ')} is.`),
      )
    }
    if (console.wantsPage(request)) return console.page(request, reply)
    const later = laterFeature(path)
    if (later) return sendError(request, reply, later)
    return sendError(
      request,
      reply,
      new ApiError('route_not_found', `There is no route ${request.method} ${path}; see /docs.`),
    )
  })
}

function findRoute(server: Server, method: string, url: string): boolean {
  return server.findRoute({ url, method: method as 'GET' }) !== null
}

export function errorMediaType(request: FastifyRequest): string {
  return ORIGIN_PATH.test(request.url) ? 'application/json' : 'application/problem+json'
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: ApiError): FastifyReply {
  request.refusedWith = error.code
  const instance = request.url.split('?', 1)[0]!
  const body = errorBody({ code: error.code, message: error.message, errors: error.errors }, instance, request.id)
  void reply
    .code(error.status)
    .type(errorMediaType(request))
    .header('x-should-retry', String(retries(error)))
  if (error.retryAfter !== undefined) void reply.header('retry-after', String(Math.ceil(error.retryAfter)))
  return reply.serializer(JSON.stringify).send(body)
}

const RETRY = new Set([
  'rate_limited',
  'idempotency_in_progress',
  'queue_full',
  'internal',
  'draining',
  'storage_unavailable',
])
const retries = (error: ApiError) => RETRY.has(error.code)

/** When to come back to a full queue: about the time of a short turn. */
const QUEUE_FULL_SECONDS = 10

/** What went wrong, in the API's words. */
function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StorageUnavailable)
    return new ApiError(
      'storage_unavailable',
      error.reason === 'disk_full'
        ? 'The disk of the data folder is full; nothing was written. Make room and send this again.'
        : 'The store cannot be written now; nothing was written. Send this again.',
      { cause: error, retryAfter: 2 },
    )
  if (error instanceof QueueFull)
    return new ApiError(
      'queue_full',
      `${error.message}, as many as may (max_queued_sessions); nothing was taken. Send this again later.`,
      { cause: error, retryAfter: QUEUE_FULL_SECONDS },
    )
  const fastify = error as { code?: string; statusCode?: number; message?: string; validation?: unknown }
  if (Array.isArray(fastify.validation))
    return validationError(fastify as { validation: ZodIssue[]; validationContext?: string })
  switch (fastify.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError('body_too_large', 'The body is larger than 32 MiB.')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError(
        'unsupported_media_type',
        'The body must be JSON: send the header content-type: application/json.',
      )
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new ApiError('invalid_json', 'The body is empty; JSON was announced by content-type.')
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new ApiError('invalid_json', `The body is not valid JSON: ${fastify.message ?? ''}`)
    default:
      break
  }
  if (fastify.statusCode !== undefined && fastify.statusCode >= 400 && fastify.statusCode < 500)
    return new ApiError('validation_failed', fastify.message ?? 'The request is not valid.')
  return new ApiError(
    'internal',
    'Something went wrong in the server; its log has the details under this request id.',
    {
      cause: error,
    },
  )
}

/** The provider's issue: JSON pointer and Zod's own words. */
interface ZodIssue {
  instancePath?: string
  message?: string
  keyword?: string
  params?: { errors?: Issue[][] }
}

/** What is wrong with a value of several forms, told for the one that it was meant to have. */
function spelledOut(issue: ZodIssue): ZodIssue[] {
  const { instancePath = '', keyword, params } = issue
  const inner = keyword === 'invalid_union' && params?.errors ? issuesOfUnion({ errors: params.errors }) : null
  if (!inner) return [issue]
  return inner.map(({ code, path = [], message }) => ({
    instancePath: [instancePath.replace(/\/$/, ''), ...path.map(String)].join('/'),
    ...(message !== undefined && { message }),
    ...(code !== undefined && { keyword: code }),
  }))
}

/** Mistakes that are told of one request, and characters of each: what is asked never makes an answer many times its size. */
const MAX_TOLD = 20
const MAX_DETAIL = 500
const clip = (text: string) => (text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}…` : text)

function validationError(error: { validation: ZodIssue[]; validationContext?: string }): ApiError {
  const context = error.validationContext ?? 'body'
  const issues = error.validation.slice(0, MAX_TOLD).flatMap(spelledOut).slice(0, MAX_TOLD)
  const errors: FieldError[] = issues.map((issue) => ({
    pointer: clip(context === 'body' ? issue.instancePath || '/' : `${context}:${(issue.instancePath ?? '').slice(1)}`),
    code: issue.keyword ?? 'invalid',
    detail: clip(issue.message ?? 'is not valid'),
  }))
  const more = error.validation.length - MAX_TOLD
  const summary = errors.map((entry) => `${entry.pointer}: ${entry.detail}`).join('; ')
  return new ApiError('validation_failed', more > 0 ? `${summary}; and ${more} more` : summary, { errors })
}
