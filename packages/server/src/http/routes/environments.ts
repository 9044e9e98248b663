import {
  CreateEnvironment,
  DeletedEnvironment,
  Environment,
  EnvironmentList,
  ListEnvironments,
  UpdateEnvironment,
} from '@troupe/protocol/environment'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import {
  archiveEnvironment,
  createEnvironment,
  deleteEnvironment,
  type EnvironmentContext,
  updateEnvironment,
} from '../../environments/environments.ts'
import { environmentToWire } from '../../environments/environment-wire.ts'
import { requireEnvironment } from '../../environments/find-environment.ts'
import { assertCanConfine } from '../../sessions/confined-agent.ts'
import { assertMaySave } from '../../sessions/session-environment.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Environments']
const EnvironmentParams = z.object({ environment_id: z.string().max(256).describe('`env_…`') })
const ENVIRONMENT = '/v1/environments/:environment_id'

/** What is noted under the request's idempotency key with what it does. */
const effect = ({ idempotency }: FastifyRequest, id: string) =>
  idempotency ? { ...idempotency, result: JSON.stringify({ id }) } : undefined

/** What the first request with this key made or changed, where its answer was lost. */
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string }).id

export function environmentRoutes(server: Server, { sessions, cursors, clock }: RouteContext): void {
  const { environments } = sessions.store
  const of = ({ caller }: FastifyRequest): EnvironmentContext => ({
    environments,
    clock,
    workspaceId: caller.workspaceId,
    async assertAllowed(config) {
      await assertMaySave(caller, config)
      await assertCanConfine({ environment: { id: 'env', config } }, sessions.settings)
    },
  })
  const find = ({ caller }: FastifyRequest, id: string) => requireEnvironment(environments, caller.workspaceId, id)

  server.post(
    '/v1/environments',
    {
      schema: {
        tags,
        summary: 'Save an environment',
        description: 'A named way to run sessions: where, with which variables and limits, how confined.',
        body: CreateEnvironment,
        response: replies(Environment),
      },
    },
    async (request, reply) => {
      const id = doneBefore(request)
      const row = id
        ? await find(request, id)
        : await createEnvironment(of(request), request.body, (made) => effect(request, made))
      return reply.send(environmentToWire(row, request.strict))
    },
  )

  server.get(
    '/v1/environments',
    {
      schema: {
        tags,
        summary: 'List environments, newest first',
        description: 'The built-in `env_default` is not among them.',
        querystring: ListEnvironments,
        response: replies(EnvironmentList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const order = query.order ?? 'desc'
      const filter = {
        workspaceId: request.caller.workspaceId,
        includeArchived: query.include_archived ?? false,
      }
      const scope = ['environments', order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await environments.list(filter, order, query.limit ?? 20, from)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map((row) => environmentToWire(row, request.strict)),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    ENVIRONMENT,
    {
      schema: { tags, summary: 'Retrieve an environment', params: EnvironmentParams, response: replies(Environment) },
    },
    async (request, reply) =>
      reply.send(environmentToWire(await find(request, request.params.environment_id), request.strict)),
  )

  server.post(
    ENVIRONMENT,
    {
      schema: {
        tags,
        summary: 'Change an environment',
        description: 'Sessions that have begun in it keep what they began with.',
        params: EnvironmentParams,
        body: UpdateEnvironment,
        response: replies(Environment),
      },
    },
    async (request, reply) => {
      const id = request.params.environment_id
      const row = doneBefore(request)
        ? await find(request, id)
        : await updateEnvironment(of(request), id, request.body, effect(request, id))
      return reply.send(environmentToWire(row, request.strict))
    },
  )

  server.post(
    `${ENVIRONMENT}/archive`,
    {
      schema: {
        tags,
        summary: 'Archive an environment, for good',
        description: 'No session begins in it any more; those that have begun go on.',
        params: EnvironmentParams,
        response: replies(Environment),
      },
    },
    async (request, reply) => {
      const id = request.params.environment_id
      const row = doneBefore(request)
        ? await find(request, id)
        : await archiveEnvironment(of(request), id, effect(request, id))
      return reply.send(environmentToWire(row, request.strict))
    },
  )

  server.delete(
    ENVIRONMENT,
    {
      schema: {
        tags,
        summary: 'Delete an environment',
        description: 'Sessions that have begun in it go on.',
        params: EnvironmentParams,
        response: replies(DeletedEnvironment),
      },
    },
    async (request, reply) => {
      const id = request.params.environment_id
      if (!doneBefore(request)) await deleteEnvironment(of(request), id, effect(request, id))
      return reply.send({ type: 'environment_deleted', id })
    },
  )
}
