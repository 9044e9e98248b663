import { idToUuid } from '@troupe/protocol/ids'
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { type LimitWatch, watchLimits } from '../runner/watch-limits.ts'
import { sessionPaths } from '../sessions/admission.ts'
import { temporaryRoot } from '../sessions/temporary-root.ts'
import type { Undo } from './undo.ts'

/** Looks what agents take, with all that lies in the folders of their sessions. */
export function watchAgents(
  config: Config,
  sessionsDir: string,
  watch: Omit<LimitWatch, 'foldersOf'>,
  undo: Undo,
): void {
  const watching = new AbortController()
  const foldersOf = (id: string) => {
    const { workdir, configDir, home } = sessionPaths(sessionsDir, id)
    return [realPath(workdir), configDir, home, join(temporaryRoot(config.data_dir) ?? '/nonexistent', idToUuid(id))]
  }
  const watched = watchLimits({ ...watch, foldersOf }, watching.signal)
  undo.push(async () => {
    watching.abort()
    await watched
  })
}

/** Where a workdir lies that is noted by a link. */
const realPath = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return path
  }
}
