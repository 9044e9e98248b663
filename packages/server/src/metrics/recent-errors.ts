import type { EventRow } from '../store/events.ts'

/** How far back errors are counted, in ms. */
const WINDOW_MS = 600_000
/** Pairs of session and code that are remembered; of more, those that had no error for longest are forgotten. */
const MAX_KNOWN = 1_000
/** Errors of one pair that are told apart in time; more are told as so many. */
const MAX_TIMES = 100

export interface Failing {
  sessionId: string
  code: string
  /** Errors in the last ten minutes, 100 at most. */
  errors: number
}

/** Which sessions told the most errors lately, as seen since the start of the process; of bounded size. */
export class RecentErrors {
  /** By session and code; whoever erred last is last. */
  readonly #known = new Map<string, { sessionId: string; code: string; times: number[] }>()

  add({ sessionId, createdAt }: Pick<EventRow, 'sessionId' | 'createdAt'>, code: string): void {
    const key = `${sessionId} ${code}`
    const entry = this.#known.get(key) ?? { sessionId, code, times: [] }
    entry.times.push(createdAt)
    if (entry.times.length > MAX_TIMES) entry.times.shift()
    this.#known.delete(key)
    this.#known.set(key, entry)
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!)
  }

  /** Those with the most errors, most first. */
  worst(count: number, now: number): Failing[] {
    const found: Failing[] = []
    for (const [key, { sessionId, code, times }] of this.#known) {
      const errors = times.filter((at) => at > now - WINDOW_MS).length
      if (errors > 0) found.push({ sessionId, code, errors })
      else this.#known.delete(key)
    }
    return found.toSorted((a, b) => b.errors - a.errors).slice(0, count)
  }
}
