import { newUuid } from '@troupe/protocol/ids'
import { type Backoff, backoff, pause } from './backoff.ts'
import { errorOf, notTroupe, TroupeError, Unreachable } from './errors.ts'

export interface ClientOptions {
  /** Where the server is: `http://127.0.0.1:8000`, with a path if a proxy has put it under one. */
  baseUrl: string
  /** Sent as `Authorization: Bearer`. */
  apiKey?: string | undefined
  /** Default: the platform's own. */
  fetch?: typeof globalThis.fetch | undefined
  /** How often a request is sent again after a network error or a passing refusal. Default 2. */
  maxRetries?: number | undefined
  /** Time before each of these. Default: 250 ms doubling to 8 s, with chance. */
  retryDelay?: Backoff | undefined
}

export interface RequestOptions {
  /** Ends the request; the call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

export interface WriteOptions extends RequestOptions {
  /** Default: a fresh one per call, the same for each of its tries, so that a write happens once. */
  idempotencyKey?: string | undefined
}

export type QueryValue = string | number | boolean | null | undefined
/** Lists become `name[]=a&name[]=b`, objects `name[key]=value`; null and undefined are left out. */
export type Query = Record<string, QueryValue | readonly QueryValue[] | Readonly<Record<string, QueryValue>>>

export interface Request extends WriteOptions {
  query?: Query
  body?: unknown
  headers?: Record<string, string>
  /** Statuses besides 2xx that carry an answer. */
  expected?: readonly number[]
  /** Default: that of the client. */
  maxRetries?: number
}

export interface Transport {
  /** The JSON answer. Rejects with `TroupeError`, `Unreachable`, or the signal's reason. */
  json<T>(method: 'GET' | 'POST' | 'DELETE', path: string, request?: Request): Promise<T>
  /** An answer whose body is still to be read. Rejects as `json` does. */
  open(path: string, request: Request): Promise<Response>
}

/** A server that asks for more patience than this, in seconds, is not waited for. */
const MAX_RETRY_AFTER = 60

/** Sends requests, again where that is safe: reads always, writes under an idempotency key. */
export function createTransport(options: ClientOptions): Transport {
  const base = options.baseUrl.replace(/\/+$/, '')
  const send = options.fetch ?? globalThis.fetch.bind(globalThis)
  const delay = options.retryDelay ?? backoff(250, 8_000)

  async function attempt<T>(method: string, path: string, request: Request, read: (response: Response) => Promise<T>) {
    const headers: Record<string, string> = { accept: 'application/json', ...request.headers }
    if (options.apiKey) headers.authorization = `Bearer ${options.apiKey}`
    if (request.body !== undefined) headers['content-type'] = 'application/json'
    if (request.idempotencyKey !== undefined) headers['idempotency-key'] = request.idempotencyKey
    const { signal } = request
    try {
      const response = await send(`${base}${path}${queryText(request.query)}`, {
        method,
        headers,
        ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
        ...(signal && { signal }),
      })
      if (!response.ok && !request.expected?.includes(response.status)) throw await errorOf(response)
      return await read(response)
    } catch (error) {
      if (error instanceof TroupeError || signal?.aborted) throw error
      throw new Unreachable(base, error)
    }
  }

  async function persist<T>(method: string, path: string, request: Request, read: (response: Response) => Promise<T>) {
    const most = request.maxRetries ?? options.maxRetries ?? 2
    for (let tries = 0; ; tries++)
      try {
        return await attempt(method, path, request, read)
      } catch (error) {
        if (tries >= most || !mayPass(error)) throw error
        await pause(delay(tries, error instanceof TroupeError ? error.retryAfter : null), request.signal)
        request.signal?.throwIfAborted()
      }
  }

  return {
    json<T>(method: 'GET' | 'POST' | 'DELETE', path: string, request: Request = {}) {
      const keyed =
        method === 'GET' ? request : { ...request, idempotencyKey: request.idempotencyKey ?? `troupe-${newUuid()}` }
      return persist(method, path, keyed, readJson<T>)
    },
    open: (path, request) => persist('GET', path, request, async (response) => response),
  }
}

async function readJson<T>(response: Response): Promise<T> {
  const text = await response.text()
  try {
    return JSON.parse(text) as T
  } catch {
    throw notTroupe(response, 'JSON')
  }
}

/** Whether the same request may succeed if it is sent again soon. */
export function mayPass(error: unknown): boolean {
  if (error instanceof TroupeError) return error.retryable && (error.retryAfter ?? 0) <= MAX_RETRY_AFTER
  return error instanceof Unreachable
}

function queryText(query: Query = {}): string {
  const params = new URLSearchParams()
  const add = (name: string, value: QueryValue) => {
    if (value !== null && value !== undefined) params.append(name, String(value))
  }
  for (const [name, value] of Object.entries(query))
    if (Array.isArray(value)) for (const item of value) add(`${name}[]`, item)
    else if (typeof value === 'object' && value !== null)
      for (const [key, item] of Object.entries(value)) add(`${name}[${key}]`, item)
    else add(name, value as QueryValue)
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}
