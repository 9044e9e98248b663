/** A bell: it carries nothing and only says "look again". Rings merge with one another. */
export interface Wakeup extends Disposable {
  /** Resolves at the next ring since the last call, or at once if there was one; also when `signal` aborts. */
  next(signal: AbortSignal): Promise<void>
}

/** Bells by topic (a session id, or `DISPATCH`). Costs nothing for topics nobody listens to. */
export class Wakeups {
  readonly #topics = new Map<string, Set<() => void>>()

  subscribe(topic: string): Wakeup {
    let rung = false
    let wake: (() => void) | null = null
    const ring = () => {
      rung = true
      wake?.()
    }
    const listeners = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, listeners.add(ring))
    return {
      async next(signal) {
        if (!rung && !signal.aborted) {
          const { promise, resolve } = Promise.withResolvers<void>()
          wake = resolve
          signal.addEventListener('abort', resolve as () => void, { once: true })
          await promise
          signal.removeEventListener('abort', resolve as () => void)
          wake = null
        }
        rung = false
      },
      [Symbol.dispose]: () => {
        listeners.delete(ring)
        if (listeners.size === 0 && this.#topics.get(topic) === listeners) this.#topics.delete(topic)
      },
    }
  }

  ring(topic: string): void {
    for (const listener of this.#topics.get(topic) ?? []) listener()
  }
}

/** Topic of the runner: some session may have work. */
export const DISPATCH = 'dispatch'

/** Topic of the webhooks: there may be something to tell, or to send. */
export const OUTBOX = 'outbox'
