import { mountFile } from '../files/mount-file.ts'
import type { ResourceRow } from '../store/resources.ts'
import type { SessionRow } from '../store/store.ts'
import type { SessionContext } from './context.ts'

export const mountOf = ({ id, fileId, path }: ResourceRow) => ({ id, fileId, parts: path.split('/') })

/**
 * Puts what a session was given into its workdir where nothing is: at its first turn, behind a kill in the middle, a
 * rewind of the files, a fork. What is there is left as it is. The rows say what is to be there, so it may be done again
 * at any time. Rejects where the disk refuses: an agent must not begin without its input. The caller has the workdir's
 * lock.
 */
export async function mountResources({ store, files }: SessionContext, session: SessionRow): Promise<void> {
  for (const row of await store.resources.list(session.id)) await mountFile(files.folder, session.cwd, mountOf(row))
}
