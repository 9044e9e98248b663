import {
  type CreateEnvironment,
  DEFAULT_ENVIRONMENT_ID,
  type EnvironmentConfig,
  MAX_ENVIRONMENTS,
  type UpdateEnvironment,
} from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../lib/clock.ts'
import {
  EnvironmentChanged,
  EnvironmentLimit,
  type EnvironmentRow,
  type EnvironmentStore,
} from '../store/environments.ts'
import type { SessionChange } from '../store/session-change.ts'
import { wholeConfig } from './config.ts'
import { requireEnvironment } from './find-environment.ts'

/** What the use cases work with, and whose environments they see. */
export interface EnvironmentContext {
  environments: EnvironmentStore
  clock: Clock
  workspaceId: string
  /** Throws where whoever asks may not save such a config, or this machine cannot keep what it promises. */
  assertAllowed(config: EnvironmentConfig): Promise<void>
}

type Effect = SessionChange['effect']

/** Saves an environment. Throws what `wholeConfig` and `assertAllowed` throw, `environment_limit`. */
export async function createEnvironment(
  context: EnvironmentContext,
  body: CreateEnvironment,
  effectOf: (id: string) => Effect,
): Promise<EnvironmentRow> {
  assertScope(body.scope)
  const config = wholeConfig(body.config ?? { type: 'local' }, null)
  await context.assertAllowed(config)
  const id = newId('env')
  const at = context.clock.now()
  const row: EnvironmentRow = {
    id,
    workspaceId: context.workspaceId,
    name: body.name,
    description: body.description ?? null,
    config,
    metadata: body.metadata ?? {},
    version: 1,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
  }
  try {
    await context.environments.create(row, MAX_ENVIRONMENTS, effectOf(id))
  } catch (error) {
    if (!(error instanceof EnvironmentLimit)) throw error
    throw new ApiError('environment_limit', `There are ${error.message}, as many as may be; delete one.`)
  }
  return row
}

/**
 * Changes what is given; sessions that have begun keep what they began with. Throws `environment_not_found`,
 * `environment_archived`, `environment_read_only`, and as `createEnvironment`.
 */
export function updateEnvironment(
  context: EnvironmentContext,
  id: string,
  change: UpdateEnvironment,
  effect: Effect,
): Promise<EnvironmentRow> {
  assertScope(change.scope)
  return decide(context, id, effect, async (row) => {
    if (row.archivedAt !== null)
      throw new ApiError('environment_archived', `Environment ${id} is archived and cannot be changed.`)
    const config = change.config ? wholeConfig(change.config, row.config) : row.config
    // Also where it stays: who renames it stands for it from now on.
    await context.assertAllowed(config)
    return {
      ...row,
      name: change.name ?? row.name,
      description: change.description === undefined ? row.description : change.description,
      metadata: merged(row.metadata, change.metadata),
      config,
    }
  })
}

/** No session begins in it from now on. Archiving twice is one archiving. Throws `environment_not_found`, `environment_read_only`. */
export const archiveEnvironment = (context: EnvironmentContext, id: string, effect: Effect): Promise<EnvironmentRow> =>
  decide(context, id, effect, async (row, at) => ({ ...row, archivedAt: row.archivedAt ?? at }))

/** Forgets it; sessions that began in it go on. Throws `environment_not_found`, `environment_read_only`. */
export async function deleteEnvironment(
  { environments, workspaceId }: EnvironmentContext,
  id: string,
  effect: Effect,
): Promise<void> {
  assertOwn(id)
  if (await environments.delete(workspaceId, id, effect)) return
  await requireEnvironment(environments, workspaceId, id)
}

/** Makes a change on the environment as it stands, again where somebody was faster. What changes nothing is not written. */
async function decide(
  { environments, clock, workspaceId }: EnvironmentContext,
  id: string,
  effect: Effect,
  change: (row: EnvironmentRow, at: number) => Promise<EnvironmentRow>,
): Promise<EnvironmentRow> {
  assertOwn(id)
  for (;;) {
    const row = await requireEnvironment(environments, workspaceId, id)
    const at = clock.now()
    const next = await change(row, at)
    if (isDeepStrictEqual(next, row)) return row
    try {
      await environments.replace({ ...next, updatedAt: at }, row.version, effect)
      return { ...next, updatedAt: at, version: row.version + 1 }
    } catch (error) {
      if (!(error instanceof EnvironmentChanged)) throw error
    }
  }
}

function assertOwn(id: string): void {
  if (id === DEFAULT_ENVIRONMENT_ID)
    throw new ApiError('environment_read_only', `${id} is built in; save an environment of your own instead.`)
}

function assertScope(scope: CreateEnvironment['scope']): void {
  if (scope === 'account')
    throw new ApiError('unsupported_feature', 'Environments belong to the workspace; leave scope out.')
}

function merged(metadata: Record<string, string>, change: UpdateEnvironment['metadata']): Record<string, string> {
  if (change === undefined) return metadata
  const pairs = Object.entries({ ...(change && metadata), ...change }).filter(
    (pair): pair is [string, string] => pair[1] !== null && pair[1] !== '',
  )
  if (pairs.length > 16)
    throw new ApiError('validation_failed', `metadata would have ${pairs.length} pairs; at most 16 are.`, {
      errors: [{ pointer: '/metadata', code: 'too_big', detail: 'at most 16 pairs' }],
    })
  return Object.fromEntries(pairs)
}
