import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'
import { otlpRequest } from './otlp.ts'
import type { Span } from './span.ts'

export interface ExporterOptions {
  /** Where `POST` takes OTLP in JSON. */
  url: string
  headers: Readonly<Record<string, string>>
  resource: Span['attributes']
  version: string
  logger: Logger
  /** Instead of a second that the first span of a batch waits for others, and of half a second before a second try; in ms. */
  gatherMs?: number
  pauseMs?: number
  /** Is told what became of spans. */
  counted(outcome: 'sent' | 'dropped', spans: number): void
}

/** Spans that wait to be sent, at most; what comes beyond is dropped: about 10 MB. */
const MAX_WAITING = 10_000
/** Spans of one request, at most, and the time that the first of them waits for others, in ms. */
const BATCH = 512
const GATHER_MS = 1_000
/** Milliseconds for one request. */
const TIMEOUT_MS = 10_000
/** Tries of one batch, and the pauses between them in ms, which double. */
const TRIES = 6
const PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** Answers after which the same request may succeed (OTLP/HTTP, "Failures"). */
const PASSING = new Set([429, 502, 503, 504])

/**
 * Sends spans to an OTLP/HTTP endpoint, in batches, one request at a time. Whatever the endpoint does, nobody waits for
 * it and memory is bounded: a batch that cannot be delivered is dropped and counted.
 */
export class SpanExporter {
  readonly #options: ExporterOptions
  readonly #waiting: Span[] = []
  readonly #stop = new AbortController()
  /** Cuts the time in which others may join a batch; null while none is gathered. */
  #gathering: AbortController | null = null
  #stopping = false
  #sending: Promise<void> | null = null
  #failing = false

  constructor(options: ExporterOptions) {
    this.#options = options
  }

  /** Takes spans to be sent. Never waits, never throws. */
  add(spans: readonly Span[]): void {
    const room = this.#stopping ? 0 : Math.max(0, MAX_WAITING - this.#waiting.length)
    this.#waiting.push(...spans.slice(0, room))
    if (spans.length > room) this.#options.counted('dropped', spans.length - room)
    if (this.#waiting.length >= BATCH) this.#gathering?.abort()
    if (this.#waiting.length > 0) this.#sending ??= this.#sendAll()
  }

  /** Sends what waits within `ms`, and drops the rest. */
  async stop(ms: number): Promise<void> {
    this.#stopping = true
    this.#gathering?.abort()
    const timer = setTimeout(() => this.#stop.abort(), ms)
    await this.#sending
    clearTimeout(timer)
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#waiting.length < BATCH && !this.#stopping) await this.#gather()
      const batch = this.#waiting.splice(0, BATCH)
      const sent = await this.#send(batch)
      this.#options.counted(sent ? 'sent' : 'dropped', batch.length)
    }
    this.#sending = null
  }

  async #gather(): Promise<void> {
    const { signal } = (this.#gathering = new AbortController())
    await delay(this.#options.gatherMs ?? GATHER_MS, undefined, { signal, ref: false }).catch(() => undefined)
    this.#gathering = null
  }

  async #send(batch: Span[]): Promise<boolean> {
    const { url, headers, resource, version, logger } = this.#options
    const body = otlpRequest(batch, resource, version)
    let problem = 'the server ended'
    let pause = this.#options.pauseMs ?? PAUSE_MS
    for (let tries = 1; !this.#stop.signal.aborted; tries++, pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      try {
        const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)])
        const reply = await fetch(url, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json', 'user-agent': `troupe/${version}` },
          body,
          redirect: 'error',
          signal,
        })
        await reply.body?.cancel()
        if (reply.ok) {
          if (this.#failing) logger.info({}, 'traces are delivered again')
          this.#failing = false
          return true
        }
        problem = `the answer was ${reply.status}`
        if (!PASSING.has(reply.status)) break
        pause = Math.max(pause, Math.min(MAX_PAUSE_MS, Number(reply.headers.get('retry-after')) * 1000 || 0))
      } catch (error) {
        const { cause, message } = error as Error & { cause?: { code?: string } }
        problem = cause?.code ?? message
      }
      if (tries >= TRIES) break
      await delay(pause, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
    }
    // Told once, not for each batch.
    if (!this.#failing) logger.warn({ problem, spans: batch.length }, 'traces could not be delivered')
    this.#failing = true
    return false
  }
}
