import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { AuditRow, AuditStore } from '../store/audit.ts'

export type Refusal = Omit<AuditRow, 'id' | 'at' | 'outcome' | 'action' | 'count'>

/** How long refusals are gathered, in ms: a flood of them is a few lines. */
const GATHER_MS = 10_000
/** Different refusals that are told apart in that time; of those who have no good key. */
const MAX_LINES = 100
const MAX_UNKNOWN = 10

/**
 * Refused requests, written behind their answers: the first one at once, those that follow together. The same refusal of
 * the same caller is one line with a count, and beyond a limit all are one. A server that is killed forgets what it has
 * gathered.
 */
export class Refusals {
  readonly #store: AuditStore
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #lines = new Map<string, Refusal & { count: number }>()
  #unknown = 0
  #writtenAt = -Infinity
  #timer: NodeJS.Timeout | null = null

  constructor(store: AuditStore, clock: Clock, logger: Logger) {
    this.#store = store
    this.#clock = clock
    this.#logger = logger
  }

  note(refusal: Refusal): void {
    const unknown = refusal.principal === 'nobody'
    const { workspaceId, principal, reason, resourceId, request } = refusal
    const key = JSON.stringify([workspaceId, principal, reason, resourceId, request?.route, request?.address])
    const known = this.#lines.get(key)
    if (known) known.count++
    else if (this.#lines.size >= MAX_LINES || (unknown && this.#unknown >= MAX_UNKNOWN)) this.#further(refusal)
    else {
      if (unknown) this.#unknown++
      this.#lines.set(key, { ...refusal, count: 1 })
    }
    this.#timer ??= setTimeout(() => void this.write(), Math.max(0, this.#writtenAt + GATHER_MS - performance.now()))
    this.#timer.unref()
  }

  /** What is too much to be told apart, by workspace and reason. */
  #further({ workspaceId, reason }: Refusal): void {
    const key = JSON.stringify([workspaceId, reason])
    const known = this.#lines.get(key)
    if (known) known.count++
    else
      this.#lines.set(key, {
        workspaceId,
        reason,
        principal: 'nobody',
        credential: null,
        resourceType: null,
        resourceId: null,
        details: { several: true },
        request: null,
        count: 1,
      })
  }

  /** Never rejects. */
  async write(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#writtenAt = performance.now()
    this.#unknown = 0
    const lines = [...this.#lines.values()]
    this.#lines.clear()
    if (lines.length === 0) return
    const rows = lines.map((line) => ({ ...line, action: 'request.refused', outcome: 'refused' as const }))
    await this.#store
      .note(rows, this.#clock.now())
      .catch((err: unknown) => this.#logger.warn({ err, lines: rows.length }, 'refused requests could not be noted'))
  }
}

/** Lines deleted in one transaction, at most. */
const STEP = 5_000

/** Deletes what is older than `before`, a part at a time. */
export async function forgetAudit(store: AuditStore, before: number): Promise<void> {
  while ((await store.forget(before, STEP)) === STEP);
}
