import type { Database, Statement } from 'better-sqlite3'
import { sessionFromRow } from './rows.ts'
import { cappedNow, hasCaps, isOver, KEPT_BACK, LANE_IS_FREE, type RunningCaps } from './running-caps.ts'
import type { SessionsTable } from './schema.ts'
import type { ClaimLimits } from './leases.ts'
import type { QueueKey, QueuePlace, QueueStore, QueueView } from './queue.ts'
import type { SessionRow } from './session-row.ts'

/** Places in the queue are told up to here. */
const MAX_POSITION = 1_000
/** Keys that a view of the queue lists. */
const MAX_KEYS = 100
/** How long a long line that has changed may still be shown as it was, in ms for each who waits. */
const STALE_MS = 0.02

/** Who waits, with `level`: how many of its key would run with it. What its key's cap keeps back says so. */
const LINE = `
  select id, workspace_id, principal, priority, concurrency_key, queued_at, level,
    case when named and level > :perKey then 'concurrency_key' end as cap from (
    select s.id, s.workspace_id, s.principal, s.priority, s.concurrency_key, s.queued_at, l.named, l.running + row_number() over (
      partition by s.queue_key order by s.priority desc, s.queued_at, s.id) as level
    from sessions s join queue_lanes l on l.queue_key = s.queue_key and l.priority = s.priority
    where s.queued_at is not null and s.holder is null)`

/**
 * In which order sessions would be taken if nothing that runs ended: the key with the fewest running is first. What its
 * key's cap, or the policy of who made it, keeps back stands behind everybody else.
 */
const order = (bounded: boolean) => `
  select id, workspace_id as workspaceId, priority, concurrency_key as concurrencyKey, queued_at as queuedAt, capped
  from (${bounded ? KEPT_BACK(LINE) : `select *, cap as capped from (${LINE})`})
  order by capped is not null, priority desc, level, queuedAt, id limit ${MAX_POSITION}`
const ORDER = order(false)
const BOUNDED_ORDER = order(true)

type Waiting = Omit<QueueView['first'][number], 'position'> & { workspaceId: string }

interface Line {
  first: Waiting[]
  keys: QueueKey[]
  /** By workspace. */
  sums: Map<string, { depth: number; running: number; oldestQueuedAt: number | null }>
  perKey: number
  /** What `queue_totals.changes` was, and the time, in ms, when this was made. */
  changes: number
  madeAt: number
  places: Map<string, number>
}

