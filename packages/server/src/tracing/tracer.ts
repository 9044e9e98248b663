import type { Logger } from '../lib/logger.ts'
import type { CommitObserver } from '../log/event-log.ts'
import type { EventRow } from '../store/events.ts'
import type { Store } from '../store/store.ts'
import type { SpanExporter } from './span-exporter.ts'
import { formatTraceparent, traceOfTurn } from './trace-context.ts'
import { slimEvent } from './slim-event.ts'
import { turnSpans } from './turn-spans.ts'

/** Turns that have ended and are still to be read, at most; those beyond leave no trace, which is counted. */
const MAX_TURNS = 1_000
/** Events of one turn that are looked at, at most. */
const MAX_EVENTS = 20_000
const PAGE = 1_000
const BEGINS = new Set(['turn.started', 'turn.resumed'])
const ENDS = new Set(['turn.completed', 'turn.failed', 'turn.cancelled'])

interface EndedTurn {
  sessionId: string
  turnId: string
  /** Of the event that tells its end. */
  seq: number
}

/**
 * Tells each turn that ends as a trace. Spans are a projection of the log: they are read from it behind the turn, so that
 * they cost a running session nothing and a server that dies loses the traces of the turns that have just ended, no more.
 */
export class Tracer implements CommitObserver {
  readonly #store: Store
  readonly #exporter: SpanExporter
  readonly #logger: Logger
  readonly #missed: () => void
  readonly #ended: EndedTurn[] = []
  /** The turns that run, by session; where they stand as soon as that has been read. */
  readonly #current = new Map<string, { turnId: string; traceparent: string | null }>()
  #reading: Promise<void> | null = null

  /** `missed` is called for each turn that leaves no trace. */
  constructor(store: Store, exporter: SpanExporter, logger: Logger, missed: () => void) {
    this.#store = store
    this.#exporter = exporter
    this.#logger = logger
    this.#missed = missed
  }

  committed(events: readonly EventRow[]): void {
    for (const { type, sessionId, turnId, seq } of events) {
      // Turns that come with their session were brought along, and ended somewhere else.
      if (type === 'session.created') return
      if (turnId !== null && BEGINS.has(type)) void this.#begin(sessionId, turnId)
      if (turnId === null || !ENDS.has(type)) continue
      if (this.#current.get(sessionId)?.turnId === turnId) this.#current.delete(sessionId)
      if (this.#ended.length >= MAX_TURNS) this.#missed()
      else this.#ended.push({ sessionId, turnId, seq })
    }
    if (this.#ended.length > 0) this.#reading ??= this.#readAll()
  }

  refused(): void {}

  /** The `traceparent` for what a session asks of others now; null while no turn of it runs. */
  current(sessionId: string): string | null {
    return this.#current.get(sessionId)?.traceparent ?? null
  }

  /** Sends what there is within `ms`. */
  async stop(ms: number): Promise<void> {
    await this.#reading
    await this.#exporter.stop(ms)
  }

  async #begin(sessionId: string, turnId: string): Promise<void> {
    // Noted at once: its end may be told before this has been read.
    const place = { turnId, traceparent: null as string | null }
    this.#current.set(sessionId, place)
    const turn = await this.#store.readTurn(sessionId, turnId).catch(() => null)
    if (turn) place.traceparent = formatTraceparent(traceOfTurn(turn))
  }

  async #readAll(): Promise<void> {
    for (let next = this.#ended.shift(); next; next = this.#ended.shift()) {
      await this.#read(next).catch((err: unknown) => {
        this.#missed()
        this.#logger.warn({ session: next.sessionId, err }, 'a turn could not be traced')
      })
    }
    this.#reading = null
  }

  async #read({ sessionId, turnId, seq }: EndedTurn): Promise<void> {
    const session = await this.#store.readSession(sessionId)
    const turn = await this.#store.readTurn(sessionId, turnId)
    // Erased meanwhile, or its caller keeps no trace.
    if (!session || !turn || !traceOfTurn(turn).sampled) return
    const events: EventRow[] = []
    // Not from the log's beginning: a session may have been at work for months.
    const [input] = turn.inputEventIds
    const begun = input === undefined ? null : await this.#store.readEvent(sessionId, input)
    let after = (begun?.seq ?? 1) - 1
    while (after < seq && events.length < MAX_EVENTS) {
      const page = await this.#store.readEvents(sessionId, after, PAGE)
      for (const row of page) {
        const event = row.turnId === turnId && row.seq <= seq ? slimEvent(row) : null
        if (event && events.length < MAX_EVENTS) events.push(event)
      }
      after = page.at(-1)?.seq ?? seq
    }
    this.#exporter.add(turnSpans(session, turn, events))
  }
}
