import type { EventRow } from './events.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { outboxFromRow, type OutboxTable } from './webhook-rows.ts'
import type { NewDelivery, WebhookStore } from './webhooks.ts'

type OutboxQueries = Pick<WebhookStore, 'readUntold' | 'fanOut' | 'readTold' | 'queueAgain'>

const COLUMNS = `id, endpoint_id, event_id, type, session_id, turn_id, thread_id, seq, occurred_at, status,
  attempt_count, claim, next_at, attempts, created_at, queued_at`

/** From the outbox to the endpoints' deliveries. */
export function outboxQueries({ statement, write, noteEffect }: SqliteAccess): OutboxQueries {
  const cursorNow = () => (statement('select n from webhook_cursor').get() as { n: number }).n

  const values = (delivery: NewDelivery, at: number) => [
    delivery.id,
    delivery.endpointId,
    delivery.eventId,
    delivery.type,
    delivery.sessionId,
    delivery.turnId,
    delivery.threadId,
    delivery.seq,
    delivery.occurredAt,
    at,
    at,
    at,
  ]

  return {
    readUntold: async (limit) => {
      const cursor = cursorNow()
      const rows = statement('select * from outbox where n > ? order by n limit ?').all(cursor, limit)
      return { cursor, rows: (rows as OutboxTable[]).map(outboxFromRow) }
    },

    fanOut: (cursor, to, deliveries, at) =>
      write(() => {
        const moved = statement('update webhook_cursor set n = ? where n = ?').run(to, cursor)
        if (moved.changes === 0) return false
        const hears = statement(`select 1 from webhook_endpoints where id = ? and status = 'enabled' and after_n < ?`)
        const insert = statement(
          `insert or ignore into webhook_deliveries (${COLUMNS})
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0, 0, ?, '[]', ?, ?)`,
        )
        for (const delivery of deliveries)
          if (hears.get(delivery.endpointId, delivery.n)) insert.run(...values(delivery, at))
        return true
      }),

    readTold: async (workspaceId, from, to, after, limit) => {
      const rows = statement(
        `select * from outbox where workspace_id = ? and created_at >= ? and created_at < ? and (created_at, n) > (?, ?)
         order by created_at, n limit ?`,
      ).all(workspaceId, from, to, after?.at ?? -1, after?.n ?? -1, limit)
      return (rows as OutboxTable[]).map(outboxFromRow)
    },

    queueAgain: (deliveries, at, effect) =>
      write(() => {
        const queue = statement(
          `insert into webhook_deliveries (${COLUMNS})
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0, 0, ?, '[]', ?, ?)
           on conflict (endpoint_id, event_id) do update set status = 'pending', attempt_count = 0,
             next_at = excluded.next_at, queued_at = excluded.queued_at, delivered_at = null
           where claimed_by is null`,
        )
        let queued = 0
        for (const delivery of deliveries) queued += queue.run(...values(delivery, at)).changes
        if (effect) noteEffect(effect)
        return queued
      }),
  }
}

/** Notes an event for those who are told of it; called inside its transaction. */
export function writeOutbox(
  statement: SqliteAccess['statement'],
  row: Pick<EventRow, 'sessionId' | 'seq' | 'type' | 'createdAt' | 'id' | 'turnId' | 'threadId'>,
): void {
  statement(
    `insert into outbox (workspace_id, session_id, seq, type, created_at, event_id, turn_id, thread_id)
     values ((select workspace_id from sessions where id = ?), ?, ?, ?, ?, ?, ?, ?)`,
  ).run(row.sessionId, row.sessionId, row.seq, row.type, row.createdAt, row.id, row.turnId, row.threadId)
}
