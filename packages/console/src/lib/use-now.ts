import { useSyncExternalStore } from 'react'

/** The clocks of the page: one for each interval, which runs while somebody looks at it. */
const clocks = new Map<number, Clock>()

class Clock {
  #now = Date.now()
  #timer: ReturnType<typeof setInterval> | undefined
  readonly #listeners = new Set<() => void>()
  readonly #ms: number

  constructor(ms: number) {
    this.#ms = ms
  }

  readonly now = (): number => this.#now
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    this.#timer ??= setInterval(this.#tick, this.#ms)
    // One that stood still is late for whom comes first.
    if (Date.now() - this.#now >= this.#ms) this.#tick()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }
  readonly #tick = () => {
    this.#now = Date.now()
    for (const listener of this.#listeners) listener()
  }
}

/** The clock that ticks every `ms`. */
export function clockOf(ms: number): Clock {
  const clock = clocks.get(ms) ?? new Clock(ms)
  clocks.set(ms, clock)
  return clock
}

const still = () => () => {}

/** The time, again every `ms` while `running`: of one timer, however many ask. */
export function useNow(ms: number, running = true): number {
  const clock = clockOf(ms)
  return useSyncExternalStore(running ? clock.subscribe : still, clock.now, clock.now)
}
