import {
  DummyDriver,
  type ExpressionBuilder,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './schema.ts'

/** Builds SQL and never runs it: better-sqlite3 is synchronous, and a group commit needs that. */
export const sql = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

type Range = { gt?: number; gte?: number; lt?: number; lte?: number } | undefined

/** Conditions on when a row was made. */
export function createdAt(eb: ExpressionBuilder<Tables, 'sessions' | 'events'>, range: Range) {
  const all = []
  if (range?.gt !== undefined) all.push(eb('created_at', '>', range.gt))
  if (range?.gte !== undefined) all.push(eb('created_at', '>=', range.gte))
  if (range?.lt !== undefined) all.push(eb('created_at', '<', range.lt))
  if (range?.lte !== undefined) all.push(eb('created_at', '<=', range.lte))
  return all
}
