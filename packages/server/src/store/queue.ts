import type { Database, Statement } from 'better-sqlite3'
import { sessionFromRow } from './rows.ts'
import type { SessionsTable } from './schema.ts'
import type { ClaimLimits, QueueKey, QueuePlace, QueueView, SessionRow } from './store.ts'

/** Places in the queue are told up to here. */
const MAX_POSITION = 1_000
/** Keys that a view of the queue lists. */
const MAX_KEYS = 100

/**
 * In which order sessions would be taken if nothing that runs ended. `level` is how many of its key would run with it:
 * the key with the fewest is first. What its key's cap keeps back stands behind everybody else.
 */
const ORDER = `
  select id, priority, concurrency_key, queued_at, (named and level > :perKey) as capped from (
    select s.id, s.priority, s.concurrency_key, s.queued_at, l.named, l.running + row_number() over (
      partition by s.queue_key order by s.priority desc, s.queued_at, s.id) as level
    from sessions s join queue_lanes l on l.queue_key = s.queue_key and l.priority = s.priority
    where s.queued_at is not null and s.holder is null)
  order by capped, priority desc, level, queued_at, id`

interface Waiting {
  id: string
  priority: number
  concurrency_key: string | null
  queued_at: number
}

/** The queries about waiting sessions. Called inside the store's transactions where they write. */
export class SqliteQueue {
  readonly #statement: (text: string) => Statement
  #order: { changes: number; perKey: number; places: Map<string, number> } | null = null

  constructor(db: Database) {
    const statements = new Map<string, Statement>()
    this.#statement = (text) => {
      let statement = statements.get(text)
      if (!statement) statements.set(text, (statement = db.prepare(text)))
      return statement
    }
  }

  /**
   * Highest priority first; within it the key with the fewest running; then the oldest. Looks at one lane, but for
   * those of keys at their cap, of which there are at most as many as run: the cost grows with the logarithm of what
   * waits and with what runs, not with the number of keys.
   */
  claim(holder: string, at: number, leaseUntil: number, { slots, perKey }: ClaimLimits): SessionRow | null {
    // Whoever held it is gone: it waits like the others. Its old run is kept out by the epoch.
    this.#statement(
      `update sessions set holder = null, lease_until = null
       where holder is not null and queued_at is not null and lease_until < ?`,
    ).run(at)
    const row = this.#statement(
      `update sessions set holder = :holder, lease_until = :leaseUntil, epoch = epoch + 1, version = version + 1,
         queued_at = null
       where id = (
         select s.id from sessions s
         join (select queue_key, priority from queue_lanes where named = 0 or running < :perKey
               order by priority desc, running, head_at limit 1) lane
           on s.queue_key = lane.queue_key and s.priority = lane.priority
         where s.queued_at is not null and s.holder is null order by s.queued_at, s.id limit 1)
       and (select count(*) from sessions where holder = :holder) < :slots
       returning *`,
    ).get({ holder, leaseUntil, perKey, slots })
    return row ? sessionFromRow(row as SessionsTable) : null
  }

  /** How many wait. One row. */
  depth(): number {
    return this.#totals().waiting
  }

  /** The whole order is made once for each change of the line that somebody asks about, and kept until the next. */
  place(session: SessionRow, perKey: number): QueuePlace {
    const { changes } = this.#totals()
    if (this.#order?.changes !== changes || this.#order.perKey !== perKey) {
      const ids = this.#statement(`select id from (${ORDER}) limit ${MAX_POSITION}`).all({ perKey }) as { id: string }[]
      this.#order = { changes, perKey, places: new Map(ids.map(({ id }, index) => [id, index + 1])) }
    }
    return {
      position: this.#order.places.get(session.id) ?? MAX_POSITION,
      capped: session.concurrencyKey !== null && this.#running(session) >= perKey,
    }
  }

  #totals(): { waiting: number; changes: number } {
    return this.#statement('select waiting, changes from queue_totals').get() as { waiting: number; changes: number }
  }

  #running({ principal, concurrencyKey }: SessionRow): number {
    const row = this.#statement(
      `select count(*) as n from sessions where queue_key = ? || char(31) || coalesce(?, '') and holder is not null`,
    ).get(principal, concurrencyKey) as { n: number }
    return row.n
  }

  view(limit: number, perKey: number): QueueView {
    const oldest = this.#statement('select min(queued_at) as at from sessions where queued_at is not null')
    const running = this.#statement('select count(*) as n from sessions where holder is not null')
    const keys = this.#statement(
      `select principal, concurrency_key as concurrencyKey, sum(queued_at is not null) as waiting,
         sum(holder is not null) as running, min(queued_at) as oldestQueuedAt
       from (select principal, concurrency_key, queued_at, holder from sessions where queued_at is not null
             union all
             select principal, concurrency_key, queued_at, holder from sessions
             where holder is not null and queued_at is null)
       group by principal, concurrency_key order by waiting desc, running desc, principal, concurrency_key
       limit ${MAX_KEYS}`,
    )
    const first = this.#statement(`${ORDER} limit :limit`).all({ limit, perKey }) as (Waiting & { capped: number })[]
    return {
      depth: this.depth(),
      running: (running.get() as { n: number }).n,
      oldestQueuedAt: (oldest.get() as { at: number | null }).at,
      keys: keys.all() as QueueKey[],
      first: first.map((row) => ({
        id: row.id,
        priority: row.priority,
        concurrencyKey: row.concurrency_key,
        queuedAt: row.queued_at,
        capped: row.capped === 1,
      })),
    }
  }

  /** Sessions that wait longer than they may, longest overdue first. */
  overdue(at: number, limit: number): string[] {
    const rows = this.#statement(
      `select id from sessions where queued_at is not null and max_queue_ms is not null
         and queued_at + max_queue_ms <= ? order by queued_at + max_queue_ms limit ?`,
    ).all(at, limit) as { id: string }[]
    return rows.map(({ id }) => id)
  }

  /** When the next of them will have waited too long. */
  nextOverdue(): number | null {
    const row = this.#statement(
      `select queued_at + max_queue_ms as at from sessions where queued_at is not null and max_queue_ms is not null
       order by queued_at + max_queue_ms limit 1`,
    ).get() as { at: number } | undefined
    return row?.at ?? null
  }
}
