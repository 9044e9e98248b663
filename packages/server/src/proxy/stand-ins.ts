import { createHash, randomBytes } from 'node:crypto'

const digest = (token: string): string => createHash('sha256').update(token).digest('base64')

/** Keys that stand in for the real one: one for each agent process, good while it lives, known to this server alone. */
export class StandIns {
  /** Session by digest: a lookup takes no longer for a guess that is nearly right. */
  readonly #known = new Map<string, string>()

  get size(): number {
    return this.#known.size
  }

  /** One more, for an agent of this session. */
  make(sessionId: string): string {
    const token = `troupe-stand-in-${randomBytes(32).toString('base64url')}`
    this.#known.set(digest(token), sessionId)
    return token
  }

  /** The session whose agent holds it; null where none does, or does any more. */
  sessionOf(token: string): string | null {
    return this.#known.get(digest(token)) ?? null
  }

  /** From now on it opens nothing. What is no stand-in is no trouble. */
  end(token: string): void {
    this.#known.delete(digest(token))
  }
}