/** The queries about waiting sessions. Called inside the store's transactions where they write. */
export class SqliteQueue {
  readonly #statement: (text: string) => Statement
  #line: Line | null = null

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
   * waits and with what runs, not with the number of keys. While a key or workspace has as many running as its policy
   * lets, its lanes are passed over one by one, a few µs each.
   */
  claim(holder: string, at: number, leaseUntil: number, { slots, perKey }: ClaimLimits): SessionRow | null {
    // Whoever held it is gone: it waits like the others. Its old run is kept out by the epoch.
    this.#statement(
      `update sessions set holder = null, lease_until = null
       where holder is not null and queued_at is not null and lease_until < ?`,
    ).run(at)
    const caps = cappedNow(this.#statement)
    const bounded = caps.keys.length + caps.workspaces.length > 0
    const row = this.#statement(
      `update sessions set holder = :holder, lease_until = :leaseUntil, epoch = epoch + 1, version = version + 1,
         queued_at = null
       where id = (
         select s.id from sessions s
         join (select queue_key, priority from queue_lanes
               where (named = 0 or running < :perKey) ${bounded ? `and ${LANE_IS_FREE}` : ''}
               order by priority desc, running, head_at limit 1) lane
           on s.queue_key = lane.queue_key and s.priority = lane.priority
         where s.queued_at is not null and s.holder is null order by s.queued_at, s.id limit 1)
       and (select count(*) from sessions where holder = :holder) < :slots
       returning *`,
    ).get({ holder, leaseUntil, perKey, slots, ...(bounded && lists(caps)) })
    return row ? sessionFromRow(row as SessionsTable) : null
  }

  /** How many wait. One row. */
  depth(): number {
    return this.#totals().waiting
  }

  place(session: SessionRow, perKey: number): QueuePlace {
    return {
      position: this.#look(perKey).places.get(session.id) ?? MAX_POSITION,
      capped: this.#capOf(session, perKey),
    }
  }

  view(workspaceId: string, limit: number, perKey: number): QueueView {
    const { first, keys, sums, places } = this.#look(perKey)
    const mine = <T extends { workspaceId: string }>(entry: T) => entry.workspaceId === workspaceId
    return {
      ...(sums.get(workspaceId) ?? { depth: 0, running: 0, oldestQueuedAt: null }),
      keys: keys.filter(mine).slice(0, MAX_KEYS),
      first: first
        .filter(mine)
        .slice(0, limit)
        .map((entry) => ({ ...entry, position: places.get(entry.id)! })),
    }
  }

  /**
   * The line as it stands, made when somebody asks after it has changed. That costs about 1 µs for each who waits, so
   * where more than 1,000 do, what was made is good for a while: 20 ms for each 1,000.
   */
  #look(perKey: number): Line {
    const { waiting, changes } = this.#totals()
    const line = this.#line
    if (line?.perKey === perKey) {
      if (line.changes === changes) return line
      if (waiting > MAX_POSITION && performance.now() - line.madeAt < waiting * STALE_MS) return line
    }
    const first = this.#statement(hasCaps(this.#statement) ? BOUNDED_ORDER : ORDER).all({ perKey }) as Waiting[]
    this.#line = {
      perKey,
      changes,
      madeAt: performance.now(),
      first,
      places: new Map(first.map(({ id }, index) => [id, index + 1])),
      ...this.#sums(),
    }
    return this.#line
  }

  #sums(): Pick<Line, 'keys' | 'sums'> {
    const keys = this.#statement(
      `select workspace_id as workspaceId, principal, concurrency_key as concurrencyKey, sum(queued_at is not null) as waiting,
         sum(holder is not null) as running, min(queued_at) as oldestQueuedAt
       from (select workspace_id, principal, concurrency_key, queued_at, holder from sessions where queued_at is not null
             union all
             select workspace_id, principal, concurrency_key, queued_at, holder from sessions
             where holder is not null and queued_at is null)
       group by workspace_id, principal, concurrency_key
       order by waiting desc, running desc, principal, concurrency_key`,
    ).all() as QueueKey[]
    const sums: Line['sums'] = new Map()
    for (const { workspaceId, waiting, running, oldestQueuedAt } of keys) {
      const sum = sums.get(workspaceId) ?? { depth: 0, running: 0, oldestQueuedAt: null }
      const oldest = Math.min(sum.oldestQueuedAt ?? Infinity, oldestQueuedAt ?? Infinity)
      sums.set(workspaceId, {
        depth: sum.depth + waiting,
        running: sum.running + running,
        oldestQueuedAt: oldest === Infinity ? null : oldest,
      })
    }
    return { keys, sums }
  }

  #totals(): { waiting: number; changes: number } {
    return this.#statement('select waiting, changes from queue_totals').get() as { waiting: number; changes: number }
  }

  #capOf(session: SessionRow, perKey: number): QueuePlace['capped'] {
    const { principal, concurrencyKey } = session
    if (concurrencyKey !== null) {
      const row = this.#statement(
        `select count(*) as n from sessions where queue_key = ? || char(31) || ? and holder is not null`,
      ).get(principal, concurrencyKey) as { n: number }
      if (row.n >= perKey) return 'concurrency_key'
    }
    return isOver(cappedNow(this.#statement), session) ? 'policy' : null
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

const lists = ({ keys, workspaces }: RunningCaps) => ({
  keys: JSON.stringify(keys),
  workspaces: JSON.stringify(workspaces),
})

/** The queries of the line as the store's contract has them. */
export function queueQueries(queue: SqliteQueue): QueueStore {
  return {
    async queuePlace(session, perKey) {
      return queue.place(session, perKey)
    },

    async queueDepth() {
      return queue.depth()
    },

    async readQueue(workspaceId, limit, perKey) {
      return queue.view(workspaceId, limit, perKey)
    },

    async findOverdue(at, limit) {
      return { ids: queue.overdue(at, limit), next: queue.nextOverdue() }
    },
  }
}
