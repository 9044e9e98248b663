import { ApiError } from '@troupe/protocol/error'
import { idToUuid, parseId } from '@troupe/protocol/ids'
import { ExecuteRequest, ExecuteResponse, OriginInfo, StatusResponse } from '@troupe/protocol/origin'
import { z } from 'zod'
import { cancelSession } from '../../sessions/cancel-turn.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { execute, OriginRefusal } from '../../sessions/execute.ts'
import { originError, originMessage, originStatus } from '../../sessions/origin-view.ts'
import { requiredActions } from '../../sessions/session-status.ts'
import type { SessionRow } from '../../store/session-row.ts'
import * as check from '../fastapi.ts'
import { errors, findSession, notFound, originErrors, Params, query, tags, unprocessable } from '../origin-answers.ts'
import { parseExecute } from '../parse-execute.ts'
import type { RouteContext, Server } from '../server.ts'
import { originSessionRoutes } from './origin-sessions.ts'

/** Messages read from the store at once. */
const PAGE = 500

/** The origin API: seven routes, with and without trailing slash, answering exactly as the article's server does. */
export function originRoutes(server: Server, context: RouteContext): void {
  const { sessions, about } = context
  const { store } = sessions
  const answer = originErrors(server)

  server.get(
    '/',
    { schema: { tags, summary: 'What this is', response: { 200: OriginInfo } } },
    async (request, reply) => {
      if (context.console.wantsPage(request)) return context.console.page(request, reply)
      return reply.header('vary', 'accept').send({
        message: 'Claude Agent SDK API',
        version: '1.0.0',
        endpoints: {
          execute: 'POST /execute/ - Execute a new agent session',
          status: 'GET /status/{session_id} - Get session status',
          cancel: 'POST /cancel/{session_id} - Cancel a running session',
          delete: 'DELETE /sessions/{session_id} - Delete a specific session',
          sessions: 'GET /sessions/ - List all sessions',
          cleanup: 'DELETE /sessions/cleanup - Cleanup old sessions',
        },
        server: { name: 'troupe', version: about.version, docs: '/docs', api: '/v1', model: about.model.note },
      })
    },
  )

  server.post(
    '/execute',
    {
      schema: {
        tags,
        summary: 'Start a session, or resume one',
        body: ExecuteRequest,
        response: { 200: ExecuteResponse, ...errors },
      },
      // The schema documents the body; FastAPI's own words for what is wrong with it are made below.
      validatorCompiler: () => () => true,
      // FastAPI answers a body that cannot be parsed with 422 as well.
      errorHandler: (error, request, reply) => {
        const body = (error as { code?: string }).code
        if (body === 'FST_ERR_CTP_INVALID_JSON_BODY' || body === 'FST_ERR_CTP_EMPTY_JSON_BODY')
          return unprocessable(reply, [
            {
              type: 'json_invalid',
              loc: ['body', 0],
              msg: 'JSON decode error',
              input: {},
              ctx: { error: 'Expecting value' },
            },
          ])
        return answer(error, request, reply)
      },
    },
    async (request, reply) => {
      const wanted = parseExecute(request.body)
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { session_id: string })
      const session = effect
        ? await requireSession(sessions, effect.session_id)
        : await execute(sessions, request.caller, wanted, request.idempotency)
      const id = idToUuid(session.id)
      return reply.send({
        session_id: id,
        status: 'pending',
        message: `Session ${id} ${wanted.resumeSessionId === undefined ? 'started' : 'resumed'} successfully`,
      })
    },
  )

  server.get(
    '/status/:session_id',
    {
      schema: {
        tags,
        summary: "A session's status, messages and result",
        params: Params,
        querystring: z.looseObject({ after_message: z.string().optional().describe('Only messages after this many') }),
        response: { 200: StatusResponse, ...errors },
      },
      // What pollers ask most: id and number are checked below, once.
      validatorCompiler: () => () => true,
      errorHandler: answer,
    },
    async (request, reply) => {
      const after = query(request.query, 'after_message', check.integer(0, null)) ?? 0
      const id = parseId('sesn', request.params.session_id)
      if (id === null) throw notFound(request.params.session_id)
      const text = await sessions.log.projections.text(id, `origin status ${after}`, async () =>
        statusText(await findSession(store, request.params.session_id), after),
      )
      return reply
        .type('application/json; charset=utf-8')
        .serializer((ready: string) => ready)
        .send(text as never)
    },
  )

  server.post(
    '/cancel/:session_id',
    {
      schema: {
        tags,
        summary: 'Cancel a running session',
        params: Params,
        response: { 200: ExecuteResponse, ...errors },
      },
      errorHandler: answer,
    },
    async (request, reply) => {
      const session = await findSession(store, request.params.session_id)
      const given = idToUuid(session.id)
      try {
        await cancelSession(sessions, session.id)
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 'session_not_running') throw error
        const now = await requireSession(sessions, session.id)
        throw new OriginRefusal(`Session ${given} is not running (status: ${originStatus(now)})`)
      }
      return reply.send({ session_id: given, status: 'cancelled', message: `Session ${given} cancelled successfully` })
    },
  )

  originSessionRoutes(server, context)

  async function statusText(session: SessionRow, after: number): Promise<string> {
    const messages = []
    for (let n = after, more = true; more;) {
      const rows = await store.readMessages(session.id, n, PAGE)
      messages.push(...rows.map(originMessage))
      n = rows.at(-1)?.n ?? n
      more = rows.length === PAGE
    }
    const result = session.originResult
    return JSON.stringify({
      session_id: idToUuid(session.id),
      status: originStatus(session),
      messages,
      result,
      error: originError(session),
      duration_ms: typeof result?.duration_ms === 'number' ? result.duration_ms : null,
      total_cost_usd: result ? Number(session.usage.costUsd.toFixed(10)) : null,
      required_actions: await requiredActions(store, session),
      model_source: session.options.modelSource,
    })
  }
}
