/** Wall time in ms; the one place it is read, so tests can set it. */
export interface Clock {
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
