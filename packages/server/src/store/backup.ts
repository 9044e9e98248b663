import Sqlite from 'better-sqlite3'
import { MIGRATIONS } from './migrations.ts'

/** What a copy of a store holds. */
export interface StoreCopy {
  /** Its number of migrations. */
  schema: number
  sessions: number
}

/**
 * Copies a store into a new file as it stands at one moment, while a server may be writing to it: pages that change
 * meanwhile are copied again. Checks the copy. Throws when the file is no store, is damaged, or is of a newer Troupe.
 */
export async function copyStore(from: string, to: string): Promise<StoreCopy> {
  const db = new Sqlite(from, { readonly: true, fileMustExist: true, timeout: 5_000 })
  try {
    await db.backup(to)
  } finally {
    db.close()
  }
  return checkStore(to)
}

/** Throws what keeps a file from being used as a store. */
function checkStore(file: string): StoreCopy {
  const db = new Sqlite(file, { fileMustExist: true })
  try {
    const schema = db.pragma('user_version', { simple: true }) as number
    if (schema > MIGRATIONS.length)
      throw new Error(`it has schema ${schema}; this Troupe knows ${MIGRATIONS.length}. Use the newer one.`)
    const sound = db.pragma('integrity_check', { simple: true })
    if (schema === 0 || sound !== 'ok') throw new Error(`${file} is not a sound store: ${String(sound)}`)
    const { n } = db.prepare('select count(*) as n from sessions').get() as { n: number }
    // One file, without a log beside it.
    db.pragma('journal_mode = delete')
    return { schema, sessions: n }
  } finally {
    db.close()
  }
}

/** Lets the workdirs that lie in a data folder lie in another. */
export function moveWorkdirs(file: string, from: string, to: string): void {
  const db = new Sqlite(file, { fileMustExist: true })
  try {
    db.prepare(
      `update sessions set cwd = ? || substr(cwd, length(?) + 1) where substr(cwd, 1, length(?) + 1) = ? || '/'`,
    ).run(to, from, from, from)
  } finally {
    db.close()
  }
}
