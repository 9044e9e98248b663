import { ApiError, ErrorBody } from '@troupe/protocol/error'
import { idToUuid, parseId } from '@troupe/protocol/ids'
import {
  CleanupResponse,
  ExecuteRequest,
  ExecuteResponse,
  OriginInfo,
  OriginSession,
  OriginStatus,
  OriginValidationError,
  StatusResponse,
} from '@troupe/protocol/origin'
import { once } from 'node:events'
import { z } from 'zod'
import { cancelSession } from '../../sessions/cancel-turn.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { deleteSession, MAX_PRUNE, pruneSessions } from '../../sessions/edit-session.ts'
import { type Execute, execute, OriginRefusal } from '../../sessions/execute.ts'
import { originError, originMessage, originSession, originStatus } from '../../sessions/origin-view.ts'
import { requiredActions } from '../../sessions/session-status.ts'
import type { SessionRow } from '../../store/session-row.ts'
import * as check from '../fastapi.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Origin API']
const Params = z.object({ session_id: z.string().max(256) })
const errors = {
  400: ErrorBody,
  401: ErrorBody,
  403: ErrorBody,
  404: ErrorBody,
  413: ErrorBody,
  415: ErrorBody,
  422: OriginValidationError,
  429: ErrorBody,
  500: ErrorBody,
  503: ErrorBody,
}
const MODES = ['default', 'acceptEdits', 'plan', 'bypassPermissions'] as const
/** Messages or sessions read from the store at once. */
const PAGE = 500

/** The origin API: seven routes, with and without trailing slash, answering exactly as the article's server does. */
export function originRoutes(server: Server, context: RouteContext): void {
  const { sessions, about, clock } = context
  const { store } = sessions

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
        statusText(await find(request.params.session_id), after),
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
      const session = await find(request.params.session_id)
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
      const start = after === undefined ? null : await find(after, workspaceId)
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
      const session = await find(request.params.session_id)
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

  /** The session, or the origin's 404; what a path names was looked at before. */
  async function find(text: string, workspaceId?: string): Promise<SessionRow> {
    const id = parseId('sesn', text)
    const session = id && (await store.readSession(id))
    if (!session || (workspaceId ?? session.workspaceId) !== session.workspaceId) throw notFound(text)
    return session
  }

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

  function answer(
    error: unknown,
    request: Parameters<typeof server.errorHandler>[1],
    reply: Parameters<typeof server.errorHandler>[2],
  ) {
    if (error instanceof check.Unprocessable) return unprocessable(reply, error.issues)
    if (error instanceof OriginRefusal) {
      const refusal = new ApiError('validation_failed', error.message)
      return server.errorHandler(refusal as never, request, reply)
    }
    return server.errorHandler(error as never, request, reply)
  }
}

const notFound = (id: string) => new ApiError('session_not_found', `Session ${id} not found`)

function unprocessable(reply: import('fastify').FastifyReply, detail: check.Issue[]) {
  return reply
    .code(422)
    .type('application/json')
    .serializer(JSON.stringify)
    .send({ detail } as never)
}

/** Checks the ten fields in the origin's order; unknown ones are ignored, null means not sent. Throws `Unprocessable`. */
function parseExecute(body: unknown): Execute {
  if (body === undefined || body === null) throw new check.Unprocessable([check.missing(['body'], null)])
  if (typeof body !== 'object' || Array.isArray(body))
    throw new check.Unprocessable([
      {
        type: 'model_attributes_type',
        loc: ['body'],
        msg: 'Input should be a valid dictionary or object to extract fields from',
        input: body,
      },
    ])
  const given = body as Record<string, unknown>
  const issues: check.Issue[] = []
  const field = <T>(name: string, checked: check.Check<T>): T | undefined => {
    if (given[name] === undefined || given[name] === null) return undefined
    const result = checked(given[name], ['body', name])
    if ('value' in result) return result.value
    issues.push(...result.issues)
    return undefined
  }
  let prompt = ''
  if (!('prompt' in given)) issues.push(check.missing(['body', 'prompt'], body))
  else {
    const result = check.prompt(given.prompt, ['body', 'prompt'])
    if ('value' in result) prompt = result.value
    else issues.push(...result.issues)
  }
  const wanted: Record<keyof Execute, unknown> = {
    prompt,
    allowedTools: field('allowed_tools', check.strings),
    systemPrompt: blankToNull(field('system_prompt', check.string)),
    permissionMode: field('permission_mode', check.oneOf(MODES)),
    model: blankToUndefined(field('model', check.string)),
    cwd: blankToUndefined(field('cwd', check.string)),
    maxTurns: field('max_turns', check.integer(1, 100)),
    env: field('env', check.stringMap),
    disallowedTools: field('disallowed_tools', check.strings),
    resumeSessionId: blankToUndefined(field('resume_session_id', check.string)),
    outputSchema: field('output_schema', check.object),
  }
  if (issues.length > 0) throw new check.Unprocessable(issues)
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as unknown as Execute
}

const blankToNull = (text: string | undefined) => (text === undefined || text.trim() !== '' ? text : null)
const blankToUndefined = (text: string | undefined) => (text?.trim() ? text : undefined)

/** A query parameter, checked as FastAPI would. Throws `Unprocessable`. */
function query<T>(params: Record<string, unknown>, name: string, checked: check.Check<T>): T | undefined {
  if (params[name] === undefined) return undefined
  const result = checked(params[name], ['query', name])
  if ('value' in result) return result.value
  throw new check.Unprocessable(result.issues)
}
