import { isWebhookType } from '@troupe/protocol/webhook'
import type { EventRow, EventStore, MessageRow } from './events.ts'
import { createdAt, sql } from './query.ts'
import { eventFromRow } from './rows.ts'
import type { EventsTable } from './schema.ts'
import type { SessionChange } from './session-change.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { outsideOfThreads } from './sqlite-threads.ts'
import { writeOutbox } from './webhook-outbox.ts'

/** Characters of event bodies in one page of a tail, about: what a reader that stalls keeps in memory. */
const MAX_PAGE_CHARS = 1_000_000

/** The events of a change, numbered from `firstSeq`; called inside its transaction. */
export function writeEvents(
  { statement }: Pick<SqliteAccess, 'statement'>,
  change: SessionChange,
  firstSeq: number,
): EventRow[] {
  const insert = statement(
    `insert into events (session_id, seq, id, repeats, type, turn_id, thread_id, created_at, processed_at, body)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  return (change.events ?? []).map((event, index) => {
    const row: EventRow = {
      sessionId: change.sessionId,
      seq: firstSeq + index,
      id: event.id,
      repeats: event.repeats ?? null,
      type: event.type,
      turnId: event.turnId,
      threadId: event.threadId,
      createdAt: change.at,
      processedAt: event.processedAt,
      body: JSON.stringify(event.body),
    }
    const { sessionId, seq, id, repeats, type, turnId, threadId, createdAt, processedAt, body } = row
    insert.run(sessionId, seq, id, repeats, type, turnId, threadId, createdAt, processedAt, body)
    if (isWebhookType(type)) writeOutbox(statement, row)
    return row
  })
}

/** The SDK's messages of a change, numbered from `first`; called inside its transaction. */
export function writeMessages(
  { statement }: Pick<SqliteAccess, 'statement'>,
  change: SessionChange,
  first: number,
): void {
  if (!change.messages) return
  const insert = statement('insert into messages (session_id, n, turn_id, created_at, body) values (?, ?, ?, ?, ?)')
  for (const [index, message] of change.messages.entries())
    insert.run(change.sessionId, first + index, message.turnId, change.at, message.body)
}

export function sqliteEvents({ statement, all }: SqliteAccess): EventStore {
  /** The newest form of an event, under the first form's `seq`. Only inputs are ever repeated. */
  const newest = (first: EventRow): EventRow => {
    if (first.processedAt !== null) return first
    const last = statement('select * from events where session_id = ? and repeats = ? order by seq desc limit 1').get(
      first.sessionId,
      first.seq,
    ) as EventsTable | undefined
    return last ? { ...eventFromRow(last), seq: first.seq, repeats: null, createdAt: first.createdAt } : first
  }
  return {
    async readEvents(sessionId, after, limit) {
      const rows = statement('select * from events where session_id = ? and seq > ? order by seq limit ?')
      const page: EventRow[] = []
      let chars = 0
      for (const row of rows.iterate(sessionId, after, limit) as IterableIterator<EventsTable>) {
        page.push(eventFromRow(row))
        chars += row.body.length
        if (chars > MAX_PAGE_CHARS) break
      }
      return page
    },

    async listEvents(sessionId, filter, order, limit) {
      let query = sql.selectFrom('events').selectAll().where('session_id', '=', sessionId).where('repeats', 'is', null)
      if (filter.afterSeq !== undefined) query = query.where('seq', '>', filter.afterSeq)
      if (filter.beforeSeq !== undefined) query = query.where('seq', '<', filter.beforeSeq)
      if (filter.types) query = query.where('type', 'in', filter.types)
      if (filter.threadId) query = query.where('thread_id', '=', filter.threadId)
      else if (filter.threadId === null) query = query.where(outsideOfThreads)
      if (filter.turnId) query = query.where('turn_id', '=', filter.turnId)
      query = query.where((eb) => eb.and(createdAt(eb, filter.createdAt)))
      const rows = all<EventsTable>(query.orderBy('seq', order).limit(limit + 1))
      const page = rows.slice(0, limit).map((row) => newest(eventFromRow(row)))
      return { rows: page, more: rows.length > limit }
    },

    async readEvent(sessionId, eventId) {
      const row = statement('select * from events where session_id = ? and id = ? order by seq limit 1')
      const found = row.get(sessionId, eventId) as EventsTable | undefined
      return found ? newest(eventFromRow(found)) : null
    },

    async readMessages(sessionId, after, limit) {
      const rows = statement(
        'select n, turn_id as turnId, created_at as createdAt, body from messages where session_id = ? and n > ? order by n limit ?',
      )
      return rows.all(sessionId, after, limit) as MessageRow[]
    },
  }
}
