import type { Policy } from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { DEFAULT_WORKSPACE } from '../sessions/caller.ts'
import { AccessLimit, type WorkspaceRow } from '../store/keys.ts'
import { type AccessContext, effectOf, type Key } from './context.ts'

/** Workspaces that are not archived, at most. */
export const MAX_WORKSPACES = 1_000

const noWorkspace = (id: string) =>
  new ApiError('workspace_not_found', `Workspace ${JSON.stringify(id)} does not exist.`)

/** Throws `workspace_not_found`. */
export async function requireWorkspace({ keys }: AccessContext, id: string): Promise<WorkspaceRow> {
  const row = await keys.readWorkspace(id)
  if (!row) throw noWorkspace(id)
  return row
}

/** Throws `access_limit`. */
export async function createWorkspace(
  { keys, clock }: AccessContext,
  name: string,
  policy: Policy,
  retention: WorkspaceRow['retention'],
  key: Key,
): Promise<WorkspaceRow> {
  const at = clock.now()
  const row = { id: newId('wrkspc'), name, policy, retention, createdAt: at, updatedAt: at, archivedAt: null }
  try {
    await keys.createWorkspace(row, MAX_WORKSPACES, effectOf(key, { id: row.id }))
  } catch (error) {
    if (!(error instanceof AccessLimit)) throw error
    throw new ApiError('access_limit', `There are ${MAX_WORKSPACES} workspaces; archive one that is not needed.`)
  }
  return row
}

/** Throws `workspace_not_found`, for one that is archived too. */
export async function updateWorkspace(
  { keys, clock }: AccessContext,
  id: string,
  patch: Partial<Pick<WorkspaceRow, 'name' | 'policy' | 'retention'>>,
  key: Key,
): Promise<WorkspaceRow> {
  const row = await keys.updateWorkspace(id, clock.now(), patch, effectOf(key, { id }))
  if (!row) throw noWorkspace(id)
  return row
}

/** Ends all keys of a workspace; what it owns stays. Throws `workspace_not_found`, `validation_failed` for the default one. */
export async function archiveWorkspace({ keys, clock }: AccessContext, id: string, key: Key): Promise<WorkspaceRow> {
  if (id === DEFAULT_WORKSPACE)
    throw new ApiError('validation_failed', `${DEFAULT_WORKSPACE} cannot be archived: whoever needs no key is in it.`)
  const row = await keys.archiveWorkspace(id, clock.now(), effectOf(key, { id }))
  if (!row) throw noWorkspace(id)
  return row
}
