import type { SqliteAccess } from './sqlite-access.ts'
import { deliveryFromRow, type DeliveriesTable } from './webhook-rows.ts'
import type { Attempt, AttemptNote, DeliveryFilter, WebhookStore } from './webhooks.ts'

type DeliveryQueries = Pick<
  WebhookStore,
  'nextDue' | 'claimDue' | 'note' | 'releaseClaims' | 'readDelivery' | 'listDeliveries' | 'purge'
>

/** Attempts kept of each delivery. */
const ATTEMPTS_KEPT = 20

/** Deliveries: claimed, noted, listed, dropped. */
export function deliveryQueries({ statement, write }: SqliteAccess): DeliveryQueries {
  /** Disables an endpoint and has the others told. */
  const disable = (
    endpointId: string,
    queuedAt: number,
    { disable: reason, disabledEventId, attempt }: AttemptNote,
  ) => {
    const { changes } = statement(
      `update webhook_endpoints set status = 'disabled', disabled_reason = ?, disabled_at = ?, updated_at = ?
       where id = ? and status = 'enabled'
         and (? <> 'failing' or (enabled_at <= ? and coalesce(last_delivered_at, -1) < ?))`,
    ).run(reason, attempt.at, attempt.at, endpointId, reason, queuedAt, queuedAt)
    if (changes > 0)
      statement(
        `insert into outbox (workspace_id, session_id, seq, type, created_at, event_id)
         values ((select workspace_id from webhook_endpoints where id = ?), ?, 0, 'webhook_endpoint.disabled', ?, ?)`,
      ).run(endpointId, endpointId, attempt.at, disabledEventId)
    return changes > 0
  }

  return {
    nextDue: async () => {
      const row = statement(
        `select min(next) as next from
           (select (select min(next_at) from webhook_deliveries d where d.endpoint_id = e.id and d.status = 'pending')
              as next from webhook_endpoints e where e.status = 'enabled')`,
      ).get() as { next: number | null }
      return row.next
    },

    claimDue: ({ holder, at, until }, perEndpoint, inFlight) =>
      write(() => {
        const endpoints = statement(`select id from webhook_endpoints where status = 'enabled'`).all() as {
          id: string
        }[]
        const claim = statement(
          `update webhook_deliveries set claim = claim + 1, claimed_by = ?, next_at = ?, attempt_count = attempt_count + 1
           where id in (select id from webhook_deliveries where endpoint_id = ? and status = 'pending' and next_at <= ?
                        order by next_at limit ?)
           returning *`,
        )
        return endpoints.flatMap(({ id }) => {
          const free = perEndpoint - (inFlight[id] ?? 0)
          return free > 0 ? (claim.all(holder, until, id, at, free) as DeliveriesTable[]).map(deliveryFromRow) : []
        })
      }),

    note: (note) =>
      write(() => {
        const row = statement(
          `select endpoint_id, queued_at, attempts from webhook_deliveries
           where id = ? and claim = ? and claimed_by is not null`,
        ).get(note.id, note.claim) as Pick<DeliveriesTable, 'endpoint_id' | 'queued_at' | 'attempts'> | undefined
        if (!row) return false
        const attempts = [...(JSON.parse(row.attempts) as Attempt[]), note.attempt].slice(-ATTEMPTS_KEPT)
        const deliveredAt = note.status === 'delivered' ? note.attempt.at : null
        statement(
          `update webhook_deliveries set claimed_by = null, status = ?, next_at = ?, attempts = ?, response_body = ?,
             delivered_at = ? where id = ?`,
        ).run(note.status, note.nextAt, JSON.stringify(attempts), note.responseBody, deliveredAt, note.id)
        if (deliveredAt !== null)
          statement('update webhook_endpoints set last_delivered_at = ? where id = ?').run(deliveredAt, row.endpoint_id)
        return note.disable !== null && disable(row.endpoint_id, row.queued_at, note)
      }),

    releaseClaims: (which, holder, at) =>
      write(() => {
        // An attempt that was cut short is not one that failed.
        statement(
          `update webhook_deliveries set claimed_by = null, next_at = ?, attempt_count = max(attempt_count - 1, 0)
           where status = 'pending' and claimed_by is not null and (claimed_by = ?) = ?`,
        ).run(at, holder, which === 'of' ? 1 : 0)
      }),

    readDelivery: async (endpointId, id) => {
      const row = statement('select * from webhook_deliveries where id = ? and endpoint_id = ?').get(id, endpointId)
      return row ? deliveryFromRow(row as DeliveriesTable) : null
    },

    listDeliveries: async (endpointId, filter, order, limit, from) => {
      const { clauses, values } = where(filter)
      clauses.unshift('endpoint_id = ?')
      values.unshift(endpointId)
      if (from) {
        clauses.push(`(created_at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
        values.push(from.at, from.id)
      }
      const direction = order === 'asc' ? 'asc' : 'desc'
      const rows = statement(
        `select * from webhook_deliveries ${index(filter)} where ${clauses.join(' and ')}
         order by created_at ${direction}, id ${direction} limit ?`,
      ).all(...values, limit + 1) as DeliveriesTable[]
      return { rows: rows.slice(0, limit).map(deliveryFromRow), more: rows.length > limit }
    },

    purge: (before, limit) =>
      write(() => {
        const endpoints = statement('select id, status from webhook_endpoints').all() as {
          id: string
          status: string
        }[]
        const drop = statement(
          `delete from webhook_deliveries where id in
             (select id from webhook_deliveries where endpoint_id = ? and created_at < ?
                and (? or status <> 'pending') order by created_at limit ?)`,
        )
        let dropped = 0
        for (const { id, status } of endpoints) {
          if (dropped === limit) break
          const deleted = status === 'deleted'
          const until = deleted ? Number.MAX_SAFE_INTEGER : before
          const { changes } = drop.run(id, until, status === 'enabled' ? 0 : 1, limit - dropped)
          dropped += changes
          if (deleted && dropped < limit) statement('delete from webhook_endpoints where id = ?').run(id)
        }
        return dropped
      }),
  }
}

/**
 * What failed or waits is little among what was delivered, and so is what one session told: found by indexes of their
 * own, which the planner would not choose without statistics.
 */
const index = ({ statuses, sessionId }: DeliveryFilter): string => {
  if (sessionId !== undefined) return 'indexed by webhook_deliveries_session'
  return statuses?.includes('delivered') === false ? 'indexed by webhook_deliveries_open' : ''
}

function where({ statuses, types, sessionId, createdAt }: DeliveryFilter) {
  const clauses: string[] = []
  const values: (string | number)[] = []
  const add = (clause: string, ...more: (string | number)[]) => {
    clauses.push(clause)
    values.push(...more)
  }
  const among = (column: string, list: string[]) => add(`${column} in (${list.map(() => '?').join(', ')})`, ...list)
  if (statuses) among('status', statuses)
  if (statuses?.includes('delivered') === false) add(`status <> 'delivered'`)
  if (types) among('type', types)
  if (sessionId !== undefined) add('session_id = ?', sessionId)
  if (createdAt?.gt !== undefined) add('created_at > ?', createdAt.gt)
  if (createdAt?.gte !== undefined) add('created_at >= ?', createdAt.gte)
  if (createdAt?.lt !== undefined) add('created_at < ?', createdAt.lt)
  if (createdAt?.lte !== undefined) add('created_at <= ?', createdAt.lte)
  return { clauses, values }
}
