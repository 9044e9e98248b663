import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { MAX_REPOSITORIES, type RepositoryResourceParam } from '@troupe/protocol/repository'
import type { ResourceParam } from '@troupe/protocol/resource'
import { mountParts } from '../files/mount-path.ts'
import { repositoryName, repositoryUrl } from '../repositories/sources.ts'
import type { RepositoryRow } from '../store/repositories.ts'
import type { ResourceRow } from '../store/resources.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import type { Caller } from './caller.ts'
import { changeSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { newEvent } from './new-event.ts'
import { resourceToWire } from './resource-wire.ts'

type AnyResource = ResourceRow | RepositoryRow

/** Everything that a session was given, by (created, id). */
export async function allResources(
  { resources, repositories }: Pick<Store, 'resources' | 'repositories'>,
  sessionId: string,
): Promise<AnyResource[]> {
  const [files, cloned] = [await resources.list(sessionId), await repositories.list(sessionId)]
  if (cloned.length === 0) return files
  return [...files, ...cloned].toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
}

/** Throws `resource_not_found`. */
export async function requireAnyResource(store: Store, sessionId: string, id: string): Promise<AnyResource> {
  const row = (await allResources(store, sessionId)).find((each) => each.id === id)
  if (!row) throw new ApiError('resource_not_found', `Session ${sessionId} has no resource ${JSON.stringify(id)}.`)
  return row
}

export const isRepository = (row: AnyResource): row is RepositoryRow => 'url' in row

/** What takes up room in a workdir, where repositories and files are told apart by their places. */
export const placeOf = ({ path }: RepositoryRow) => ({ path, sizeBytes: 0 })

/**
 * The repositories among what a session is to be given, as rows. Throws `repository_refused`, `validation_failed` and
 * `resource_limit`; that their places differ from others is looked at with those.
 */
export function repositoriesOf(
  { repositories }: Pick<SessionContext, 'repositories'>,
  { workspaceId }: Pick<Caller, 'workspaceId'>,
  params: readonly ResourceParam[],
  pointer: string,
): (sessionId: string, at: number) => RepositoryRow[] {
  const wanted = params.flatMap((param, index) => {
    if (param.type !== 'github_repository') return []
    const asked = param as RepositoryResourceParam
    const at = pointer.replace('*', String(index))
    const url = repositoryUrl(asked.url, repositories.sources, `${at}/url`)
    const mountPath = asked.mount_path ?? `/workspace/${repositoryName(url)}`
    const path = mountParts(mountPath, `${at}/mount_path`).join('/')
    const { authorization_token: token = null, checkout = null } = asked
    return [{ id: newId('sesrsc'), workspaceId, url, token, checkout, mountPath, path }]
  })
  assertFew(wanted.length)
  return (sessionId, at) => wanted.map((row) => ({ ...row, sessionId, createdAt: at, updatedAt: at }))
}

export function assertFew(count: number): void {
  if (count > MAX_REPOSITORIES)
    throw new ApiError(
      'resource_limit',
      `The session would have ${count} repositories; it may have ${MAX_REPOSITORIES}.`,
    )
}

/** The same repositories for a fork. */
export const forkedRepositories = (rows: readonly RepositoryRow[], sessionId: string): RepositoryRow[] =>
  rows.map((row) => ({ ...row, id: newId('sesrsc'), sessionId }))

const effectOf = (idempotency: Idempotency | null, id: string) =>
  idempotency && { effect: { ...idempotency, result: JSON.stringify({ resource_id: id }) } }

/**
 * Takes another token from now on: the next clone is made with it. Throws `resource_not_found`, `unsupported_feature` for
 * what has none, `session_terminated`.
 */
export async function rotateToken(
  context: SessionContext,
  sessionId: string,
  id: string,
  token: string | undefined,
  idempotency: Idempotency | null,
): Promise<AnyResource> {
  const { store } = context
  const asked = await requireAnyResource(store, sessionId, id)
  if (!isRepository(asked))
    throw new ApiError('unsupported_feature', 'A file cannot be changed; remove it and add another.')
  if (token === undefined)
    throw new ApiError('validation_failed', 'authorization_token is what can be changed of a repository.', {
      errors: [{ pointer: '/authorization_token', code: 'invalid_type', detail: 'a text' }],
    })
  await changeSession(context, sessionId, async ({ session }, at) => {
    if (session.status === 'terminated')
      throw new ApiError('session_terminated', `Session ${sessionId} is archived; its resources stay as they are.`)
    await requireAnyResource(store, sessionId, id)
    return {
      session: {},
      repositories: { tokens: [{ id, token, at }] },
      events: [newEvent('session.updated', null, at, { resources_changed: [id] })],
      ...effectOf(idempotency, id),
    }
  })
  return requireAnyResource(store, sessionId, id)
}

/** Gives an idle session a repository: it is cloned before the next turn. `check` throws where the session may not have it. */
export async function addRepository(
  context: SessionContext,
  sessionId: string,
  rows: (sessionId: string, at: number) => RepositoryRow[],
  check: (row: RepositoryRow) => Promise<void>,
  idempotency: Idempotency | null,
): Promise<RepositoryRow> {
  let row: RepositoryRow | undefined
  await changeSession(context, sessionId, async (_, at) => {
    row = rows(sessionId, at)[0]!
    await check(row)
    assertFew((await context.store.repositories.list(sessionId)).length + 1)
    return {
      session: {},
      repositories: { add: [row] },
      events: [newEvent('session.updated', null, at, { resources_added: [resourceToWire(row)] })],
      ...effectOf(idempotency, row.id),
    }
  })
  return row!
}

/** Forgets a repository and its token; what was cloned stays, with what the agent made of it. */
export async function removeRepository(
  context: SessionContext,
  sessionId: string,
  id: string,
  check: (session: SessionRow) => void,
  idempotency: Idempotency | null,
): Promise<void> {
  await changeSession(context, sessionId, ({ session }, at) => {
    check(session)
    return {
      session: {},
      repositories: { remove: [id] },
      events: [newEvent('session.updated', null, at, { resources_removed: [id] })],
      ...effectOf(idempotency, id),
    }
  })
}
