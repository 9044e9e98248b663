import {
  CreateDeployment,
  Deployment,
  DeploymentList,
  DeploymentRun,
  DeploymentRunList,
  ListDeploymentRuns,
  ListDeployments,
  UpdateDeployment,
} from '@troupe/protocol/deployment'
import { ApiError } from '@troupe/protocol/error'
import type { FastifyRequest } from 'fastify'
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import {
  archiveDeployment,
  assertStarts,
  createDeployment,
  pauseDeployment,
  requireDeployment,
  unpauseDeployment,
  updateDeployment,
} from '../../deployments/deployments.ts'
import { startRun } from '../../deployments/run.ts'
import { deploymentToWire, runToWire } from '../../deployments/wire.ts'
import type { DeploymentRow } from '../../store/deployments.ts'
import { createdAtRange } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Deployments']
const DeploymentParams = z.object({
  deployment_id: z.string().max(256).describe('`depl_…`'),
})
const RunParams = z.object({
  deployment_run_id: z.string().max(256).describe('`drun_…`'),
})
const DEPLOYMENT = '/v1/deployments/:deployment_id'

/** What is noted under the request's idempotency key with what it does. */
const effect = ({ idempotency }: FastifyRequest, id: string) =>
  idempotency ? { ...idempotency, result: JSON.stringify({ id }) } : undefined

/** What the first request with this key made or changed, where its answer was lost. */
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string }).id

export function deploymentRoutes(server: Server, { sessions, cursors, clock, deploymentsChanged }: RouteContext): void {
  const { deployments } = sessions.store
  const wire = (row: DeploymentRow) => deploymentToWire(row, clock.now())
  /** Looking up ticks takes up to a millisecond each: others are let in between. */
  const wired = async (rows: DeploymentRow[]) => {
    const data = []
    for (const row of rows) {
      data.push(wire(row))
      if (row.schedule) await setImmediate()
    }
    return data
  }
  const find = ({ caller }: FastifyRequest, id: string) => requireDeployment(sessions, caller.workspaceId, id)
  const findRun = async ({ caller }: FastifyRequest, id: string) => {
    const run = await deployments.readRun(caller.workspaceId, id)
    if (!run) throw new ApiError('deployment_run_not_found', `Deployment run ${JSON.stringify(id)} does not exist.`)
    return run
  }

  server.post(
    '/v1/deployments',
    {
      schema: {
        tags,
        summary: 'Save what to start, and when',
        description: 'Scheduled runs are sessions of the key that makes this. Needs `sessions:write` too.',
        body: CreateDeployment,
        response: replies(Deployment),
      },
    },
    async (request, reply) => {
      const id = doneBefore(request)
      const row = id
        ? await find(request, id)
        : await createDeployment(sessions, request.caller, request.body, (made) => effect(request, made))
      deploymentsChanged()
      return reply.send(wire(row))
    },
  )

  server.get(
    '/v1/deployments',
    {
      schema: {
        tags,
        summary: 'List deployments, newest first',
        querystring: ListDeployments,
        response: replies(DeploymentList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const order = query.order ?? 'desc'
      const filter = {
        workspaceId: request.caller.workspaceId,
        agentId: query.agent_id,
        status: query.status,
        includeArchived: query.include_archived,
        createdAt: createdAtRange(query),
      }
      const scope = ['deployments', order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await deployments.list(filter, order, query.limit ?? 20, from)
      const last = rows.at(-1)
      return reply.send({
        data: await wired(rows),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    DEPLOYMENT,
    {
      schema: {
        tags,
        summary: 'Retrieve a deployment',
        params: DeploymentParams,
        response: replies(Deployment),
      },
    },
    async (request, reply) => reply.send(wire(await find(request, request.params.deployment_id))),
  )

  server.post(
    DEPLOYMENT,
    {
      schema: {
        tags,
        summary: 'Change a deployment',
        description: 'Sessions that it has started stay as they are. Needs `sessions:write` too.',
        params: DeploymentParams,
        body: UpdateDeployment,
        response: replies(Deployment),
      },
    },
    async (request, reply) => {
      const id = request.params.deployment_id
      const row = doneBefore(request)
        ? await find(request, id)
        : await updateDeployment(sessions, request.caller, id, request.body, effect(request, id))
      deploymentsChanged()
      return reply.send(wire(row))
    },
  )

  const verbs = [
    ['pause', 'Pause its schedule', pauseDeployment],
    ['unpause', 'Go on with its next tick', unpauseDeployment],
    ['archive', 'Archive a deployment, for good', archiveDeployment],
  ] as const
  for (const [verb, summary, act] of verbs)
    server.post(
      `${DEPLOYMENT}/${verb}`,
      {
        schema: {
          tags,
          summary,
          params: DeploymentParams,
          response: replies(Deployment),
        },
      },
      async (request, reply) => {
        const id = request.params.deployment_id
        const row = doneBefore(request)
          ? await find(request, id)
          : await act(sessions, request.caller, id, effect(request, id))
        deploymentsChanged()
        return reply.send(wire(row))
      },
    )

  server.post(
    `${DEPLOYMENT}/run`,
    {
      schema: {
        tags,
        summary: 'Start a session now',
        description:
          'As the caller, whether or not the deployment is paused. What refuses the session stands in `error` of the run.',
        params: DeploymentParams,
        response: replies(DeploymentRun),
      },
    },
    async (request, reply) => {
      const made = doneBefore(request)
      if (made) return reply.send(runToWire(await findRun(request, made)))
      assertStarts(request.caller)
      const row = await find(request, request.params.deployment_id)
      if (row.archivedAt !== null)
        throw new ApiError('deployment_archived', `Deployment ${row.id} is archived and starts nothing.`)
      const run = await startRun(
        sessions,
        row,
        async () => request.caller,
        null,
        (id) => effect(request, id),
      )
      return reply.send(runToWire(run))
    },
  )

  server.get(
    '/v1/deployment_runs',
    {
      schema: {
        tags,
        summary: 'List runs of deployments, newest first',
        description: 'Those of the last 90 days.',
        querystring: ListDeploymentRuns,
        response: replies(DeploymentRunList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const order = query.order ?? 'desc'
      const filter = {
        workspaceId: request.caller.workspaceId,
        deploymentId: query.deployment_id,
        hasError: query.has_error,
        trigger: query.trigger_type,
        createdAt: createdAtRange(query),
      }
      const scope = ['deployment_runs', order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await deployments.listRuns(filter, order, query.limit ?? 20, from)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(runToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    '/v1/deployment_runs/:deployment_run_id',
    {
      schema: {
        tags,
        summary: 'Retrieve a run',
        params: RunParams,
        response: replies(DeploymentRun),
      },
    },
    async (request, reply) => reply.send(runToWire(await findRun(request, request.params.deployment_run_id))),
  )
}
