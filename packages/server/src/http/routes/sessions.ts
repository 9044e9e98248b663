import { ApiError } from '@troupe/protocol/error'
import {
  CreateSession,
  DeletedSession,
  ListSessions,
  page,
  Prune,
  RetrieveQuery,
  Session,
  UpdateSession,
} from '@troupe/protocol/session'
import { z } from 'zod'
import { requireSession } from '../../sessions/change-session.ts'
import { createFromRequest } from '../../sessions/create-session.ts'
import { pruneExpired } from '../../sessions/expire-sessions.ts'
import { archiveSession, deleteSession, MAX_PRUNE, pruneSessions, updateSession } from '../../sessions/edit-session.ts'
import { sessionToWire } from '../../sessions/session-status.ts'
import type { SessionFilter } from '../../store/sessions.ts'
import type { SessionRow } from '../../store/session-row.ts'
import { createdAtRange, sessionIdOf, SessionParams } from '../params.ts'
import { metadataFilter, searchWords } from '../search-params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { callerGone, preferredWait, waitForIdle } from '../wait.ts'
import { streamSession } from '../stream.ts'

const tags = ['Sessions']

export function sessionRoutes(server: Server, context: RouteContext): void {
  const { sessions, cursors, clock } = context
  const { store } = sessions
  const wire = (session: SessionRow) => sessionToWire(store, session, clock.now(), context.about.admission())

  server.post(
    '/v1/sessions',
    {
      schema: {
        tags,
        summary: 'Create a session',
        description:
          'Answers when the session is on disk. With `initial_events` it is `running` at once. `Prefer: wait=N` answers when it is idle, or after N seconds.',
        body: CreateSession,
        response: replies(Session),
      },
    },
    async (request, reply) => {
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { session_id: string })
      const { session, converged } = effect
        ? { session: await requireSession(sessions, effect.session_id), converged: false }
        : await createFromRequest(sessions, request.caller, request.body, request.idempotency)
      if (request.body.stream) {
        // A stream is not stored. A key under which nothing was created would seem to be at work for ever.
        const claim = request.idempotency
        if (claim) await store.abandonIdempotent(claim.principal, claim.key)
        return streamSession(context, request, reply, session.id, { after: 0, until: null, deltas: [] })
      }
      const wait = preferredWait(request)
      const now = wait > 0 ? await waitForIdle(context, session.id, wait, callerGone(reply, context.closing)) : session
      return reply.send({ ...(await wire(now)), ...(converged && { converged }) })
    },
  )

  server.get(
    '/v1/sessions',
    {
      schema: {
        tags,
        summary: 'List sessions, newest first',
        description:
          '`metadata[KEY]=VALUE` (up to 16) finds those with such pairs; `q` those whose title, last prompt or result has all its words.',
        querystring: ListSessions,
        response: replies(page(Session)),
      },
    },
    async (request, reply) => {
      const query = request.query
      refuseLaterFilters(request.url)
      const order = query.order ?? 'desc'
      const filter: SessionFilter = {
        workspaceId: request.caller.workspaceId,
        statuses: query['statuses[]'],
        createdAt: createdAtRange(query),
        includeArchived: query.include_archived,
        externalId: query.external_id,
        agentId: query.agent_id,
        environmentId: query.environment_id,
        agentVersion: query.agent_version,
        deploymentId: query.deployment_id,
        stopReasons: query['stop_reason[]'],
        metadata: metadataFilter(request.url),
        words: searchWords(query.q),
      }
      const scope = ['sessions', order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await store.listSessions(filter, order, query.limit ?? 20, from)
      const at = (session: SessionRow | undefined, backward: boolean) =>
        session ? cursors.encode({ at: session.createdAt, id: session.id, backward }, scope) : null
      const backward = from?.backward ?? false
      return reply.send({
        data: await Promise.all(rows.map(wire)),
        next_page: backward || more ? at(rows.at(-1), false) : null,
        prev_page: from !== null && (!backward || more) ? at(rows[0], true) : null,
        ...(query.count && { total_count: await store.countSessions(filter) }),
      })
    },
  )

  server.get(
    '/v1/sessions/:session_id',
    {
      schema: {
        tags,
        summary: 'Retrieve a session',
        description:
          'Is it done, what did it say, what does it need, what did it cost. `wait_for=idle` answers when it is.',
        params: SessionParams,
        querystring: RetrieveQuery,
        response: replies(Session),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const { wait_for, timeout } = request.query
      const session = wait_for
        ? await waitForIdle(context, id, timeout ?? 60, callerGone(reply, context.closing))
        : await requireSession(sessions, id)
      return reply.send(await wire(session))
    },
  )

  server.post(
    '/v1/sessions/:session_id',
    {
      schema: {
        tags,
        summary: 'Change title, metadata or the place in the queue',
        params: SessionParams,
        body: UpdateSession,
        response: replies(Session),
      },
    },
    async (request, reply) =>
      reply.send(
        await wire(await updateSession(sessions, request.caller, sessionIdOf(request.params.session_id), request.body)),
      ),
  )

  server.post(
    '/v1/sessions/:session_id/archive',
    {
      schema: {
        tags,
        summary: 'Archive a session',
        description: 'Keeps the history and takes no more input. Refused while it runs.',
        params: SessionParams,
        response: replies(Session),
      },
    },
    async (request, reply) =>
      reply.send(await wire(await archiveSession(sessions, sessionIdOf(request.params.session_id)))),
  )

  server.delete(
    '/v1/sessions/:session_id',
    {
      schema: {
        tags,
        summary: 'Delete a session',
        description: 'Erases log, turns, transcript and its own workdir, for good. Refused while it runs.',
        params: SessionParams,
        response: replies(DeletedSession),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      // Done by a server that died before it could say so: the answer is still owed.
      if (request.replayEffect === null) await deleteSession(sessions, id, request.idempotency)
      return reply.send({ type: 'session_deleted', id })
    },
  )

  server.post(
    '/v1/sessions/prune',
    {
      schema: {
        tags,
        summary: 'Delete old sessions',
        description:
          'At most 10,000 a call; sessions that run, wait for an answer, or have `retention.keep` are never matched.',
        body: Prune,
        response: replies(z.object({ matched: z.number().int(), deleted: z.number().int() })),
      },
    },
    async (request, reply) => {
      const { older_than, statuses = ['idle', 'terminated'], dry_run = false } = request.body
      const { workspaceId } = request.caller
      if (older_than === 'expired')
        return reply.send(await pruneExpired(sessions, workspaceId, statuses, dry_run, MAX_PRUNE))
      const before = typeof older_than === 'number' ? clock.now() - older_than * 1000 : Date.parse(older_than)
      return reply.send(await pruneSessions(sessions, workspaceId, before, statuses, dry_run, 'updated'))
    },
  )
}

/** Filters that later versions bring. Ignored, they would answer with sessions that were not asked for. */
const LATER_FILTERS = /^memory_store_id$/

function refuseLaterFilters(url: string): void {
  const [, query = ''] = url.split('?', 2)
  for (const name of new URLSearchParams(query).keys())
    if (LATER_FILTERS.test(name))
      throw new ApiError('unsupported_feature', `The filter ${name} is not supported yet; leave it out.`)
}
