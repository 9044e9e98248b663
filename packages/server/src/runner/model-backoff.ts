import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import type { Clock } from '../lib/clock.ts'

/** The longest that a model which refuses is left alone, in ms. */
const LONGEST_MS = 60_000
/** Of the first refusal, where it names no time of its own; doubled for each that follows. */
const FIRST_MS = 500
/** Refusals that count: more would only be remembered longer. */
const MOST = 8
/** Time after a pause without another refusal, after which one of them is forgotten, in ms. */
const FORGET_MS = 30_000
/** After a pause sessions are taken one by one, about this far apart for each refusal remembered, in ms. */
const APART_MS = 250
const APART_LONGEST_MS = 2_000

/**
 * How long all sessions of one credential leave the model alone after it refused with 429 or 529. What runs is not
 * touched: its agent tries again by itself. Refusals during a pause are about the same trouble: they can make it
 * longer, not worse. When it is over, sessions are taken a little apart, so that they do not arrive together.
 */
export class ModelBackoff {
  readonly #clock: Clock
  readonly #random: () => number
  #level = 0
  #pauseUntil = 0
  #nextAt = 0

  /** `random` gives 0 ≤ n < 1; what it decides is jitter. */
  constructor(clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  /** Looks at what an agent says, and notes a refusal of the model, or an answer. */
  note(message: SDKMessage): void {
    const delayMs = refusal(message)
    if (delayMs !== null) this.refused(delayMs)
    else if (message.type === 'assistant' && message.error === undefined) this.answered()
  }

  /** The model answered somebody, which makes good for one refusal. The pause stays as it is. */
  answered(): void {
    if (this.#level > 0) this.#level--
  }

  /** The model refused; the agent waits `delayMs` (0: not known) before it tries again. */
  refused(delayMs: number): void {
    const now = this.#clock.now()
    if (now >= this.#pauseUntil) this.#level = Math.min(MOST, this.#remembered(now) + 1)
    const pause = Math.min(LONGEST_MS, Math.max(delayMs, FIRST_MS * 2 ** (this.#level - 1)))
    this.#pauseUntil = Math.max(this.#pauseUntil, now + pause * (1 + this.#random() / 4))
  }

  /** A session was taken: the next one follows at once, or a little later after a refusal. */
  taken(): void {
    const now = this.#clock.now()
    const apart = Math.min(APART_LONGEST_MS, this.#remembered(now) * APART_MS)
    this.#nextAt = now + apart * (0.5 + this.#random())
  }

  /** Milliseconds until a session may be taken; 0: now. */
  waitMs(): number {
    return Math.max(0, Math.ceil(Math.max(this.#pauseUntil, this.#nextAt) - this.#clock.now()))
  }

  /** Whether the model is being left alone. */
  get paused(): boolean {
    return this.#clock.now() < this.#pauseUntil
  }

  /** Until when no session is taken, in ms; null when one may be. */
  get until(): number | null {
    const wait = this.waitMs()
    return wait > 0 ? this.#clock.now() + wait : null
  }

  #remembered(now: number): number {
    return Math.max(0, this.#level - Math.floor(Math.max(0, now - this.#pauseUntil) / FORGET_MS))
  }
}

/** How long the agent waits after a refusal by 429 or 529, in ms; 0 where it gave up; null: no refusal. */
function refusal(message: SDKMessage): number | null {
  if (message.type === 'system' && message.subtype === 'api_retry')
    return message.error_status === 429 || message.error_status === 529 ? message.retry_delay_ms : null
  if (message.type === 'assistant' && (message.error === 'rate_limit' || message.error === 'overloaded')) return 0
  return null
}
