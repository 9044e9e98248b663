import { sql } from './query.ts'
import { turnFromRow } from './rows.ts'
import type { TurnsTable } from './schema.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { TurnStore } from './turns.ts'

export function sqliteTurns({ statement, all }: SqliteAccess): TurnStore {
  return {
    async readTurn(sessionId, turnId) {
      const row = statement('select * from turns where id = ? and session_id = ?').get(turnId, sessionId)
      return row ? turnFromRow(row as TurnsTable) : null
    },

    async listTurns(sessionId, order, limit, after) {
      let query = sql.selectFrom('turns').selectAll().where('session_id', '=', sessionId)
      if (after !== null) query = query.where('number', order === 'asc' ? '>' : '<', after)
      const rows = all<TurnsTable>(query.orderBy('number', order).limit(limit + 1))
      return { rows: rows.slice(0, limit).map(turnFromRow), more: rows.length > limit }
    },
  }
}
