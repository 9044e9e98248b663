import type { Clock } from '../lib/clock.ts'
import type { PolicyOf } from '../sessions/caller.ts'

interface Bucket {
  /** Requests that may be made now; a part of one grows to a whole. */
  left: number
  at: number
}

/** How it stands with the tightest of a caller's rates. */
export interface Rate {
  perMinute: number
  left: number
  /** Seconds until there is one more; 0 where there is. */
  wait: number
  /** Seconds until it is as if nothing had been asked. */
  reset: number
}

/** Buckets kept; those that are full again go first. */
const MAX_BUCKETS = 10_000
const MINUTE = 60_000

/**
 * Requests per minute, by key and by workspace: as many at once as a minute allows, then evenly. Kept in memory: a
 * restart forgives.
 */
export class RateLimits {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes one request from each of the caller's rates, or from none when one of them has none. Null: no rate bounds it. */
  take(policies: readonly PolicyOf[]): Rate | null {
    const at = this.#clock.now()
    const rates = policies.flatMap(({ id, policy }) => {
      const perMinute = policy.requests_per_minute
      return perMinute == null ? [] : [{ bucket: this.#bucket(id, perMinute, at), perMinute }]
    })
    if (rates.length === 0) return null
    const allowed = rates.every(({ bucket }) => bucket.left >= 1)
    if (allowed) for (const { bucket } of rates) bucket.left--
    const views = rates.map(({ bucket, perMinute }) => ({
      perMinute,
      left: Math.floor(bucket.left),
      wait: allowed ? 0 : Math.max(0, Math.ceil(((1 - bucket.left) * 60) / perMinute)),
      reset: Math.ceil(((perMinute - bucket.left) * 60) / perMinute),
    }))
    return views.reduce((tight, view) => (view.wait > tight.wait || view.left < tight.left ? view : tight))
  }

  #bucket(id: string, perMinute: number, at: number): Bucket {
    const known = this.#buckets.get(id)
    const bucket = known ?? { left: perMinute, at }
    bucket.left = Math.min(perMinute, bucket.left + (Math.max(0, at - bucket.at) * perMinute) / MINUTE)
    bucket.at = at
    if (!known) {
      this.#buckets.set(id, bucket)
      if (this.#buckets.size > MAX_BUCKETS)
        for (const [other, { at: used }] of this.#buckets) if (at - used > MINUTE) this.#buckets.delete(other)
    }
    return bucket
  }
}
