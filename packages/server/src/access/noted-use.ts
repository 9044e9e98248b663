import type { Logger } from '../lib/logger.ts'
import type { KeyStore } from '../store/keys.ts'

/** How often it is written which keys were used, in ms: a request pays nothing for it. */
const WRITE_EVERY_MS = 60_000

/** Remembers when keys were used, and writes it down from time to time and at the end. A crash forgets a minute. */
export class NotedUse {
  readonly #keys: KeyStore
  readonly #now: () => number
  readonly #logger: Logger
  readonly #timer: NodeJS.Timeout
  #used = new Map<string, number>()

  constructor(keys: KeyStore, now: () => number, logger: Logger) {
    this.#keys = keys
    this.#now = now
    this.#logger = logger
    this.#timer = setInterval(() => void this.write(), WRITE_EVERY_MS)
    this.#timer.unref()
  }

  note(key: string): void {
    this.#used.set(key, this.#now())
  }

  /** Never rejects: what cannot be written now is written the next time. */
  async write(): Promise<void> {
    const used = this.#used
    if (used.size === 0) return
    this.#used = new Map()
    try {
      await this.#keys.noteUse(used)
    } catch (err) {
      this.#logger.warn({ err }, 'when keys were used could not be written')
      for (const [key, at] of used) if (!this.#used.has(key)) this.#used.set(key, at)
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.write()
  }
}
