import { isWebhookType } from '@troupe/protocol/webhook'
import type { Committed, SessionChange } from '../store/session-change.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import { Projections } from './projections.ts'
import { eventJson } from './wire.ts'
import { DISPATCH, OUTBOX, type Wakeups } from './wakeups.ts'

/** Events a tail reads at once. */
const PAGE_SIZE = 500
/** Newest events kept in memory for each session that is being watched: at most this many, and this much text. */
const RECENT_EVENTS = 256
const RECENT_CHARS = 1_000_000

/** An event as the log hands it out; its JSON text is made once for all readers. */
export class LoggedEvent {
  readonly row: EventRow
  #json: string | undefined

  constructor(row: EventRow) {
    this.row = row
  }

  get seq(): number {
    return this.row.seq
  }

  get json(): string {
    return (this.#json ??= eventJson(this.row))
  }
}

/** Is told of every change that goes through the log. Must not throw. */
export interface CommitObserver {
  committed(events: readonly EventRow[], seconds: number): void
  refused(error: unknown): void
}

/** Tells several. */
export const observers = (...all: CommitObserver[]): CommitObserver => ({
  committed: (events, seconds) => {
    for (const each of all) each.committed(events, seconds)
  },
  refused: (error) => {
    for (const each of all) each.refused(error)
  },
})

interface Recent {
  readers: number
  /** Consecutive, newest last. */
  events: LoggedEvent[]
  /** Characters of their bodies. */
  chars: number
}

/**
 * The sessions' logs. Every change of a session goes through here, so that readers are woken; the newest events of
 * watched sessions are answered from memory, without changing what a reader may assume.
 */
export class EventLog {
  readonly #store: Store
  readonly #wakeups: Wakeups
  readonly #observer: CommitObserver | null
  readonly #recent = new Map<string, Recent>()
  /** Texts made from sessions, forgotten when they change. */
  readonly projections = new Projections()

  constructor(store: Store, wakeups: Wakeups, observer: CommitObserver | null = null) {
    this.#store = store
    this.#wakeups = wakeups
    this.#observer = observer
  }

  async createSession(row: SessionRow, change: SessionChange): Promise<Committed> {
    return this.#write(change, () => this.#store.createSession(row, change))
  }

  /** Applies a change and wakes who watches. Throws what `Store.commit` throws. */
  async commit(change: SessionChange): Promise<Committed> {
    return this.#write(change, () => this.#store.commit(change))
  }

  async #write(change: SessionChange, write: () => Promise<Committed>): Promise<Committed> {
    const began = performance.now()
    try {
      const committed = await write()
      this.#observer?.committed(committed.events, (performance.now() - began) / 1000)
      return this.#announce(change, committed)
    } catch (error) {
      this.#observer?.refused(error)
      throw error
    }
  }

  async deleteSession(id: string, at: number, version?: number, effect?: SessionChange['effect']): Promise<void> {
    await this.#store.deleteSession(id, at, version, effect)
    this.projections.forget(id)
    this.#recent.delete(id)
    this.#wakeups.ring(id)
    this.#wakeups.ring(OUTBOX)
  }

  /** Up to `limit` events after `after`; an empty answer means there are none yet. */
  async read(sessionId: string, after: number, limit: number = PAGE_SIZE): Promise<LoggedEvent[]> {
    const events = this.#recent.get(sessionId)?.events
    if (events && events.length > 0 && after >= events[0]!.seq - 1) {
      const start = after - events[0]!.seq + 1
      return events.slice(start, start + limit)
    }
    return (await this.#store.readEvents(sessionId, after, limit)).map((row) => new LoggedEvent(row))
  }

  /**
   * Yields the events after `after`, in order and once each, a page at a time, until `signal` aborts. A page is empty
   * when the reader was woken and has everything: then a preview may have grown, or the session is gone.
   */
  async *follow(sessionId: string, after: number, signal: AbortSignal): AsyncGenerator<LoggedEvent[], void, void> {
    // Subscribed before the first read, so an event appended during a read wakes the next one.
    using wakeup = this.#wakeups.subscribe(sessionId)
    using _watched = this.watch(sessionId)
    let cursor = after
    while (!signal.aborted) {
      const page = await this.read(sessionId, cursor)
      cursor = page.at(-1)?.seq ?? cursor
      yield page
      if (page.length === 0) await wakeup.next(signal)
    }
  }

  /** Yields every event after `after`, in order and once each; then waits for more, until `signal` aborts. */
  async *tail(sessionId: string, after: number, signal: AbortSignal): AsyncGenerator<LoggedEvent, void, void> {
    for await (const page of this.follow(sessionId, after, signal)) yield* page
  }

  /** Keeps the newest events of a session in memory while someone reads its end. */
  watch(sessionId: string): Disposable {
    const recent = this.#recent.get(sessionId) ?? { readers: 0, events: [], chars: 0 }
    recent.readers++
    this.#recent.set(sessionId, recent)
    return {
      [Symbol.dispose]: () => {
        recent.readers--
        if (recent.readers === 0 && this.#recent.get(sessionId) === recent) this.#recent.delete(sessionId)
      },
    }
  }

  #announce(change: SessionChange, committed: Committed): Committed {
    this.projections.forget(change.sessionId)
    const recent = this.#recent.get(change.sessionId)
    if (recent) for (const row of committed.events) remember(recent, new LoggedEvent(row))
    this.#wakeups.ring(change.sessionId)
    if (change.session?.queuedAt) this.#wakeups.ring(DISPATCH)
    if (committed.events.some(({ type }) => isWebhookType(type))) this.#wakeups.ring(OUTBOX)
    return committed
  }
}

function remember(recent: Recent, event: LoggedEvent): void {
  const last = recent.events.at(-1)
  if (last && last.seq !== event.seq - 1) {
    // A hole would be read as "nothing there"; start over instead.
    recent.events = []
    recent.chars = 0
  }
  recent.events.push(event)
  recent.chars += event.row.body.length
  if (recent.events.length <= RECENT_EVENTS * 2 && recent.chars <= RECENT_CHARS) return
  // Down to half, so that the cost of moving is spread over many events.
  let dropped = 0
  while (recent.events.length - dropped > RECENT_EVENTS || recent.chars > RECENT_CHARS / 2) {
    if (dropped === recent.events.length - 1) break
    recent.chars -= recent.events[dropped++]!.row.body.length
  }
  recent.events.splice(0, dropped)
}
