import { readFileSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const MOUNT = '/sys/fs/cgroup'
/** Processes that were killed are gone a moment later. */
const TRIES = 5
const PAUSE_MS = 50

/**
 * Removes the control groups of a container from those that this server is in, where a runtime that was killed while it
 * made them left some. Never rejects.
 */
export async function removeControlGroups(name: string): Promise<void> {
  let own = ''
  try {
    own = readFileSync('/proc/self/cgroup', 'utf8')
  } catch {
    return
  }
  for (const [, controllers, path] of own.matchAll(/^\d+:([^:]*):(.*)$/gm)) {
    const mounts = controllers === '' ? ['', 'unified'] : [controllers!.replace(/^name=/, '')]
    for (const mount of mounts) await removeGroup(join(MOUNT, mount, path!, name))
  }
}

async function removeGroup(folder: string): Promise<void> {
  for (let left = TRIES; left > 0; left--)
    try {
      return await rmdir(folder)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return
      await delay(PAUSE_MS)
    }
}
