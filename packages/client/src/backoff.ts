/** Milliseconds before the next try, given how many have failed (0, 1, 2 …) and what `Retry-After` said, in seconds. */
export type Backoff = (attempt: number, retryAfter: number | null) => number

/** Doubles from `first` to `most`, less up to half of it by chance, and never sooner than the server asks for. */
export function backoff(first: number, most: number): Backoff {
  return (attempt, retryAfter) => {
    const whole = Math.min(most, first * 2 ** Math.min(attempt, 20))
    return Math.max((retryAfter ?? 0) * 1000, whole * (0.5 + Math.random() / 2))
  }
}

/** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
}
