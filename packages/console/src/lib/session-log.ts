import { TroupeError } from '@troupe/client/errors'
import { emptyView, foldAll } from '@troupe/client/fold'
import type { StreamFrame } from '@troupe/client/stream'
import type { SessionView } from '@troupe/client/view'
import type { SessionEvent } from '@troupe/protocol/event'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { client } from './api.ts'

export interface LogSnapshot {
  view: SessionView
  events: readonly SessionEvent[]
  /** `replaying` until what was there at the first look is shown. */
  connection: 'connecting' | 'replaying' | 'live' | 'lost' | 'gone'
  /** How many events a new connection brought; null a few seconds later. */
  caughtUp: number | null
}

/** Silence after which a replay counts as finished, in ms. */
const QUIET = 150
const SHOW_CAUGHT_UP = 3_000

/** One session's log in this page: `events.reduce(fold)`, folded in batches, at most once a frame. */
export class SessionLog {
  #snapshot: LogSnapshot = { view: emptyView, events: [], connection: 'connecting', caughtUp: null }
  #listeners = new Set<() => void>()
  #waiting: StreamFrame[] = []
  #flushing: ReturnType<typeof setTimeout> | undefined
  #quiet: ReturnType<typeof setTimeout> | undefined
  #hide: ReturnType<typeof setTimeout> | undefined
  /** Events since the connection was made again; null on the first. */
  #missed: number | null = null
  #stop = new AbortController()
  readonly #id: string

  constructor(id: string) {
    this.#id = id
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  readonly snapshot = (): LogSnapshot => this.#snapshot

  /** Never rejects: what went wrong is the snapshot's `connection`. */
  async start(): Promise<void> {
    this.#stop = new AbortController()
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const { lastSeq } = this.#snapshot.view
        const stream = client.events.stream(this.#id, {
          ...(lastSeq > 0 ? { after: lastSeq } : { from: 'start' }),
          deltas: ['agent.message', 'agent.thinking'],
          signal,
          onOpen: () => this.#opened(),
          onReconnect: () => this.#lost(),
        })
        for await (const frame of stream) this.#take(frame)
        if (!signal.aborted) return this.#set({ connection: 'gone' })
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof TroupeError && (error.status === 404 || error.status === 410))
          return this.#set({ connection: 'gone' })
        this.#lost()
        await new Promise((resolve) => setTimeout(resolve, 2_000))
      }
    }
  }

  stop(): void {
    this.#stop.abort()
    for (const timer of [this.#flushing, this.#quiet, this.#hide]) clearTimeout(timer)
    this.#flushing = undefined
  }

  #opened() {
    if (this.#snapshot.connection === 'lost') this.#missed = 0
    this.#set({ connection: 'replaying' })
    this.#settleSoon()
  }

  #lost() {
    clearTimeout(this.#quiet)
    this.#missed = null
    this.#set({ connection: 'lost' })
  }

  #take(frame: StreamFrame) {
    this.#waiting.push(frame)
    if (this.#missed !== null && 'seq' in frame) this.#missed++
    if (this.#snapshot.connection === 'replaying') this.#settleSoon()
    // A timer and not an animation frame: a hidden page has none, and its title still counts.
    this.#flushing ??= setTimeout(() => this.#flush(), 16)
  }

  #flush() {
    this.#flushing = undefined
    const frames = this.#waiting
    if (frames.length === 0) return
    this.#waiting = []
    const { view, events } = this.#snapshot
    const added = frames.filter((frame) => 'seq' in frame && frame.seq > view.lastSeq) as SessionEvent[]
    this.#set({ view: foldAll(frames, view), events: added.length > 0 ? [...events, ...added] : events })
  }

  #settleSoon() {
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#flush()
      const caughtUp = this.#missed
      this.#missed = null
      this.#set({ connection: 'live', caughtUp })
      if (caughtUp === null) return
      clearTimeout(this.#hide)
      this.#hide = setTimeout(() => this.#set({ caughtUp: null }), SHOW_CAUGHT_UP)
    }, QUIET)
  }

  #set(fields: Partial<LogSnapshot>) {
    this.#snapshot = { ...this.#snapshot, ...fields }
    for (const listener of this.#listeners) listener()
  }
}

/** The log of a session while a component shows it. */
export function useSessionLog(id: string): LogSnapshot {
  const [log] = useState(() => new SessionLog(id))
  useEffect(() => {
    void log.start()
    return () => log.stop()
  }, [log])
  return useSyncExternalStore(log.subscribe, log.snapshot)
}
