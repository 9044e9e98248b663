import Sqlite from 'better-sqlite3'
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import { MIGRATIONS } from './migrations.ts'

/** Opens or creates `file` and brings it to the newest schema. Throws when it was written by a newer Troupe. */
export function openDatabase(file: string): Sqlite.Database {
  keepPrivate(file)
  const db = new Sqlite(file, { timeout: 0 })
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('cache_size = -16000')
  db.pragma('mmap_size = 268435456')
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > MIGRATIONS.length) {
    db.close()
    throw new Error(`${file} has schema ${version}; this Troupe knows ${MIGRATIONS.length}. Start the newer one.`)
  }
  for (const [index, migration] of MIGRATIONS.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(migration)
      db.pragma(`user_version = ${index + 1}`)
    })()
  }
  return db
}

/** The file holds conversations and secrets: nobody but the server's user may read it. SQLite gives `-wal` its mode. */
function keepPrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
  for (const each of [file, `${file}-wal`, `${file}-shm`]) if (existsSync(each)) chmodSync(each, 0o600)
}
