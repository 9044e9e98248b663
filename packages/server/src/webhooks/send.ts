import type { LookupAddress } from 'node:dns'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pinnedTo } from '../lib/pinned.ts'
import { isPublicAddress } from '../lib/public-address.ts'
import type { Resolve } from '../lib/system-resolver.ts'
import { AddressRefused, literalOf, privateAddress, targetOf } from './target.ts'

/** What came of a request. `error` is null exactly when an answer came. */
export interface SendResult {
  httpStatus: number | null
  responseBody: string | null
  error: string | null
  /** The address is one that webhooks are not sent to; nothing was. */
  refused: boolean
}

export interface Sendable {
  url: string
  headers: Record<string, string>
  body: string
}

/** Posts one request. Never rejects; a failure is a result. */
export type Send = (sendable: Sendable, signal: AbortSignal) => Promise<SendResult>

/** For the whole of a request: lookup, connection, answer. */
const TIMEOUT_MS = 10_000
/** Of an answer's body this much is read and kept; the rest is not. */
const MAX_RESPONSE_BYTES = 4096

/**
 * Sends over a connection of its own to the one address that was resolved and checked, so that a name which resolves
 * otherwise a moment later changes nothing. Redirects are not followed.
 */
export function sender(options: { allowPrivate: boolean; resolve: Resolve; timeoutMs?: number }): Send {
  const { allowPrivate, resolve, timeoutMs = TIMEOUT_MS } = options
  return async (sendable, stop) => {
    const abort = new AbortController()
    const { signal } = abort
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
    const onStop = () => abort.abort(stop.reason)
    if (stop.aborted) onStop()
    else stop.addEventListener('abort', onStop, { once: true })
    try {
      const url = targetOf(sendable.url, allowPrivate)
      const address = await unlessAborted(addressOf(url, allowPrivate, resolve), signal)
      const response = await post(url, address, sendable, signal)
      const responseBody = await beginningOf(response, signal)
      return { httpStatus: response.statusCode ?? 0, responseBody, error: null, refused: false }
    } catch (error) {
      const told = signal.aborted ? (signal.reason as unknown) : error
      return { httpStatus: null, responseBody: null, error: said(told), refused: error instanceof AddressRefused }
    } finally {
      clearTimeout(timer)
      stop.removeEventListener('abort', onStop)
    }
  }
}

/** The address to connect to. One that may not be used is enough to refuse them all: which one is taken is chance. */
async function addressOf(url: URL, allowPrivate: boolean, resolve: Resolve): Promise<LookupAddress> {
  const literal = literalOf(url)
  const found = literal ? [{ address: literal, family: literal.includes(':') ? 6 : 4 }] : await resolve(url.hostname)
  const wrong = allowPrivate ? undefined : found.find(({ address }) => !isPublicAddress(address))
  // Which one is not said: a caller must not learn what only this machine's name server knows.
  if (wrong) throw new AddressRefused(privateAddress(url.hostname))
  // IPv4 first: an IPv6 address is often resolved where there is no way to it, and only one address is tried.
  const chosen = found.find(({ family }) => family === 4) ?? found[0]
  if (!chosen) throw new Error(`${url.hostname} has no address`)
  return chosen
}

function post(url: URL, pinned: LookupAddress, { headers, body }: Sendable, signal: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    agent: false,
    signal,
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    lookup: pinnedTo([pinned]),
  })
  request.once('response', resolve)
  // Stays for the life of the request: what breaks after the answer has begun is told by the answer.
  request.on('error', reject)
  request.end(body)
  return promise
}

/** How the answer's body begins. What breaks or lasts too long ends it: the answer itself has been given. */
async function beginningOf(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= MAX_RESPONSE_BYTES || signal.aborted) break
    }
  } catch {
    // Cut short; what came is shown.
  }
  response.destroy()
  return Buffer.concat(chunks).subarray(0, MAX_RESPONSE_BYTES).toString('utf8')
}

/** Node's lookups cannot be aborted; who waits for one can. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', onAbort))
}

/** A short word for what happened, without a stack. */
function said(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return said(error.errors[0])
  const { message, code } = error as { message?: string; code?: string }
  return (message || code || String(error)).slice(0, 500)
}
