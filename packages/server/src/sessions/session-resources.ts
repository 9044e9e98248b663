import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { MAX_RESOURCE_BYTES, MAX_RESOURCES, type ResourceParam } from '@troupe/protocol/resource'
import { removeUnneeded, requireFile } from '../files/find-file.ts'
import { isTaken, mountFile, OUT_OF_REACH, unmountFile } from '../files/mount-file.ts'
import { defaultMountPath, mountParts } from '../files/mount-path.ts'
import type { RepositoryRow } from '../store/repositories.ts'
import { FileGone, type ResourceRow } from '../store/resources.ts'
import type { SessionRow } from '../store/session-row.ts'
import { type Caller, holds } from './caller.ts'
import { changeSession, requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { mountOf } from './mount-resources.ts'
import { newEvent } from './new-event.ts'
import { resourceToWire } from './resource-wire.ts'
import {
  addRepository,
  isRepository,
  placeOf,
  removeRepository,
  repositoriesOf,
  requireAnyResource,
} from './session-repositories.ts'

/** What a session is to be given besides what it has, checked but for what lies in its workdir. */
export type NewResources = (sessionId: string, at: number, known: readonly Place[]) => ResourceRow[]
/** What of a resource others must keep clear of. */
type Place = Pick<ResourceRow, 'path' | 'sizeBytes'>

/**
 * Checks what a session is to be given: the files are the workspace's, the caller may read them, and their places are
 * inside of the workdir and differ. Throws `unsupported_feature`, `scope_missing`, `file_not_found`,
 * `validation_failed`; what it answers throws `resource_limit` and `mount_path_taken`.
 */
export async function checkResources(
  context: Pick<SessionContext, 'files'>,
  caller: Caller,
  params: readonly ResourceParam[],
  pointer: string,
): Promise<NewResources> {
  if (params.some(({ type }) => type === 'file') && !holds(caller, 'files:read'))
    throw new ApiError(
      'scope_missing',
      'To give files to a session needs the scope files:read, which the key does not have.',
    )
  const { workspaceId } = caller
  const wanted: Omit<ResourceRow, 'sessionId' | 'createdAt'>[] = []
  for (const [index, param] of params.entries()) {
    if (param.type === 'github_repository') continue
    if (param.type !== 'file')
      throw new ApiError(
        'unsupported_feature',
        `resources of type "${param.type}" are not supported by this version; see the capabilities at /v1/info.`,
      )
    const { file_id: fileId } = param
    const mountPath = param.mount_path ?? defaultMountPath(String(fileId))
    const parts = mountParts(mountPath, `${pointer.replace('*', String(index))}/mount_path`)
    const { sizeBytes } = await requireFile(context.files, workspaceId, fileId)
    wanted.push({
      id: newId('sesrsc'),
      workspaceId,
      type: 'file',
      mountPath,
      path: parts.join('/'),
      fileId,
      sizeBytes,
    })
  }
  return (sessionId, at, known) => {
    const added = wanted.map((row) => ({ ...row, sessionId, createdAt: at }))
    const all: Place[] = [...known, ...added]
    for (const [index, row] of added.entries())
      if (isInTheWay(all.slice(0, known.length + index), row)) throw taken(row)
    const bytes = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    if (added.length > 0 && (all.length > MAX_RESOURCES || bytes > MAX_RESOURCE_BYTES))
      throw new ApiError(
        'resource_limit',
        `The session would have ${all.length} resources with ${bytes} bytes; it may have ${MAX_RESOURCES} with ${MAX_RESOURCE_BYTES}.`,
      )
    return added
  }
}

const isBelow = (path: string, folder: string) => path.startsWith(`${folder}/`)

const isInTheWay = (all: readonly Pick<Place, 'path'>[], row: Pick<Place, 'path'>): boolean =>
  all.some(({ path }) => path === row.path || isBelow(path, row.path) || isBelow(row.path, path))

/** Throws `mount_path_taken` where two of these are at one place, or one is in another. */
export function assertApart(places: readonly Pick<Place, 'path'>[]): void {
  for (const [index, place] of places.entries())
    if (isInTheWay(places.slice(0, index), place)) throw taken({ mountPath: place.path })
}

const taken = ({ mountPath }: Pick<ResourceRow, 'mountPath'>) =>
  new ApiError(
    'mount_path_taken',
    `At ${JSON.stringify(mountPath)} something is already, or in its way; name another place.`,
  )

type Mounted = Pick<ResourceRow, 'path' | 'mountPath'>

/** Refuses places where something is; in a workdir that is yet to be made (null) there is nothing. Throws `mount_path_taken`. */
export async function assertFree(cwd: string | null, rows: readonly Mounted[]): Promise<void> {
  if (cwd === null) return
  for (const row of rows)
    if (await isTaken(cwd, row.path.split('/')).catch((error: unknown) => outOfReach(error, row))) throw taken(row)
}

/** A workdir that the server may not read or write, in the API's words. */
function outOfReach(error: unknown, { mountPath }: Mounted): never {
  const { code = '' } = error as NodeJS.ErrnoException
  if (!OUT_OF_REACH.has(code)) throw error
  const detail = `At ${JSON.stringify(mountPath)} nothing can be put into the workdir (${code}); see that it is there and may be written.`
  throw new ApiError('mount_path_taken', detail, { cause: error })
}

/** The store's refusal in the API's words: the file was deleted in the last moment. */
export function asFileNotFound(error: unknown): unknown {
  return error instanceof FileGone
    ? new ApiError('file_not_found', `File ${JSON.stringify(error.message)} does not exist.`, { cause: error })
    : error
}

/**
 * Gives an idle session a file or a repository, which is cloned before the next turn. Of a file a copy of it lies in the workdir when this resolves. Decided with its row; a server
 * that dies before the copy is there puts it there before the next turn. Throws what `checkResources` throws,
 * `session_running` and `session_terminated`.
 */
export async function addResource(
  context: SessionContext,
  caller: Caller,
  sessionId: string,
  param: ResourceParam,
  idempotency: Idempotency | null,
): Promise<ResourceRow | RepositoryRow> {
  const { snapshots, files } = context
  if (param.type === 'github_repository') return giveRepository(context, caller, sessionId, param, idempotency)
  const resources = await checkResources(context, caller, [param], '')
  const asked = await requireSession(context, sessionId)
  assertIdle(asked)
  await snapshots.settled(asked)
  return snapshots.lock.run(asked.cwd, async () => {
    let row: ResourceRow | undefined
    await changeSession(context, sessionId, async ({ session }, at) => {
      assertIdle(session)
      const added = resources(sessionId, at, await placesOf(context, sessionId))
      await assertFree(session.cwd, added)
      row = added[0]!
      const effect = idempotency && { effect: { ...idempotency, result: JSON.stringify({ resource_id: row.id }) } }
      const told = newEvent('session.updated', null, at, { resources_added: added.map(resourceToWire) })
      return { session: {}, newResources: added, events: [told], ...effect }
    }).catch((error: unknown) => {
      throw asFileNotFound(error)
    })
    const { id } = row!
    try {
      const put = mountFile(files.folder, asked.cwd, mountOf(row!), files.owner)
      if (!(await put.catch((error: unknown) => outOfReach(error, row!)))) throw taken(row!)
    } catch (error) {
      // It is refused as a whole; if even that cannot be written, the next turn tries again.
      await forget(context, sessionId, id)
      throw error
    }
    return row!
  })
}

const placesOf = async ({ store }: SessionContext, sessionId: string): Promise<Place[]> => [
  ...(await store.resources.list(sessionId)),
  ...(await store.repositories.list(sessionId)).map(placeOf),
]

/** Gives an idle session a repository, at a place where nothing is. */
async function giveRepository(
  context: SessionContext,
  caller: Caller,
  sessionId: string,
  param: ResourceParam,
  idempotency: Idempotency | null,
): Promise<RepositoryRow> {
  const rows = repositoriesOf(context, caller, [param], '')
  const asked = await requireSession(context, sessionId)
  assertIdle(asked)
  await context.snapshots.settled(asked)
  const check = async (row: RepositoryRow) => {
    assertIdle(await requireSession(context, sessionId))
    assertApart([...(await placesOf(context, sessionId)), row])
    await assertFree(asked.cwd, [row])
  }
  return context.snapshots.lock.run(asked.cwd, () => addRepository(context, sessionId, rows, check, idempotency))
}

/** Throws `resource_not_found`. */
export async function requireResource({ store }: SessionContext, sessionId: string, id: string): Promise<ResourceRow> {
  const row = (await store.resources.list(sessionId)).find((each) => each.id === id)
  if (!row) throw new ApiError('resource_not_found', `Session ${sessionId} has no resource ${JSON.stringify(id)}.`)
  return row
}

/**
 * Takes what an idle session was given away again, and its copy, unless the agent has made something else of it. A
 * server that dies in between leaves both, at the latest before the next turn. Throws `resource_not_found`,
 * `session_running`, `session_terminated`.
 */
export async function removeResource(
  context: SessionContext,
  sessionId: string,
  id: string,
  idempotency: Idempotency | null,
): Promise<void> {
  const { snapshots, files } = context
  const asked = await requireSession(context, sessionId)
  if (isRepository(await requireAnyResource(context.store, sessionId, id)))
    return removeRepository(context, sessionId, id, assertIdle, idempotency)
  assertIdle(asked)
  await snapshots.settled(asked)
  await snapshots.lock.run(asked.cwd, async () => {
    const row = await requireResource(context, sessionId, id)
    assertIdle(await requireSession(context, sessionId))
    await unmountFile(files.folder, asked.cwd, mountOf(row), files.owner)
    // A turn that has begun meanwhile waits for the lock, and puts back what it still has.
    await forget(context, sessionId, id, idempotency)
  })
}

async function forget(context: SessionContext, sessionId: string, id: string, idempotency: Idempotency | null = null) {
  const row = await requireResource(context, sessionId, id)
  await changeSession(context, sessionId, ({ session }, at) => {
    assertIdle(session)
    return {
      session: {},
      removedResources: [id],
      events: [newEvent('session.updated', null, at, { resources_removed: [id] })],
      ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ resource_id: id }) } }),
    }
  })
  await removeUnneeded(context.files, [row.fileId])
}

function assertIdle(session: SessionRow): void {
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived; its resources stay as they are.`)
  if (session.status !== 'idle' || session.holder !== null)
    throw new ApiError('session_running', `Session ${session.id} has work; interrupt it and wait until it is idle.`)
}
