import type { IncomingMessage, ServerResponse } from 'node:http'

/** Largest request body, in bytes. */
const BODY_LIMIT = 64 * 1024 * 1024

/** Ends a request with this status and Anthropic's error shape. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly status: number
  readonly headers: Record<string, string>

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers })
  res.end(JSON.stringify(body))
}

/** Answers with the error, or cuts the connection when an answer has begun already. */
export function sendError(res: ServerResponse, error: HttpError): void {
  if (res.headersSent) return void res.destroy()
  const { status, message, headers } = error
  const type = ERROR_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
  sendJson(res, status, { type: 'error', error: { type, message }, request_id: res.getHeader('request-id') }, headers)
}

/** The body as JSON. Rejects with a 400 for what is not JSON, and a 413 for more than 64 MiB. */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  // By default leaving the loop cuts the connection, and the refusal with it. So Node reads the rest and drops it.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT) throw new HttpError(413, 'Request exceeds the maximum size of 64 MiB')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw new HttpError(400, `The request body is not valid JSON: ${(error as Error).message}`)
  }
}
