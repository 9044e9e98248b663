/**
 * What an agent is taken to need until it shows it, in bytes. One that waits for its model takes 110 MiB of its own (190
 * MiB with shared pages); one that works takes more, with its tools 0.3–2 GB.
 */
const RESERVE = 400 * 2 ** 20
/** How long after its claim a session counts with no less than the reserve, in ms: an agent grows while it starts. */
const SETTLED_MS = 15_000

interface Share {
  since: number
  /** Null until it was seen in a measurement: what nobody could measure counts with the reserve. */
  measured: number | null
}

/**
 * The memory that agents may take. A session gets its share before it is claimed, in one step with the question
 * whether there is room, so that two claims never count on the same bytes. One always has room. Nothing that runs is
 * ever ended for memory.
 */
export class MemoryBudget {
  readonly #budget: number
  readonly #shares = new Set<Share>()
  readonly #bySession = new Map<string, Share>()
  /** Of agents that nobody has work for: their memory is theirs until it is needed. */
  readonly #resting = new Map<string, Share>()

  constructor(budgetBytes: number) {
    this.#budget = budgetBytes
  }

  /** Takes a share for a session about to be claimed; null when there is no room. */
  reserve(now: number): MemoryShare | null {
    if (!this.hasRoom(now)) return null
    const share: Share = { since: now, measured: null }
    this.#shares.add(share)
    return {
      assign: (sessionId) => void this.#bySession.set(sessionId, share),
      release: (sessionId) => {
        this.#shares.delete(share)
        if (sessionId !== undefined && this.#bySession.get(sessionId) === share) this.#bySession.delete(sessionId)
      },
    }
  }

  hasRoom(now: number): boolean {
    return this.#shares.size === 0 || this.fits(now)
  }

  /** Whether one more process would be within the budget. */
  fits(now: number): boolean {
    return this.#used(now) + RESERVE <= this.#budget
  }

  /** The agent of this session stays, without a run. It counts with what was last measured. */
  rest(sessionId: string, now: number): void {
    this.#resting.set(sessionId, { since: now, measured: this.#bySession.get(sessionId)?.measured ?? null })
  }

  /** It has work again, or is gone. */
  leave(sessionId: string): void {
    this.#resting.delete(sessionId)
  }

  /** What the agents of sessions take, as measured. */
  note(bytes: ReadonlyMap<string, number>): void {
    for (const [sessionId, share] of this.#resting) share.measured = bytes.get(sessionId) ?? share.measured
    for (const [sessionId, share] of this.#bySession)
      share.measured = bytes.get(sessionId) ?? (share.measured === null ? null : 0)
  }

  view(now: number): { budget: number; used: number } {
    return { budget: this.#budget, used: this.#used(now) }
  }

  #used(now: number): number {
    let used = 0
    for (const { since, measured } of this.#shares)
      used += measured === null || now - since < SETTLED_MS ? Math.max(measured ?? 0, RESERVE) : measured
    for (const { measured } of this.#resting.values()) used += measured ?? RESERVE
    return used
  }
}

export interface MemoryShare {
  /** The session that was claimed with it. */
  assign(sessionId: string): void
  /** Gives it back: nothing was claimed, or the session's run is over and its processes are gone. */
  release(sessionId?: string): void
}
