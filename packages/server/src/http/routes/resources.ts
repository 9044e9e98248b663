import {
  DeletedResource,
  ListResources,
  ResourceParam,
  SessionResource,
  UpdateResource,
} from '@troupe/protocol/resource'
import { page } from '@troupe/protocol/session'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { requireSession } from '../../sessions/change-session.ts'
import { resourceToWire } from '../../sessions/resource-wire.ts'
import { allResources, requireAnyResource, rotateToken } from '../../sessions/session-repositories.ts'
import { addResource, removeResource } from '../../sessions/session-resources.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Session resources']
const LIST = '/v1/sessions/:session_id/resources'
const ONE = `${LIST}/:resource_id`
const ResourceParams = SessionParams.extend({ resource_id: z.string().max(256).describe('`sesrsc_…`') })

/** The resource that the first request with this key added or removed, where its answer was lost. */
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { resource_id: string }).resource_id

export function resourceRoutes(server: Server, { sessions, cursors }: RouteContext): void {
  const { store } = sessions
  server.post(
    LIST,
    {
      schema: {
        tags,
        summary: 'Give a file or a repository to a session',
        description:
          'A copy of a file, read-only, lies in the workdir; a repository is cloned before the next turn. Only while the session is idle.',
        params: SessionParams,
        body: ResourceParam,
        response: replies(SessionResource),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const before = doneBefore(request)
      const row = before
        ? await requireAnyResource(store, id, before)
        : await addResource(sessions, request.caller, id, request.body, request.idempotency)
      return reply.send(resourceToWire(row))
    },
  )

  server.get(
    LIST,
    {
      schema: {
        tags,
        summary: 'List what a session was given, oldest first',
        params: SessionParams,
        querystring: ListResources,
        response: replies(page(SessionResource)),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      await requireSession(sessions, id)
      const { order = 'asc', limit = 20, page: cursor } = request.query
      const scope = ['resources', id, order]
      const from = cursors.decode(cursor, scope)
      const rows = await allResources(store, id)
      if (order === 'desc') rows.reverse()
      const start = from ? rows.findIndex((row) => isBehind(row, from, order)) : 0
      const shown = start < 0 ? [] : rows.slice(start, start + limit)
      const last = shown.at(-1)
      const more = start >= 0 && start + limit < rows.length
      return reply.send({
        data: shown.map(resourceToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    ONE,
    { schema: { tags, summary: 'Retrieve a resource', params: ResourceParams, response: replies(SessionResource) } },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      await requireSession(sessions, id)
      return reply.send(resourceToWire(await requireAnyResource(store, id, request.params.resource_id)))
    },
  )

  server.post(
    ONE,
    {
      schema: {
        tags,
        summary: 'Change a resource',
        description:
          'The `authorization_token` of a repository. Files have nothing that could be changed: `unsupported_feature`.',
        params: ResourceParams,
        body: UpdateResource,
        response: replies(SessionResource),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const { resource_id: resource } = request.params
      await requireSession(sessions, id)
      const { authorization_token: token } = request.body
      const row = doneBefore(request)
        ? await requireAnyResource(store, id, resource)
        : await rotateToken(sessions, id, resource, token, request.idempotency)
      return reply.send(resourceToWire(row))
    },
  )

  server.delete(
    ONE,
    {
      schema: {
        tags,
        summary: 'Take a resource from a session',
        description: 'And its copy in the workdir, if nobody has changed it. Only while the session is idle.',
        params: ResourceParams,
        response: replies(DeletedResource),
      },
    },
    async (request, reply) => {
      const { resource_id: resource } = request.params
      if (doneBefore(request) === null)
        await removeResource(sessions, sessionIdOf(request.params.session_id), resource, request.idempotency)
      return reply.send({ id: resource, type: 'session_resource_deleted' as const })
    },
  )
}

const isBehind = (row: { createdAt: number; id: string }, from: { at: number; id: string }, order: 'asc' | 'desc') =>
  row.createdAt === from.at
    ? order === 'asc'
      ? row.id > from.id
      : row.id < from.id
    : order === 'asc'
      ? row.createdAt > from.at
      : row.createdAt < from.at
