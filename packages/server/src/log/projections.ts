/** Characters of all kept texts together, at most. */
const MAX_CHARS = 64_000_000

interface Kept {
  texts: Map<string, string>
  chars: number
}

/**
 * Texts that were made from a session as it stands, kept until it changes. Many pollers ask for the same status: the
 * first pays, the others get the same text. Correct because every change of a session in this process goes through
 * the event log, which forgets the session first.
 */
export class Projections {
  /** Least recently used first. */
  readonly #sessions = new Map<string, Kept>()
  #chars = 0

  /** The text of this name for a session, made by `make` when it is not known or no longer true. */
  async text(sessionId: string, name: string, make: () => Promise<string>): Promise<string> {
    let kept = this.#sessions.get(sessionId)
    const known = kept?.texts.get(name)
    if (kept) this.#sessions.delete(sessionId)
    kept ??= { texts: new Map(), chars: 0 }
    this.#sessions.set(sessionId, kept)
    if (known !== undefined) return known
    const text = await make().catch((error: unknown) => {
      if (kept.texts.size === 0 && this.#sessions.get(sessionId) === kept) this.#sessions.delete(sessionId)
      throw error
    })
    // The session may have changed, or made room for others, while the text was being made.
    if (this.#sessions.get(sessionId) === kept && !kept.texts.has(name)) {
      kept.texts.set(name, text)
      kept.chars += text.length
      this.#chars += text.length
      this.#makeRoom()
    }
    return text
  }

  /** The session changed, or is about to. */
  forget(sessionId: string): void {
    const kept = this.#sessions.get(sessionId)
    if (!kept) return
    this.#sessions.delete(sessionId)
    this.#chars -= kept.chars
  }

  #makeRoom(): void {
    for (const sessionId of this.#sessions.keys()) {
      if (this.#chars <= MAX_CHARS && this.#sessions.size <= 10_000) return
      this.forget(sessionId)
    }
  }
}
