import {
  ApiKey,
  ApiKeyList,
  CreateApiKey,
  CreateSessionToken,
  CreateWorkspace,
  ListApiKeys,
  ListWorkspaces,
  LoggedIn,
  LoggedOut,
  Login,
  RotateApiKey,
  SessionToken,
  UpdateApiKey,
  UpdateWorkspace,
  Workspace,
  WorkspaceList,
} from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import type { WorkspaceRetention } from '@troupe/protocol/retention'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { authenticate } from '../../access/authenticate.ts'
import {
  createKey,
  requireKey,
  revokeKey,
  rotateKey,
  updateKey,
  policyToKeep,
  workspaceAsked,
} from '../../access/keys.ts'
import { hashOf } from '../../access/secrets.ts'
import { createLogin, createSessionToken, LOGIN_MS, tokenScopes } from '../../access/tokens.ts'
import { keyToWire, workspaceToWire } from '../../access/wire.ts'
import { archiveWorkspace, createWorkspace, requireWorkspace, updateWorkspace } from '../../access/workspaces.ts'
import { iso } from '../../log/wire.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { credentialOf, loginCookie } from '../credentials.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Access']
const KeyParams = z.object({ api_key_id: z.string().max(256).describe('`apikey_…`') })
const WorkspaceParams = z.object({ workspace_id: z.string().max(256).describe('`wrkspc_…`') })
const KEY = '/v1/api_keys/:api_key_id'
const WORKSPACE = '/v1/workspaces/:workspace_id'

const retentionOf = (param: WorkspaceRetention | null | undefined) =>
  param ? { ttlMs: param.ttl_seconds === null ? null : param.ttl_seconds * 1000 } : null

/** What the first request with this key did, where its answer was not kept; null when this is the first. */
const doneBefore = ({ replayEffect }: FastifyRequest): { id: string; expires_at?: number } | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string })

/**
 * A secret is in no file: an answer that holds one is not stored under the request's idempotency key. The same request
 * again is not done again; it is answered without the secret.
 */
function takeClaim(request: FastifyRequest) {
  const claim = request.idempotency
  request.idempotency = null
  return claim
}

