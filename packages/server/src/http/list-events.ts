import type { ListEvents } from '@troupe/protocol/session'
import type { FastifyReply } from 'fastify'
import { eventJson } from '../log/wire.ts'
import type { EventFilter } from '../store/events.ts'
import { createdAtRange } from './params.ts'
import type { RouteContext } from './server.ts'
import { typesFor } from './strict.ts'

/** Answers a page of a session's events, or of one of its threads'. A cursor is good for that list and its filters. */
export async function answerEvents(
  { sessions, cursors }: RouteContext,
  reply: FastifyReply,
  sessionId: string,
  query: ListEvents,
  thread: Pick<EventFilter, 'threadId'> = {},
): Promise<FastifyReply> {
  const order = query.order ?? 'asc'
  const filter: EventFilter = {
    types: typesFor(reply.request.strict, query['types[]']),
    turnId: query.turn_id,
    afterSeq: query.after_seq,
    beforeSeq: query.before_seq,
    createdAt: createdAtRange(query),
    ...thread,
  }
  const scope = ['events', sessionId, order, filter]
  const from = cursors.decode(query.page, scope)
  const place = from && { [order === 'asc' ? 'afterSeq' : 'beforeSeq']: from.at }
  const { rows, more } = await sessions.store.listEvents(sessionId, { ...filter, ...place }, order, query.limit ?? 100)
  const last = rows.at(-1)
  const next = more && last ? cursors.encode({ at: last.seq, id: last.id, backward: false }, scope) : null
  // The stored text is passed on as it is: a page of 1,000 events is not parsed to be written again.
  const body = `{"data":[${rows.map(eventJson).join(',')}],"next_page":${JSON.stringify(next)},"prev_page":null}`
  return reply
    .type('application/json')
    .serializer((text: string) => text)
    .send(body)
}
