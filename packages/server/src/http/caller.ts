import type { ScopeName } from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { authenticate } from '../access/authenticate.ts'
import type { AccessContext } from '../access/context.ts'
import type { RateLimits } from '../access/rate-limit.ts'
import { type Caller, holds, LOCAL_CALLER, NOBODY } from '../sessions/caller.ts'
import type { SessionContext } from '../sessions/context.ts'
import { formatTraceparent, parseTraceparent } from '../tracing/trace-context.ts'
import { type Credential, credentialOf } from './credentials.ts'
import { type Need, needOf } from './needs.ts'
import type { Server } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** For files that everybody may have. */
    access?: 'public'
  }
}

/** What is needed to know who asks. */
interface CallerContext {
  access: AccessContext
  rates: RateLimits
  sessions: Pick<SessionContext, 'store'>
  noteUse(key: string): void
}

/** How often it is looked whether those who are still being answered may still be, in ms. */
const LOOK_AGAIN_MS = 10_000

/** What each route needs, by `METHOD /path`; null: nothing says so. Called before the first route is made. */
export function routeNeeds(server: Server): ReadonlyMap<string, Need | null> {
  const needs = new Map<string, Need | null>()
  server.addHook('onRoute', ({ method, url, config }) => {
    for (const each of [method].flat()) needs.set(`${each} ${url}`, config?.access ?? needOf(each, url))
  })
  return needs
}

/**
 * Says of each request who asks, and refuses what they may not, before a body is read. A stream ends when its key or
 * token does.
 */
export function callers(server: Server, context: CallerContext): void {
  const { access, rates, noteUse } = context
  const answering = new Map<FastifyReply, string>()
  server.decorateRequest('caller', null as never)

  server.addHook('onRequest', async (request, reply) => {
    const { url, config } = request.routeOptions
    // Where there is no route, everybody is told so.
    const need =
      url === undefined ? 'public' : (config.access ?? needOf(request.method, url) ?? (['operator'] as const))
    request.caller = access.required ? NOBODY : LOCAL_CALLER
    if (!access.required || need === 'public' || need === 'inside') return
    const credential = credentialOf(request)
    if (!credential) throw missing(reply)
    request.caller = await authenticate(access, credential.secret).catch((error: unknown) => {
      throw asked(reply, error)
    })
    if (credential.from === 'cookie') assertOwnPage(request, credential)
    assertMay(request, need)
    keepRate(request, reply, rates)
    noteUse(request.caller.principal)
    answering.set(reply, credential.secret)
    reply.raw.once('close', () => answering.delete(reply))
  })

  server.addHook('onRequest', async (request) => {
    assertWorkspace(request)
    const trace = parseTraceparent(request.headers.traceparent)
    if (trace) request.caller = { ...request.caller, traceparent: formatTraceparent(trace) }
  })

  server.addHook('preHandler', async (request) => {
    if (request.routeOptions.url?.endsWith('/events') && request.method === 'POST') assertMaySend(request)
    // What a token's approval belongs to is known only when it is read.
    const { sessionId } = request.caller
    const { approval_id } = (request.params ?? {}) as Record<string, string>
    if (sessionId !== null && approval_id !== undefined) await assertOwnApproval(sessionId, approval_id)
  })

  const look = setInterval(() => void lookAgain(), LOOK_AGAIN_MS)
  look.unref()
  server.addHook('onClose', async () => clearInterval(look))

  async function lookAgain(): Promise<void> {
    const good = new Map<string, Promise<boolean>>()
    for (const [reply, secret] of answering) {
      const known = good.get(secret) ?? authenticate(access, secret).then(yes, refusedNow)
      good.set(secret, known)
      if (!(await known)) reply.raw.destroy()
    }
  }

  async function assertOwnApproval(sessionId: string, id: string): Promise<void> {
    const approval = await context.sessions.store.approvals.read(id)
    if (approval?.sessionId !== sessionId) throw new ApiError('approval_not_found', `Approval ${id} does not exist.`)
  }
}

const yes = () => true
/** Only a refusal ends an answer; a store that cannot be read now does not. */
const refusedNow = (error: unknown) => !(error instanceof ApiError)

function missing(reply: FastifyReply): ApiError {
  void reply.header('www-authenticate', 'Bearer')
  return new ApiError(
    'missing_credentials',
    'This server needs a key: send it as Authorization: Bearer, or as x-api-key. Its operator makes keys at POST /v1/api_keys.',
  )
}

function asked(reply: FastifyReply, error: unknown): unknown {
  if (error instanceof ApiError) void reply.header('www-authenticate', 'Bearer error="invalid_token"')
  return error
}

/** A browser sends a cookie whoever makes it ask: what changes something must come from our own page. */
function assertOwnPage(request: FastifyRequest, { from }: Credential): void {
  if (from !== 'cookie' || request.method === 'GET') return
  const { host, origin } = request.headers
  if (origin === `http://${host}` || origin === `https://${host}`) return
  throw new ApiError(
    'origin_not_allowed',
    'A login by cookie may write only from pages of this server: the Origin header must name it. Programs send a key.',
  )
}

function assertMay({ caller, params, routeOptions }: FastifyRequest, need: Exclude<Need, 'public' | 'inside'>): void {
  if (caller.sessionId !== null) {
    const named = (params as Record<string, string>).session_id
    const byApproval = routeOptions.url === '/v1/approvals/:approval_id'
    if (need === 'any' || (named === undefined && !byApproval))
      throw new ApiError('scope_missing', 'This token is for one session, and nothing else.')
    if (named !== undefined && parseId('sesn', named) !== caller.sessionId)
      throw new ApiError('session_not_found', `Session ${parseId('sesn', named) ?? named} does not exist.`)
  }
  if (need === 'any' || need.some((scope) => holds(caller, scope))) return
  throw lacks(need)
}

/** Official clients name a workspace so: what is meant for another one must not land in that of the key. */
function assertWorkspace({ caller, headers, routeOptions }: FastifyRequest): void {
  const named = headers['anthropic-workspace-id']
  if (named === undefined || named === caller.workspaceId || !routeOptions.url?.startsWith('/v1/')) return
  throw new ApiError(
    'workspace_not_found',
    'The header anthropic-workspace-id names another workspace than that of the key. Leave it out, or take a key of that one.',
  )
}

const lacks = (need: readonly ScopeName[]) =>
  new ApiError('scope_missing', `This needs the scope ${need.join(' or ')}, which the key does not have.`)

/** An answer to an approval is one, whichever way it comes. */
function assertMaySend({ caller, body }: FastifyRequest): void {
  const { events } = (body ?? {}) as { events?: { type?: unknown }[] }
  for (const event of events ?? []) {
    const need = event.type === 'user.tool_confirmation' ? 'approvals:write' : 'sessions:send'
    if (!holds(caller, need)) throw lacks([need])
  }
}

/** Throws `rate_limited`; says in any case how it stands. */
function keepRate({ caller }: FastifyRequest, reply: FastifyReply, rates: RateLimits): void {
  const rate = rates.take(caller.policies)
  if (!rate) return
  const { perMinute, left, wait, reset } = rate
  void reply.header('ratelimit-policy', `"requests";q=${perMinute};w=60`)
  void reply.header('ratelimit', `"requests";r=${left};t=${reset}`)
  if (wait > 0)
    throw new ApiError('rate_limited', `More than ${perMinute} requests a minute; send this again in ${wait} s.`, {
      retryAfter: wait,
    })
}
