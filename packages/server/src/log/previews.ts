import type { DeltaType } from '@troupe/protocol/event'
import type { Wakeups } from './wakeups.ts'

/** The message being written, as far as it has come. No `seq`, no history. */
export interface Preview {
  /** The id that the finished event will have. */
  eventId: string
  type: DeltaType
  /** The `seq` after which it is being written: shown only to readers who have come that far. */
  afterSeq: number
  text: string
}

/** At most one preview per session, in memory: losing it loses nothing, the finished event is in the log. */
export class Previews {
  readonly #bySession = new Map<string, Preview>()
  readonly #wakeups: Wakeups

  constructor(wakeups: Wakeups) {
    this.#wakeups = wakeups
  }

  get(sessionId: string): Preview | null {
    return this.#bySession.get(sessionId) ?? null
  }

  set(sessionId: string, preview: Preview): void {
    this.#bySession.set(sessionId, preview)
    this.#wakeups.ring(sessionId)
  }

  /** Must be called before the finished event is appended, so that no reader sees the preview after it. */
  clear(sessionId: string): void {
    this.#bySession.delete(sessionId)
  }
}
