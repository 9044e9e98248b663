import { execFile, spawnSync } from 'node:child_process'
import { lstatSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/**
 * Node looks at each folder by its path and then goes in by its path: who can put a link there in between has root remove
 * what he likes. The program of the system goes from open folder to open folder.
 */
const byProgram = process.getuid?.() === 0 && process.platform === 'linux'
const TRIES = 10
const PAUSE_MS = 100
const words = (path: string): string[] => ['-rf', '--one-file-system', '--', forOthers(path)]

/** Removes a folder with all in it, whatever others do in it meanwhile. What is not there is no trouble. */
export async function removeTree(path: string): Promise<void> {
  if (!byProgram) return rm(path, { recursive: true, force: true, maxRetries: 10 })
  // Somebody may still be writing in it.
  for (let tries = TRIES; lstatSync(path, { throwIfNoEntry: false }); tries--)
    try {
      await promisify(execFile)('rm', words(path))
    } catch (error) {
      // As Node says it: somebody is still at work in there.
      const { message } = error as Error
      if (tries === 0)
        throw Object.assign(new Error(message), { code: /not empty/.test(message) ? 'ENOTEMPTY' : 'EACCES' })
      await delay(PAUSE_MS)
    }
}

/** The same, at once. */
export function removeTreeSync(path: string): void {
  if (!byProgram) return rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  if (!lstatSync(path, { throwIfNoEntry: false })) return
  const { status, error, stderr } = spawnSync('rm', words(path), { encoding: 'utf8' })
  if (status !== 0) throw error ?? new Error(stderr.trim())
}

/** A path of an open folder of ours, as other programs name it. */
export const forOthers = (path: string): string => path.replace('/proc/self/', `/proc/${process.pid}/`)
