import { ApiKey, ApiKeyList, CreateApiKey, ListApiKeys, RotateApiKey, UpdateApiKey } from '@troupe/protocol/access'
import { z } from 'zod'
import { createKey, requireKey, revokeKey, rotateKey, updateKey, workspaceAsked } from '../../access/keys.ts'
import { keyToWire } from '../../access/wire.ts'
import { replies } from '../reply-schema.ts'
import { doneBefore, takeClaim } from '../claims.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Access']
const KeyParams = z.object({ api_key_id: z.string().max(256).describe('`apikey_…`') })
const KEY = '/v1/api_keys/:api_key_id'

export function apiKeyRoutes(server: Server, { access, cursors, clock }: RouteContext): void {
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
}
