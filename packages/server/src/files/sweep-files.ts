import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileContext } from './context.ts'

/**
 * Removes contents that nobody owns: a server that dies while it receives a file, or between forgetting one and removing
 * it, leaves them. Only before anything is served, or a file that is just being received would be lost. Gives their
 * number.
 */
export async function sweepFiles({ store, folder }: FileContext): Promise<number> {
  let removed = 0
  for (const name of await readdir(folder).catch(() => [])) {
    if (await store.has(name)) continue
    await rm(join(folder, name), { recursive: true, force: true })
    removed++
  }
  return removed
}
