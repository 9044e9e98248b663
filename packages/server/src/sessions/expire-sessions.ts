import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import type { Actor } from '../store/audit.ts'
import type { RetentionPlace } from '../store/retention.ts'
import type { SessionContext } from './context.ts'
import { deleteIf } from './edit-session.ts'
import { expiryOf, retentionOf } from './retention.ts'

/** How often it is looked for sessions whose time is over, in ms. */
const EVERY_MS = 60_000
/** The pause after a round that did not get through, in ms. */
const SOON_MS = 1_000
/** Sessions that a round looks at, and deletes, at most: bounds what others wait for. */
const MAX_SEEN = 10_000
const MAX_DELETED = 200
/** Sessions looked at in one step: a few ms. */
const STEP = 500

/** Whoever reads who deleted it. */
const OVER: Actor = { principal: 'server', credential: null, reason: 'retention', request: null }

/** Deletes one session if its time is over now; what came to life meanwhile stays. */
const expireSession = (context: SessionContext, id: string): Promise<boolean> =>
  deleteIf(context, id, async (session) => {
    const { ttlMs } = await retentionOf(context.store, session)
    const waits = ((await context.store.readSessionState(id))?.approvals.length ?? 0) > 0
    const expiry = expiryOf(session, ttlMs, waits)
    return expiry !== null && expiry <= context.clock.now()
  })

/** Deletes the sessions of a workspace whose time is over, now; or only counts them. At most `max`. */
export async function pruneExpired(
  context: SessionContext,
  workspaceId: string,
  statuses: readonly string[],
  dryRun: boolean,
  max: number,
): Promise<{ matched: number; deleted: number }> {
  const { store, clock } = context
  const found: string[] = []
  for (let place: RetentionPlace | null = null; found.length < max;) {
    const { ids, next } = await store.retention.expired(clock.now(), workspaceId, place, STEP)
    for (const id of ids) {
      const session = await store.readSession(id)
      if (session && statuses.includes(session.status) && found.length < max) found.push(id)
    }
    if ((place = next) === null) break
    await new Promise((resolve) => setImmediate(resolve))
  }
  let deleted = 0
  if (!dryRun) for (const id of found) if (await expireSession(context, id)) deleted++
  return { matched: found.length, deleted }
}

/**
 * Deletes sessions whose time is over, a part at a time. Each goes as by a DELETE: its rows in one transaction, then its
 * folder; what a server that dies in between leaves of a folder is removed when the next one starts.
 */
export class Retention implements Service {
  readonly #context: SessionContext
  readonly #logger: Logger
  readonly #everyMs: number
  readonly #ending = new AbortController()
  #place: RetentionPlace | null = null
  #loop: Promise<void> = Promise.resolve()

  constructor(context: SessionContext, logger: Logger, everyMs: number = EVERY_MS) {
    this.#context = context
    this.#logger = logger
    this.#everyMs = everyMs
  }

  async start(): Promise<void> {
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      const through = await this.#round().catch((err: unknown) => {
        this.#logger.warn({ err }, 'sessions whose time is over could not be deleted')
        return true
      })
      const pause = through ? this.#everyMs : Math.min(SOON_MS, this.#everyMs)
      await delay(pause, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Whether everything was looked at. */
  async #round(): Promise<boolean> {
    const { store, clock } = this.#context
    let deleted = 0
    for (let seen = 0; seen < MAX_SEEN && deleted < MAX_DELETED; seen += STEP) {
      const { ids, next } = await store.retention.expired(clock.now(), null, this.#place, STEP)
      for (const id of ids) {
        if (this.#ending.signal.aborted) return true
        // Those that are left of this step are found by the next round.
        if (deleted === MAX_DELETED) return false
        try {
          if (await store.audit.as(OVER, () => expireSession(this.#context, id))) deleted++
        } catch (err) {
          // One that cannot be removed does not keep the others.
          this.#logger.warn({ session: id, err }, 'a session whose time is over could not be deleted')
        }
      }
      this.#place = next
      if (next === null) return true
      await new Promise((resolve) => setImmediate(resolve))
    }
    return false
  }
}
