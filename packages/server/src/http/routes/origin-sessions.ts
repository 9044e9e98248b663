import { ApiError } from '@troupe/protocol/error'
import { idToUuid } from '@troupe/protocol/ids'
import { CleanupResponse, ExecuteResponse, OriginSession, OriginStatus } from '@troupe/protocol/origin'
import { once } from 'node:events'
import { z } from 'zod'
import { deleteSession, MAX_PRUNE, pruneSessions } from '../../sessions/edit-session.ts'
import { OriginRefusal } from '../../sessions/execute.ts'
import { originSession, originStatus } from '../../sessions/origin-view.ts'
import * as check from '../fastapi.ts'
import { errors, findSession, originErrors, Params, query, tags } from '../origin-answers.ts'
import type { RouteContext, Server } from '../server.ts'

/** Sessions read from the store at once. */
const PAGE = 500

/** Those of the origin's routes that list and delete sessions. */
export function originSessionRoutes(server: Server, context: RouteContext): void {
  const { sessions, clock } = context
  const { store } = sessions
  const answer = originErrors(server)

  server.get(
    '/sessions',
    {
      schema: {
        tags,
        summary: 'All sessions, oldest first',
        querystring: z.looseObject({
          limit: z.string().optional(),
          status: z.string().optional(),
          after: z.string().optional().describe('A session id; only later ones'),
        }),
        response: { 200: z.array(OriginSession), ...errors },
      },
      errorHandler: answer,
    },
    async (request, reply) => {
      const limit = query(request.query, 'limit', check.integer(1, null)) ?? Infinity
      const status = query(request.query, 'status', check.oneOf(OriginStatus.options))
      const { after } = request.query
      const { workspaceId } = request.caller
      const start = after === undefined ? null : await findSession(store, after, workspaceId)
      const headers = reply.getHeaders()
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, { ...(headers as Record<string, string>), 'content-type': 'application/json; charset=utf-8' })
      // Written page by page: any number of sessions costs the memory of one page.
      let position = start ? { at: start.createdAt, id: start.id, backward: false } : null
      let written = 0
      let text = '['
      try {
        for (let more = true; more && written < limit && !raw.destroyed;) {
          const found = await store.listSessions({ workspaceId, includeArchived: true }, 'asc', PAGE, position)
          more = found.more
          for (const session of found.rows) {
            position = { at: session.createdAt, id: session.id, backward: false }
            if ((status !== undefined && originStatus(session) !== status) || written >= limit) continue
            text += `${written === 0 ? '' : ','}${JSON.stringify(originSession(session))}`
            written++
          }
          if (text !== '' && !raw.write(text) && !raw.destroyed) await once(raw, 'drain').catch(() => undefined)
          text = ''
        }
        raw.end(`${text}]`)
      } catch (error) {
        // The status is sent already: a list that breaks off must not look whole.
        context.logger.error({ req: request.id, err: error }, 'a list broke off')
        raw.destroy()
      }
      return reply
    },
  )

  server.delete(
    '/sessions/cleanup',
    {
      schema: {
        tags,
        summary: 'Delete sessions that ended long ago',
        querystring: z.looseObject({ max_age_hours: z.string().optional().describe('Default 24') }),
        response: { 200: CleanupResponse, ...errors },
      },
      errorHandler: answer,
    },
    async (request, reply) => {
      const { workspaceId } = request.caller
      const hours = query(request.query, 'max_age_hours', check.integer(0, null)) ?? 24
      const before = clock.now() - hours * 3_600_000
      let removed = 0
      for (;;) {
        const { matched, deleted } = await pruneSessions(
          sessions,
          workspaceId,
          before,
          ['idle', 'terminated'],
          false,
          'ended',
        )
        removed += deleted
        if (matched < MAX_PRUNE || deleted === 0) break
      }
      return reply.send({ removed, message: `Cleaned up ${removed} old sessions` })
    },
  )

  server.delete(
    '/sessions/:session_id',
    {
      schema: { tags, summary: 'Delete a session', params: Params, response: { 200: ExecuteResponse, ...errors } },
      errorHandler: answer,
    },
    async (request, reply) => {
      const session = await findSession(store, request.params.session_id)
      const id = idToUuid(session.id)
      // One that waits for an answer is idle in /v1 and running here.
      if (originStatus(session) === 'running') throw new OriginRefusal(`Session ${id} is currently running`)
      try {
        await deleteSession(sessions, session.id)
      } catch (error) {
        if (error instanceof ApiError && error.code === 'session_running')
          throw new OriginRefusal(`Session ${id} is currently running`)
        throw error
      }
      return reply.send({
        session_id: id,
        status: originStatus(session),
        message: `Session ${id} deleted successfully`,
      })
    },
  )
}