export function accessRoutes(server: Server, { access, sessions, cursors, clock }: RouteContext): void {
  const { keys } = access

  server.post(
    '/v1/api_keys',
    {
      schema: {
        tags,
        summary: 'Make a key',
        description: 'The answer holds its secret, and no later one does. Nobody gives scopes they do not have.',
        body: CreateApiKey,
        response: replies(ApiKey),
      },
    },
    async (request, reply) => {
      const done = doneBefore(request)
      const { row, secret } = done
        ? { row: await requireKey(access, request.caller, done.id), secret: null }
        : await createKey(access, request.caller, request.body, request.idempotency)
      takeClaim(request)
      return reply.header('cache-control', 'no-store').send({ ...keyToWire(row, clock.now()), secret })
    },
  )

  server.get(
    '/v1/api_keys',
    {
      schema: { tags, summary: 'List keys, newest first', querystring: ListApiKeys, response: replies(ApiKeyList) },
    },
    async (request, reply) => {
      const { query } = request
      const filter = {
        workspaceId: workspaceAsked(request.caller, query.workspace_id),
        includeRevoked: query.include_revoked ?? false,
      }
      const scope = ['api_keys', filter]
      const { rows, more } = await keys.listKeys(filter, query.limit ?? 20, cursors.decode(query.page, scope))
      const last = rows.at(-1)
      return reply.send({
        data: rows.map((row) => keyToWire(row, clock.now())),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    KEY,
    { schema: { tags, summary: 'Retrieve a key', params: KeyParams, response: replies(ApiKey) } },
    async (request, reply) =>
      reply.send(keyToWire(await requireKey(access, request.caller, request.params.api_key_id), clock.now())),
  )

  server.post(
    KEY,
    {
      schema: {
        tags,
        summary: 'Change a key',
        description: 'Counts from the next request on.',
        params: KeyParams,
        body: UpdateApiKey,
        response: replies(ApiKey),
      },
    },
    async (request, reply) => {
      const id = request.params.api_key_id
      const row = doneBefore(request)
        ? await requireKey(access, request.caller, id)
        : await updateKey(access, request.caller, id, request.body, request.idempotency)
      return reply.send(keyToWire(row, clock.now()))
    },
  )

  server.post(
    `${KEY}/rotate`,
    {
      schema: {
        tags,
        summary: 'Make a new secret for a key',
        description: 'The old one is good for the grace time too, so that programs can change it without a gap.',
        params: KeyParams,
        body: RotateApiKey,
        response: replies(ApiKey),
      },
    },
    async (request, reply) => {
      const id = request.params.api_key_id
      const { row, secret } = doneBefore(request)
        ? { row: await requireKey(access, request.caller, id), secret: null }
        : await rotateKey(access, request.caller, id, request.body?.grace_seconds, request.idempotency)
      takeClaim(request)
      return reply.header('cache-control', 'no-store').send({ ...keyToWire(row, clock.now()), secret })
    },
  )

  server.delete(
    KEY,
    {
      schema: {
        tags,
        summary: 'Revoke a key',
        description: 'At once and for good, with its tokens and logins; streams it has open end within 10 s.',
        params: KeyParams,
        response: replies(ApiKey),
      },
    },
    async (request, reply) => {
      const id = request.params.api_key_id
      const row = doneBefore(request)
        ? await requireKey(access, request.caller, id)
        : await revokeKey(access, request.caller, id, request.idempotency)
      return reply.send(keyToWire(row, clock.now()))
    },
  )

  server.post(
    '/v1/workspaces',
    { schema: { tags, summary: 'Make a workspace', body: CreateWorkspace, response: replies(Workspace) } },
    async (request, reply) => {
      const done = doneBefore(request)
      const { name, policy, retention } = request.body
      const row = done
        ? await requireWorkspace(access, done.id)
        : await createWorkspace(access, name, policyToKeep(policy), retentionOf(retention), request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )

  server.get(
    '/v1/workspaces',
    {
      schema: {
        tags,
        summary: 'List workspaces, newest first',
        querystring: ListWorkspaces,
        response: replies(WorkspaceList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const archived = query.include_archived ?? false
      const scope = ['workspaces', archived]
      const { rows, more } = await keys.listWorkspaces(archived, query.limit ?? 20, cursors.decode(query.page, scope))
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(workspaceToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    WORKSPACE,
    { schema: { tags, summary: 'Retrieve a workspace', params: WorkspaceParams, response: replies(Workspace) } },
    async (request, reply) => reply.send(workspaceToWire(await requireWorkspace(access, request.params.workspace_id))),
  )

  server.post(
    WORKSPACE,
    {
      schema: {
        tags,
        summary: 'Change a workspace',
        params: WorkspaceParams,
        body: UpdateWorkspace,
        response: replies(Workspace),
      },
    },
    async (request, reply) => {
      const id = request.params.workspace_id
      const { name, policy, retention } = request.body
      const patch = {
        ...(name !== undefined && { name }),
        ...(policy !== undefined && { policy: policyToKeep(policy) }),
        ...(retention !== undefined && { retention: retentionOf(retention) }),
      }
      const row = doneBefore(request)
        ? await requireWorkspace(access, id)
        : await updateWorkspace(access, id, patch, request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )

  server.post(
    `${WORKSPACE}/archive`,
    {
      schema: {
        tags,
        summary: 'Archive a workspace',
        description: 'Its keys are good no more, for good; what it owns stays.',
        params: WorkspaceParams,
        response: replies(Workspace),
      },
    },
    async (request, reply) => {
      const id = request.params.workspace_id
      const row = doneBefore(request)
        ? await requireWorkspace(access, id)
        : await archiveWorkspace(access, id, request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )

  server.post(
    '/v1/sessions/:session_id/tokens',
    {
      schema: {
        tags,
        summary: 'Make a token for one session',
        description:
          'For a browser to hold: good for this session alone, as `Authorization: Bearer`, as cookie `troupe_session`, or as `?access_token=` of a stream. It ends with the key that made it.',
        params: SessionParams,
        body: CreateSessionToken,
        response: replies(SessionToken),
      },
    },
    async (request, reply) => {
      const sessionId = sessionIdOf(request.params.session_id)
      await requireSession(sessions, sessionId)
      const done = doneBefore(request)
      const { scopes } = request.body
      const made = done
        ? { id: done.id, scopes, expiresAt: done.expires_at ?? 0, token: null }
        : await createSessionToken(access, request.caller, sessionId, request.body, request.idempotency).then(
            ({ row, secret }) => ({ id: row.id, scopes: tokenScopes(row), expiresAt: row.expiresAt, token: secret }),
          )
      takeClaim(request)
      return reply.header('cache-control', 'no-store').send({
        type: 'session_token',
        id: made.id,
        session_id: sessionId,
        scopes: made.scopes,
        expires_at: iso(made.expiresAt),
        token: made.token,
      })
    },
  )

  server.post(
    '/v1/login',
    {
      schema: {
        tags,
        summary: 'Log a browser in',
        description: 'By a key, for 12 hours: sets the cookie `troupe_session`, which scripts cannot read.',
        body: Login,
        response: replies(LoggedIn),
      },
    },
    async (request, reply) => {
      takeClaim(request)
      const caller = access.required ? await authenticate(access, request.body.api_key) : request.caller
      if (caller.sessionId !== null || caller.credential !== caller.principal)
        throw new ApiError('invalid_api_key', 'Log in with a key, which begins with sk_troupe_; a token is none.')
      const { row, secret } = await createLogin(access, caller)
      const secure = request.headers.origin?.startsWith('https:') ?? false
      return reply
        .header('set-cookie', loginCookie(secret, LOGIN_MS / 1000, secure))
        .header('cache-control', 'no-store')
        .send({
          type: 'login',
          workspace_id: caller.workspaceId,
          scopes: [...caller.scopes],
          expires_at: iso(row.expiresAt),
        })
    },
  )

  server.post(
    '/v1/logout',
    { schema: { tags, summary: 'Log a browser out', response: replies(LoggedOut) } },
    async (request, reply) => {
      const credential = credentialOf(request)
      if (credential?.from === 'cookie') {
        const { origin, host } = request.headers
        // Another page must not log anybody out; the cookie does not come along from there, but for other ports.
        if (origin !== `http://${host}` && origin !== `https://${host}`)
          throw new ApiError('origin_not_allowed', 'Only pages of this server log their reader out.')
        const row = await keys.findToken(hashOf(credential.secret))
        if (row) await keys.deleteToken(row.id)
      }
      return reply.header('set-cookie', loginCookie('', 0, false)).send({ type: 'logged_out' })
    },
  )
}
