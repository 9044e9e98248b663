import { ListEvents, page, StreamQuery } from '@troupe/protocol/session'
import { DELTA_TYPES, type DeltaType, SessionEvent } from '@troupe/protocol/event'
import { ListThreads, Thread } from '@troupe/protocol/thread'
import { z } from 'zod'
import { archiveThread } from '../../sessions/archive-thread.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { primaryToWire, requireThread, subagentUsage, threadToWire } from '../../sessions/threads.ts'
import type { SessionRow } from '../../store/session-row.ts'
import type { ThreadRow, ThreadStatus } from '../../store/threads.ts'
import { answerEvents } from '../list-events.ts'
import { positionOf } from '../stream-position.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { streamSession } from '../stream.ts'

const tags = ['Threads']
const ThreadParams = SessionParams.extend({ thread_id: z.string().max(256) })

/** A thread's stream without a cursor tells the thread from its start when it ended at most this long ago, in ms. */
const MISSED_MS = 60_000

export function threadRoutes(server: Server, context: RouteContext): void {
  const { sessions, cursors, clock } = context
  const { store } = sessions

  server.get(
    '/v1/sessions/:session_id/threads',
    {
      schema: {
        tags,
        summary: "List a session's threads",
        description: 'The primary thread, then the subagents. Oldest first unless `order=desc`.',
        params: SessionParams,
        querystring: ListThreads,
        response: replies(page(Thread)),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const session = await requireSession(sessions, id)
      const { query } = request
      const order = query.order ?? 'asc'
      const wanted = query['statuses[]']
      const scope = ['threads', id, order, wanted]
      const from = cursors.decode(query.page, scope)
      const limit = query.limit ?? 20
      // The primary thread is the oldest. It has no row, so the page that holds it has room for one less.
      const primary = wanted === undefined || wanted.includes(session.status) ? [session] : []
      const first = order === 'asc' && !from ? primary : []
      const statuses = wanted?.filter((status): status is ThreadStatus => status !== 'rescheduling')
      const after = from && from.id !== '' ? from : null
      const { rows, more } =
        limit === first.length
          ? { rows: [], more: true }
          : await store.listThreads(id, statuses, order, limit - first.length, after)
      const last = order === 'desc' && !more && rows.length < limit ? primary : []
      const end = rows.at(-1)
      const left = more || (order === 'desc' && primary.length > 0 && last.length === 0)
      const next = end ? { at: end.createdAt, id: end.id } : { at: 0, id: '' }
      return reply.send({
        data: [
          ...(await primaries(first)),
          ...rows.map((row) => threadToWire(session, row, clock.now())),
          ...(await primaries(last)),
        ],
        next_page: left ? cursors.encode({ ...next, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    '/v1/sessions/:session_id/threads/:thread_id',
    { schema: { tags, summary: 'Retrieve a thread', params: ThreadParams, response: replies(Thread) } },
    async (request, reply) => {
      const { session, thread } = await found(request.params)
      return reply.send(thread ? threadToWire(session, thread, clock.now()) : (await primaries([session]))[0]!)
    },
  )

  server.post(
    '/v1/sessions/:session_id/threads/:thread_id/archive',
    {
      schema: {
        tags,
        summary: 'Archive a thread',
        description: 'It keeps its history and is terminated. Refused while it runs.',
        params: ThreadParams,
        response: replies(Thread),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const thread = await archiveThread(sessions, id, request.params.thread_id)
      return reply.send(threadToWire(await requireSession(sessions, id), thread, clock.now()))
    },
  )

  server.get(
    '/v1/sessions/:session_id/threads/:thread_id/events',
    {
      schema: {
        tags,
        summary: "List a thread's events",
        description:
          "A subagent's own events; of the primary thread what is not inside of a subagent. Numbers are the session's.",
        params: ThreadParams,
        querystring: ListEvents,
        response: replies(page(SessionEvent)),
      },
    },
    async (request, reply) => {
      const { session, thread } = await found(request.params)
      return answerEvents(context, reply, session.id, request.query, { threadId: thread?.id ?? null })
    },
  )

  // The hosted API's spelling, and the one that sessions have.
  for (const path of ['stream', 'events/stream'])
    server.get(
      `/v1/sessions/:session_id/threads/:thread_id/${path}`,
      {
        schema: {
          tags,
          summary: "Stream a thread's events",
          description:
            'As the stream of a session. Without a cursor: live, and from its start when the thread runs or ended within the last minute.',
          params: ThreadParams,
          querystring: StreamQuery,
          response: { ...replies(z.string().describe('text/event-stream; each frame holds one SessionEvent')) },
        },
      },
      async (request, reply) => {
        const { session, thread } = await found(request.params)
        const { query } = request
        const header = request.headers['last-event-id']
        const from = typeof header === 'string' && header !== '' ? header : query.after
        const after =
          from !== undefined
            ? await positionOf(store, session, from)
            : query.from === 'start'
              ? 0
              : await liveStart(session, thread)
        const deltas = (query['event_deltas[]'] ?? []).filter((type): type is DeltaType =>
          DELTA_TYPES.includes(type as DeltaType),
        )
        return await streamSession(context, request, reply, session.id, {
          after,
          until: query.until ?? null,
          // Only what the session's own agent writes is previewed.
          deltas: thread ? [] : deltas,
          threadId: thread?.id ?? null,
        })
      },
    )

  const found = (params: { session_id: string; thread_id: string }) =>
    requireThread(sessions, sessionIdOf(params.session_id), params.thread_id)

  async function liveStart(session: SessionRow, thread: ThreadRow | null): Promise<number> {
    const filter = thread ? { threadId: thread.id } : session.currentTurnId && { turnId: session.currentTurnId }
    const over = thread !== null && thread.status !== 'running' && clock.now() - thread.updatedAt > MISSED_MS
    if (!filter || over) return session.lastSeq
    const { rows } = await store.listEvents(session.id, filter, 'asc', 1)
    return rows[0] ? rows[0].seq - 1 : session.lastSeq
  }

  async function primaries(session: SessionRow[]) {
    return Promise.all(session.map(async (row) => primaryToWire(row, await subagentUsage(store, row.id), clock.now())))
  }
}
