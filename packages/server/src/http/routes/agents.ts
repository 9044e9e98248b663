import { Agent, AgentList, CreateAgent, ListAgents, RetrieveAgent, UpdateAgent } from '@troupe/protocol/saved-agent'
import { ApiError } from '@troupe/protocol/error'
import { PageQuery } from '@troupe/protocol/session'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { agentToWire } from '../../agents/agent-wire.ts'
import { requireAgent } from '../../agents/find-agent.ts'
import { type AgentContext, archiveAgent, createAgent, updateAgent } from '../../agents/saved-agents.ts'
import { agentWithin } from '../../sessions/key-policy.ts'
import type { AgentRow } from '../../store/agents.ts'
import { createdAtRange } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Agents']
const AgentParams = z.object({ agent_id: z.string().max(256).describe('`agent_…`') })
const AGENT = '/v1/agents/:agent_id'

/** What is noted under the request's idempotency key with what it does. */
const effect = ({ idempotency }: FastifyRequest, id: string) =>
  idempotency ? { ...idempotency, result: JSON.stringify({ id }) } : undefined

/** What the first request with this key made or changed, where its answer was lost. */
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string }).id

/** The version that `If-Match` names; null without the header or with `*`. Throws `precondition_failed` for other tags. */
function ifMatch({ headers }: FastifyRequest): number | null {
  const tag = headers['if-match']
  if (tag === undefined || tag === '*') return null
  const version = /^"(\d{1,9})"$/.exec(tag)?.[1]
  if (version === undefined)
    throw new ApiError('precondition_failed', `If-Match ${JSON.stringify(tag)} is not a tag of an agent, like "3".`)
  return Number(version)
}

/** Tagged with its version; not kept by caches, since archiving makes no version. */
const send = (reply: FastifyReply, row: AgentRow) => reply.header('etag', `"${row.version}"`).send(agentToWire(row))

export function agentRoutes(server: Server, { sessions, cursors, clock }: RouteContext): void {
  const { agents } = sessions.store
  const of = ({ caller }: FastifyRequest): AgentContext => ({
    agents,
    skills: sessions.store.skills,
    clock,
    workspaceId: caller.workspaceId,
    limits: sessions.settings,
    bounded: (agent) => agentWithin(caller, agent, sessions.settings.defaultModel),
  })

  server.post(
    '/v1/agents',
    { schema: { tags, summary: 'Save an agent, at version 1', body: CreateAgent, response: replies(Agent) } },
    async (request, reply) => {
      const id = doneBefore(request)
      const row = id
        ? await requireAgent(agents, request.caller.workspaceId, id)
        : await createAgent(of(request), request.body, (made) => effect(request, made))
      return send(reply, row)
    },
  )

  server.get(
    '/v1/agents',
    {
      schema: {
        tags,
        summary: 'List agents at their newest versions, newest agent first',
        querystring: ListAgents,
        response: replies(AgentList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const order = query.order ?? 'desc'
      const filter = {
        workspaceId: request.caller.workspaceId,
        createdAt: createdAtRange(query),
        includeArchived: query.include_archived,
      }
      const scope = ['agents', order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await agents.list(filter, order, query.limit ?? 20, from)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(agentToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    AGENT,
    {
      schema: {
        tags,
        summary: 'Retrieve an agent at a version',
        params: AgentParams,
        querystring: RetrieveAgent,
        response: replies(Agent),
      },
    },
    async (request, reply) =>
      send(
        reply,
        await requireAgent(agents, request.caller.workspaceId, request.params.agent_id, request.query.version),
      ),
  )

  server.post(
    AGENT,
    {
      schema: {
        tags,
        summary: 'Change an agent: what differs becomes its next version',
        description: 'Sessions keep the version they began with. `version` or `If-Match` guards against other changes.',
        params: AgentParams,
        body: UpdateAgent,
        response: replies(Agent),
      },
    },
    async (request, reply) => {
      const id = request.params.agent_id
      const row = doneBefore(request)
        ? await requireAgent(agents, request.caller.workspaceId, id)
        : await updateAgent(of(request), id, request.body, ifMatch(request), effect(request, id))
      return send(reply, row)
    },
  )

  server.post(
    `${AGENT}/archive`,
    {
      schema: {
        tags,
        summary: 'Archive an agent',
        description: 'No session begins with it any more; those that have it go on.',
        params: AgentParams,
        response: replies(Agent),
      },
    },
    async (request, reply) => {
      const id = request.params.agent_id
      return send(reply, await archiveAgent(of(request), id, effect(request, id)))
    },
  )

  server.get(
    `${AGENT}/versions`,
    {
      schema: {
        tags,
        summary: 'List the versions of an agent, newest first',
        params: AgentParams,
        querystring: PageQuery,
        response: replies(AgentList),
      },
    },
    async (request, reply) => {
      const { agent_id: id } = request.params
      const { workspaceId } = request.caller
      const newest = await requireAgent(agents, workspaceId, id)
      if (newest.source === 'built_in')
        return reply.send({ data: [agentToWire(newest)], next_page: null, prev_page: null })
      const order = request.query.order ?? 'desc'
      const scope = ['agent_versions', workspaceId, id, order]
      const from = cursors.decode(request.query.page, scope)
      const { rows, more } = await agents.versions(workspaceId, id, order, request.query.limit ?? 20, from?.at ?? null)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(agentToWire),
        next_page: more && last ? cursors.encode({ at: last.version, id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )
}
