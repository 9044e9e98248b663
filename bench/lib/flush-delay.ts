import Sqlite from 'better-sqlite3'
import { openSqliteStore, sqliteStore } from '../../packages/server/src/store/sqlite.ts'
import type { Store } from '../../packages/server/src/store/store.ts'

/**
 * A disk that takes `ms` for each flush. `blocking`: as it is now, the event loop stands still meanwhile. Not
 * `blocking`: as with a writer in another thread, at its best: the loop goes on, and who wrote waits for the end of the
 * flush after the one that runs.
 */
export interface FlushDelay {
  ms: number
  blocking: boolean
}

export function openDelayedStore(file: string, delay: FlushDelay | null): Store {
  const plain = openSqliteStore(file)
  if (!delay) return plain
  if (!delay.blocking) return afterFlush(plain, delay.ms)
  void plain.close()
  const db = new Sqlite(file, { timeout: 0 })
  for (const pragma of ['synchronous = full', 'cache_size = -16000', 'mmap_size = 268435456']) db.pragma(pragma)
  const exec = db.exec.bind(db)
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  db.exec = (sql) => {
    exec(sql)
    if (sql === 'commit') Atomics.wait(sleeper, 0, 0, delay.ms)
    return db
  }
  return sqliteStore(db)
}

const WRITES = new Set<PropertyKey>(['createSession', 'commit'])

function afterFlush(store: Store, ms: number): Store {
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null
  const sleep = () => new Promise<void>((resolve) => setTimeout(resolve, ms))
  const flush = (): Promise<void> => {
    if (next) return next
    next = (running ?? Promise.resolve()).then(() => {
      running = next
      next = null
      return sleep()
    })
    return next
  }
  return new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name) as (...args: unknown[]) => unknown
      if (typeof member !== 'function') return member
      if (!WRITES.has(name)) return member.bind(target)
      return async (...args: unknown[]) => {
        const result = await member.apply(target, args)
        await flush()
        return result
      }
    },
  })
}
