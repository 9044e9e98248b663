import {
  type CreateDeployment,
  MAX_DEPLOYMENT_BYTES,
  MAX_DEPLOYMENTS,
  type UpdateDeployment,
} from '@troupe/protocol/deployment'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { isDeepStrictEqual } from 'node:util'
import { requireAgent } from '../agents/find-agent.ts'
import { startableEnvironment } from '../environments/find-environment.ts'
import { type Caller, holds } from '../sessions/caller.ts'
import type { SessionContext } from '../sessions/context.ts'
import { refuseLater, unsupported } from '../sessions/create-session.ts'
import { DeploymentChanged, DeploymentLimit, type DeploymentRow } from '../store/deployments.ts'
import type { SessionChange } from '../store/session-change.ts'
import { assertCanGive, keepTokens } from './resources.ts'
import { nextRun, wholeSchedule } from './schedule.ts'

type Effect = SessionChange['effect']

/** Throws `deployment_not_found`, for one of another workspace too. */
export async function requireDeployment({ store }: SessionContext, workspaceId: string, id: string) {
  const row = await store.deployments.read(workspaceId, id)
  if (!row) throw new ApiError('deployment_not_found', `Deployment ${JSON.stringify(id)} does not exist.`)
  return row
}

/** Who says what sessions are started with starts sessions. Throws `scope_missing`. */
export function assertStarts(caller: Caller): void {
  if (!holds(caller, 'sessions:write'))
    throw new ApiError('scope_missing', 'A deployment starts sessions: this needs the scope sessions:write too.')
}

/**
 * Saves a deployment. Its scheduled runs are sessions of the caller, within the policies that hold for it then. Throws
 * `scope_missing`, `validation_failed`, `unsupported_feature`, `agent_not_found`, `agent_archived`,
 * `environment_not_found`, `environment_archived`, `deployment_limit`, and what `assertCanGive` throws.
 */
export async function createDeployment(
  context: SessionContext,
  caller: Caller,
  body: CreateDeployment,
  effectOf: (id: string) => Effect,
): Promise<DeploymentRow> {
  assertStarts(caller)
  assertKnown(body)
  const { clock, store } = context
  await startableEnvironment(store.environments, caller.workspaceId, body.environment_id)
  await assertCanGive(context, caller, body.resources ?? [])
  const at = clock.now()
  const id = newId('depl')
  const schedule = body.schedule ? wholeSchedule(body.schedule) : null
  const row: DeploymentRow = {
    id,
    workspaceId: caller.workspaceId,
    principal: caller.principal,
    name: body.name,
    description: body.description || null,
    ...(await pinned(context, caller, body.agent)),
    body: {
      environmentId: body.environment_id ?? 'env_default',
      initialEvents: body.initial_events,
      budget: body.budget ?? null,
      cwd: body.cwd ?? null,
      resources: body.resources ?? [],
    },
    metadata: body.metadata ?? {},
    schedule,
    ...nextRun(id, schedule, at),
    pausedReason: null,
    lastRunAt: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
  }
  assertSize(row)
  try {
    await store.deployments.create(row, MAX_DEPLOYMENTS, effectOf(id))
  } catch (error) {
    if (!(error instanceof DeploymentLimit)) throw error
    throw new ApiError('deployment_limit', `There are ${error.message}, as many as may be; archive one.`)
  }
  return row
}

/** Changes what is given. Its scheduled runs are the caller's from now on. Throws as `createDeployment`, `deployment_archived`. */
export async function updateDeployment(
  context: SessionContext,
  caller: Caller,
  id: string,
  change: UpdateDeployment,
  effect: Effect,
): Promise<DeploymentRow> {
  assertStarts(caller)
  assertKnown(change)
  if (change.environment_id !== undefined)
    await startableEnvironment(context.store.environments, caller.workspaceId, change.environment_id)
  if (change.resources) await assertCanGive(context, caller, change.resources)
  const agent = change.agent === undefined ? {} : await pinned(context, caller, change.agent)
  const schedule = change.schedule && wholeSchedule(change.schedule)
  return decide(context, caller, id, effect, (row, at) => {
    const { body } = row
    const kept = schedule === undefined || isDeepStrictEqual(schedule, row.schedule)
    const next: DeploymentRow = {
      ...row,
      ...agent,
      name: change.name ?? row.name,
      description: change.description === undefined ? row.description : change.description || null,
      body: {
        environmentId: change.environment_id ?? body.environmentId,
        initialEvents: change.initial_events ?? body.initialEvents,
        budget: change.budget === undefined ? body.budget : change.budget,
        cwd: change.cwd === undefined ? body.cwd : change.cwd,
        resources:
          change.resources === undefined ? body.resources : keepTokens(change.resources ?? [], body.resources ?? []),
      },
      metadata: merged(row.metadata, change.metadata),
      ...(!kept && {
        schedule,
        ...(row.pausedReason === null ? nextRun(id, schedule, at) : NO_RUN),
      }),
    }
    assertSize(next)
    return isDeepStrictEqual(next, row) ? null : { ...next, principal: caller.principal }
  })
}

