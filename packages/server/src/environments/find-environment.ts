import { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import type { EnvironmentRow, EnvironmentStore } from '../store/environments.ts'
import { wholeConfig } from './config.ts'

/** Throws `environment_not_found`, for one of another workspace too. */
export async function requireEnvironment(
  store: EnvironmentStore,
  workspaceId: string,
  id: string,
): Promise<EnvironmentRow> {
  const row = id === DEFAULT_ENVIRONMENT_ID ? builtIn(workspaceId) : await store.read(workspaceId, id)
  if (row) return row
  throw new ApiError('environment_not_found', `Environment ${JSON.stringify(id)} does not exist.`)
}

/** One that sessions may begin in; without a name the built-in one. Throws `environment_not_found`, `environment_archived`. */
export async function startableEnvironment(
  store: EnvironmentStore,
  workspaceId: string,
  id: string | undefined,
): Promise<EnvironmentRow> {
  const row = await requireEnvironment(store, workspaceId, id ?? DEFAULT_ENVIRONMENT_ID)
  if (row.archivedAt !== null)
    throw new ApiError(
      'environment_archived',
      `Environment ${row.id} is archived; sessions that began in it go on, new ones do not begin.`,
    )
  return row
}

/** The built-in environment as a row: it belongs to every workspace, and to none. */
const builtIn = (workspaceId: string): EnvironmentRow => ({
  id: DEFAULT_ENVIRONMENT_ID,
  workspaceId,
  name: 'Default',
  description: 'This machine, as the server is set up.',
  config: wholeConfig({ type: 'local' }, null),
  metadata: {},
  version: 1,
  createdAt: 0,
  updatedAt: 0,
  archivedAt: null,
})
