import type { DeltaType, StreamFrame } from '@troupe/protocol/event'
import { createParser } from 'eventsource-parser'
import { type Backoff, backoff, pause } from './backoff.ts'
import { notTroupe, TroupeError } from './errors.ts'
import { mayPass, type Query } from './transport.ts'

export type { StreamFrame }

export interface StreamOptions {
  /** Begin after this `seq`, or after the event with this id. */
  after?: number | string | undefined
  /** Begin with the first event. Without `after` and `from`: live, and the turn that runs or was just missed. */
  from?: 'start' | undefined
  /** End after the next idle or terminated. */
  until?: 'idle' | undefined
  /** Kinds of messages to see while they are written. Default: none. */
  deltas?: readonly DeltaType[] | undefined
  /** Ends the stream; the generator then returns. */
  signal?: AbortSignal | undefined
  /** Told each time a connection stands. */
  onOpen?: (() => void) | undefined
  /** Told before each pause that precedes a new connection. */
  onReconnect?: ((reconnect: Reconnect) => void) | undefined
  /** Default: 500 ms doubling to 10 s, with chance. */
  reconnectDelay?: Backoff | undefined
  /** Tries in a row that may fail before the generator throws. Default: without end. */
  maxReconnects?: number | undefined
  /** Silence in ms after which a connection counts as dead; the server breaks silence every 10 s. Default 30,000. */
  silenceMs?: number | undefined
}

export interface Reconnect {
  /** 1 for the first try after a connection that worked. */
  attempt: number
  delayMs: number
  /** Why the connection ended; null when the server closed it. */
  error: unknown
}

/** Opens the stream's request; given by the client. */
export type OpenStream = (request: {
  query: Query
  headers: Record<string, string>
  signal: AbortSignal
  maxRetries?: number
}) => Promise<Response>

/**
 * Yields the frames of a session's stream: each `seq` once and in order, over as many connections as it takes, and
 * previews in between. Returns at `until`, when the session is deleted, and when `signal` aborts. Throws what refuses
 * the stream, and `Unreachable` when the first connection cannot be had. A stream without a cursor is live from the
 * moment it is connected, so until its first event a new connection begins anew.
 */
export async function* streamFrames(
  open: OpenStream,
  options: StreamOptions = {},
): AsyncGenerator<StreamFrame, void, void> {
  const { signal, until } = options
  const delay = options.reconnectDelay ?? backoff(500, 10_000)
  const cursor = new Cursor(options)
  let opened = false
  let failures = 0
  for (;;) {
    let cause: unknown = null
    const connection = new AbortController()
    try {
      const response = await open({
        ...cursor.request(options),
        signal: signal ? AbortSignal.any([signal, connection.signal]) : connection.signal,
        ...(opened && { maxRetries: 0 }),
      })
      opened = true
      options.onOpen?.()
      for await (const frame of frames(response, options.silenceMs ?? 30_000)) {
        failures = 0
        if (frame === null) continue
        if ('seq' in frame) {
          const fits = cursor.take(frame.seq)
          if (fits === 'repeated') continue
          if (fits === 'gap') break
        }
        yield frame
        if (frame.type === 'session.deleted') return
        if (until === 'idle' && /^session\.status_(idle|terminated)$/.test(frame.type)) return
      }
    } catch (error) {
      if (signal?.aborted) return
      if (opened && error instanceof TroupeError && error.code === 'session_deleted') return
      if (!opened || (error instanceof TroupeError && !mayPass(error))) throw error
      cause = error
    } finally {
      connection.abort()
    }
    if (signal?.aborted) return
    if (failures >= (options.maxReconnects ?? Infinity))
      throw cause ?? new Error('The server keeps closing the stream.')
    const delayMs = delay(failures, cause instanceof TroupeError ? cause.retryAfter : null)
    failures++
    options.onReconnect?.({ attempt: failures, delayMs, error: cause })
    await pause(delayMs, signal)
  }
}

/** Where the reader is, and whether an event is the next one. */
class Cursor {
  #last: number | null
  #gapAfter: number | null = null
  #started = false

  constructor({ after, from }: StreamOptions) {
    this.#last = typeof after === 'number' ? after : after === undefined && from === 'start' ? 0 : null
  }

  /** The first request carries the caller's words, those after it the last event that came. */
  request(options: StreamOptions): { query: Query; headers: Record<string, string> } {
    const known = this.#started && this.#last !== null
    this.#started = true
    return {
      query: {
        ...(!known && { after: options.after, from: options.from }),
        until: options.until,
        event_deltas: options.deltas ?? [],
      },
      headers: { accept: 'text/event-stream', ...(known && { 'last-event-id': String(this.#last) }) },
    }
  }

  /** A hole is asked for once more; when the log itself has it, what follows is taken. */
  take(seq: number): 'next' | 'repeated' | 'gap' {
    if (this.#last !== null && seq <= this.#last) return 'repeated'
    if (this.#last !== null && seq > this.#last + 1 && this.#gapAfter !== this.#last) {
      this.#gapAfter = this.#last
      return 'gap'
    }
    this.#last = seq
    return 'next'
  }
}

/** The frames of one connection, and null for a heartbeat. Throws when it breaks, falls silent, or is not ours. */
async function* frames(response: Response, silenceMs: number): AsyncGenerator<StreamFrame | null, void, void> {
  if (!response.body || !/^text\/event-stream\b/.test(response.headers.get('content-type') ?? ''))
    throw notTroupe(response, 'an event stream')
  const ready: (StreamFrame | null)[] = []
  const parser = createParser({
    onEvent: ({ data }) => ready.push(parse(data)),
    onComment: () => ready.push(null),
  })
  function parse(data: string): StreamFrame {
    try {
      return JSON.parse(data) as StreamFrame
    } catch {
      throw notTroupe(response, 'JSON frames')
    }
  }
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const { value, done } = await orSilence(reader.read(), silenceMs)
    if (done) return
    parser.feed(decoder.decode(value, { stream: true }))
    yield* ready.splice(0)
  }
}

async function orSilence<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing was heard for ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([work, silence])
  } finally {
    clearTimeout(timer)
  }
}
