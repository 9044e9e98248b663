import Sqlite from 'better-sqlite3'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** Another server has the data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse'
}

/**
 * Takes the data folder for this process alone. The lock is the operating system's, held through a database file of
 * its own, so it ends with the process, however that ends; no stale file can lock anyone out. Throws
 * `DataFolderInUse`, which says who has it.
 */
export function lockDataFolder(folder: string): { release(): void } {
  const note = join(folder, 'lock.json')
  const lock = new Sqlite(join(folder, 'lock.db'), { timeout: 0 })
  try {
    lock.pragma('journal_mode = delete')
    lock.exec('begin exclusive')
  } catch (cause) {
    lock.close()
    throw new DataFolderInUse(
      `The data folder ${folder} is in use by another Troupe server${holder(note)}. Stop it, or choose another folder with TROUPE_DATA_DIR.`,
      { cause },
    )
  }
  writeFileSync(note, JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() }))
  return {
    release() {
      if (lock.open) lock.close()
    },
  }
}

function holder(note: string): string {
  try {
    const { pid, host, since } = JSON.parse(readFileSync(note, 'utf8')) as Record<string, string | number>
    return ` (process ${pid} on ${host}, since ${since})`
  } catch {
    return ''
  }
}