const NO_RUN = { nextAt: null, fireAt: null }

/** No scheduled run is started until it is unpaused; those by hand are. */
export const pauseDeployment = (context: SessionContext, caller: Caller, id: string, effect: Effect) =>
  decide(context, caller, id, effect, (row) =>
    row.pausedReason ? null : { ...row, ...NO_RUN, pausedReason: { type: 'manual' } },
  )

/** Goes on with the next tick, as the caller's; those of the meantime are not made up for. */
export function unpauseDeployment(context: SessionContext, caller: Caller, id: string, effect: Effect) {
  assertStarts(caller)
  return decide(context, caller, id, effect, (row, at) =>
    row.pausedReason
      ? { ...row, ...nextRun(id, row.schedule, at), pausedReason: null, principal: caller.principal }
      : null,
  )
}

/** For good. Archiving twice is one archiving. */
export async function archiveDeployment(context: SessionContext, caller: Caller, id: string, effect: Effect) {
  const row = await requireDeployment(context, caller.workspaceId, id)
  if (row.archivedAt !== null) return row
  return decide(context, caller, id, effect, (now, at) => ({
    ...now,
    ...NO_RUN,
    pausedReason: null,
    archivedAt: at,
  }))
}

/** Makes a change on the deployment as it stands, again where somebody was faster; null changes nothing. */
async function decide(
  context: SessionContext,
  caller: Caller,
  id: string,
  effect: Effect,
  change: (row: DeploymentRow, at: number) => DeploymentRow | null,
): Promise<DeploymentRow> {
  for (;;) {
    const row = await requireDeployment(context, caller.workspaceId, id)
    if (row.archivedAt !== null)
      throw new ApiError('deployment_archived', `Deployment ${id} is archived and cannot be changed.`)
    const at = context.clock.now()
    const next = change(row, at)
    if (next === null) return row
    try {
      await context.store.deployments.replace({ ...next, updatedAt: at }, row.version, effect)
      return requireDeployment(context, caller.workspaceId, id)
    } catch (error) {
      if (!(error instanceof DeploymentChanged)) throw error
    }
  }
}

/** Refuses what later versions bring. */
function assertKnown(body: UpdateDeployment): void {
  refuseLater({ vault_ids: body.vault_ids ?? undefined })
  for (const { type } of body.initial_events ?? [])
    if (type !== 'user.message') throw unsupported(`initial_events of type "${type}"`)
}

async function pinned({ store }: SessionContext, { workspaceId }: Caller, agent: CreateDeployment['agent']) {
  const { id, version } = typeof agent === 'string' ? { id: agent, version: null } : agent
  const row = await requireAgent(store.agents, workspaceId, id, version ?? undefined)
  if (row.archivedAt !== null) throw new ApiError('agent_archived', `Agent ${id} is archived; it starts no sessions.`)
  return { agentId: row.id, agentVersion: row.version }
}

function merged(metadata: Record<string, string>, change: UpdateDeployment['metadata']): Record<string, string> {
  if (change === undefined) return metadata
  const pairs = Object.entries({ ...(change && metadata), ...change }).filter(
    (pair): pair is [string, string] => pair[1] !== null,
  )
  if (pairs.length > 16)
    throw new ApiError('validation_failed', `metadata would have ${pairs.length} pairs; at most 16 are.`, {
      errors: [{ pointer: '/metadata', code: 'too_big', detail: 'at most 16 pairs' }],
    })
  return Object.fromEntries(pairs)
}

function assertSize({ body }: DeploymentRow): void {
  const bytes = Buffer.byteLength(JSON.stringify(body))
  if (bytes > MAX_DEPLOYMENT_BYTES)
    throw new ApiError(
      'validation_failed',
      `What the deployment sends has ${bytes} bytes; at most ${MAX_DEPLOYMENT_BYTES} are kept. Put files into its workdir.`,
    )
}
