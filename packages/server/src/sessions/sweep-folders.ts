import { parseId } from '@troupe/protocol/ids'
import type { Store } from '../store/store.ts'
import { removeFolders } from './session-folders.ts'

/**
 * Removes folders whose session does not exist: a server that dies between making a folder and its session, or between
 * erasing a session and its folder, leaves them. `names` must have been read before anything was served, or a session
 * that is just being created would lose its workdir. Costs one small read per folder.
 */
export async function sweepFolders(
  store: Store,
  sessionsDir: string,
  names: string[],
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (const name of names) {
    if (signal.aborted) break
    const id = parseId('sesn', name)
    if (id === null || (await store.hasSession(id))) continue
    await removeFolders(sessionsDir, id)
    removed++
  }
  return removed
}
