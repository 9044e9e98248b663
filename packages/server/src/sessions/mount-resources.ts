import { mountFile } from '../files/mount-file.ts'
import { cloneRepository } from '../repositories/clone.ts'
import type { ResourceRow } from '../store/resources.ts'
import type { SessionRow } from '../store/session-row.ts'
import { StorageUnavailable } from '../store/errors.ts'
import type { SessionContext } from './context.ts'

export const mountOf = ({ id, fileId, path }: ResourceRow) => ({ id, fileId, parts: path.split('/') })

/**
 * Puts what a session was given into its workdir where nothing is: at its first turn, behind a kill in the middle, a
 * rewind of the files, a fork. What is there is left as it is. The rows say what is to be there, so it may be done again
 * at any time. Rejects where the disk refuses, and
 * with `RepositoryProblem`: an agent must not begin without its input. The caller has the workdir's
 * lock. `ending`: stops a clone.
 */
export async function mountResources(
  { store, files, repositories }: SessionContext,
  session: SessionRow,
  ending: AbortSignal,
): Promise<void> {
  for (const { path, ...row } of await store.repositories.list(session.id))
    await cloneRepository(repositories.git, session.cwd, { ...row, parts: path.split('/') }, ending)
  for (const row of await store.resources.list(session.id))
    await mountFile(files.folder, session.cwd, mountOf(row), files.owner).catch((cause: unknown) => {
      const { code, message } = cause as NodeJS.ErrnoException
      const why = cause instanceof StorageUnavailable ? 'the disk is full' : (code ?? message)
      throw new Error(`${JSON.stringify(row.mountPath)} could not be put into the workdir: ${why}`, { cause })
    })
}
