import type { Database, Statement } from 'better-sqlite3'
import type { Compilable } from 'kysely'
import type { GroupCommit } from './group-commit.ts'
import type { Effect } from './idempotency.ts'
import { noteEffect } from './sqlite-idempotency.ts'

/** Statements kept prepared, at most; shapes beyond that (rare filters) are prepared anew. */
const MAX_STATEMENTS = 500

/** What the store lends: prepared statements, its one writer, and idempotency keys to note an effect under. */
export interface SqliteAccess {
  statement(text: string): Statement
  /** Runs what Kysely built. */
  run(query: Compilable): void
  all<T>(query: Compilable): T[]
  write<T>(run: () => T): Promise<T>
  noteEffect(effect: Effect): void
}

/** The access to one connection. `forget` lets its statements go, before it is closed. */
export function sqliteAccess(db: Database, writer: GroupCommit): { access: SqliteAccess; forget: () => void } {
  const statements = new Map<string, Statement>()
  const statement = (text: string): Statement => {
    let known = statements.get(text)
    if (!known) {
      known = db.prepare(text)
      if (statements.size < MAX_STATEMENTS) statements.set(text, known)
    }
    return known
  }
  const access: SqliteAccess = {
    statement,
    run(query) {
      const { sql: text, parameters } = query.compile()
      statement(text).run(...parameters)
    },
    all<T>(query: Compilable) {
      const { sql: text, parameters } = query.compile()
      return statement(text).all(...parameters) as T[]
    },
    write: (run) => writer.write(run),
    noteEffect: (effect) => noteEffect(statement, effect),
  }
  return { access, forget: () => statements.clear() }
}
