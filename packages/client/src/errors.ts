import type { FieldError } from '@troupe/protocol/error'

export type { FieldError }

/** A refusal or a failure that the server put into words. */
export class TroupeError extends Error {
  override readonly name = 'TroupeError'
  readonly status: number
  /** One of the codes of `@troupe/protocol/error`, or `http_<status>` when something other than Troupe answered. */
  readonly code: string
  /** What was received and what to do; the same as `message`. */
  readonly detail: string
  readonly requestId: string | null
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | null
  /** Field by field what was wrong with the request; empty when it was not about fields. */
  readonly errors: FieldError[]
  /** Whether the same request may succeed by itself later. */
  readonly retryable: boolean

  constructor(fields: {
    status: number
    code: string
    detail: string
    requestId?: string | null
    retryAfter?: number | null
    errors?: FieldError[]
    retryable?: boolean
  }) {
    super(fields.detail)
    this.status = fields.status
    this.code = fields.code
    this.detail = fields.detail
    this.requestId = fields.requestId ?? null
    this.retryAfter = fields.retryAfter ?? null
    this.errors = fields.errors ?? []
    this.retryable = fields.retryable ?? false
  }
}

/** No answer came: the server is not there, the network failed, or the connection broke before the answer was whole. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
  readonly url: string

  constructor(url: string, cause: unknown) {
    super(`No answer from ${url}: ${reason(cause)}.`, { cause })
    this.url = url
  }
}

/** Reads an answer that is not a success. Never rejects: a body that is not ours is described by its status. */
export async function errorOf(response: Response): Promise<TroupeError> {
  const text = await response.text().catch(() => '')
  const body = parse(text)
  const { status, headers } = response
  const should = headers.get('x-should-retry')
  return new TroupeError({
    status,
    code: typeof body.code === 'string' ? body.code : `http_${status}`,
    detail: detailOf(body) ?? `${response.url} answered ${status} ${response.statusText}`.trim(),
    requestId: headers.get('request-id') ?? (typeof body.request_id === 'string' ? body.request_id : null),
    retryAfter: seconds(headers.get('retry-after')),
    errors: Array.isArray(body.errors) ? (body.errors as FieldError[]) : [],
    // A gateway in front of the server says nothing about retrying; its three words mean that nothing was done yet.
    retryable: should === null ? status === 502 || status === 503 || status === 504 : should === 'true',
  })
}

/** An answer that Troupe does not give, so something else listens there. */
export function notTroupe(response: Response, expected: string): TroupeError {
  const type = response.headers.get('content-type') ?? 'no content type'
  return new TroupeError({
    status: response.status,
    code: 'unexpected_answer',
    detail: `${response.url} answered with ${type} instead of ${expected}; is that a Troupe server?`,
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** `detail` is a text, or FastAPI's list where the origin API validates. */
function detailOf({ detail }: Record<string, unknown>): string | null {
  if (typeof detail === 'string' && detail !== '') return detail
  if (!Array.isArray(detail)) return null
  return (detail as { loc?: unknown[]; msg?: string }[])
    .map(({ loc, msg }) => `${(loc ?? []).join('.')}: ${msg ?? 'is not valid'}`)
    .join('; ')
}

function seconds(header: string | null): number | null {
  if (header === null) return null
  const value = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(value) ? Math.max(0, value) : null
}

/** Node hides the reason under `fetch failed`; browsers have only their own words. */
function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause as (Error & { code?: string }) | undefined
  return inner?.message || inner?.code || cause.message
}
