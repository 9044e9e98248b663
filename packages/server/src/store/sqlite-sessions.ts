import { sql as raw } from 'kysely'
import { type ApprovalsTable, approvalFromRow } from './approvals.ts'
import { sql } from './query.ts'
import { sessionFromRow, turnFromRow } from './rows.ts'
import type { SessionsTable, ThreadsTable, TurnsTable } from './schema.ts'
import { sessionsWhere } from './session-filter.ts'
import type { SessionRow } from './session-row.ts'
import type { SessionStore } from './sessions.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { RUNNING_THREADS, threadFromRow } from './sqlite-threads.ts'

export function sqliteSessions({ statement, all }: SqliteAccess): SessionStore {
  const read = (id: string): SessionRow | null => {
    const row = statement('select * from sessions where id = ?').get(id) as SessionsTable | undefined
    return row ? sessionFromRow(row) : null
  }
  return {
    readSession: async (id) => read(id),

    async hasSession(id) {
      return statement('select 1 from sessions where id = ?').get(id) !== undefined
    },

    async readSessionState(id) {
      const session = read(id)
      if (!session) return null
      const rows = statement(
        `select * from turns where session_id = ? and status in ('queued', 'in_progress', 'waiting')
         order by status = 'queued' and resume is null, position, number`,
      ).all(id) as TurnsTable[]
      const approvals = statement('select * from approvals where session_id = ? and open = 1 order by created_at, id')
      const threads = statement(RUNNING_THREADS).all(id) as ThreadsTable[]
      const openTurns = rows.map(turnFromRow)
      const steered = openTurns.find((turn) => turn.startedAt !== null && turn.inputEventIds.length > 1)
      const taken = statement(
        `select distinct id from events where session_id = ? and processed_at is not null
         and id in (select value from json_each(?))`,
      )
      return {
        session,
        openTurns,
        ...(steered && {
          takenInputs: new Set(
            (taken.all(id, JSON.stringify(steered.inputEventIds)) as { id: string }[]).map((event) => event.id),
          ),
        }),
        openThreads: threads.map(threadFromRow),
        approvals: (approvals.all(id) as ApprovalsTable[]).map(approvalFromRow),
      }
    },

    async findByExternalId(workspaceId, externalId) {
      const row = statement(
        'select * from sessions where workspace_id = ? and external_id = ? and archived_at is null',
      ).get(workspaceId, externalId)
      return row ? sessionFromRow(row as SessionsTable) : null
    },

    async isDeleted(id) {
      return statement('select 1 from tombstones where id = ?').get(id) !== undefined
    },

    async workspaceOf(sessionId) {
      const row = statement(
        'select workspace_id as id from sessions where id = ? union all select workspace_id from tombstones where id = ?',
      ).get(sessionId, sessionId) as { id: string } | undefined
      return row?.id ?? null
    },

    async listSessions(filter, order, limit, from) {
      const direction = (order === 'asc') !== (from?.backward ?? false) ? 'asc' : 'desc'
      let query = sql.selectFrom('sessions').selectAll().where(sessionsWhere(filter))
      if (from)
        query = query.where(({ eb, refTuple, tuple }) =>
          eb(refTuple('created_at', 'id'), direction === 'asc' ? '>' : '<', tuple(from.at, from.id)),
        )
      const rows = all<SessionsTable>(
        query
          .orderBy('created_at', direction)
          .orderBy('id', direction)
          .limit(limit + 1),
      )
      const page = rows.slice(0, limit).map(sessionFromRow)
      if (from?.backward) page.reverse()
      return { rows: page, more: rows.length > limit }
    },

    async countSessions(filter) {
      const query = sql.selectFrom('sessions').select(({ fn }) => fn.countAll<number>().as('n'))
      return all<{ n: number }>(query.where(sessionsWhere(filter)))[0]!.n
    },

    async findPrunable(workspaceId, before, statuses, limit, field) {
      const column = field === 'updated' ? 'updated_at' : 'ended_at'
      return all<{ id: string }>(
        sql
          .selectFrom('sessions')
          .select('id')
          .where('status', 'in', statuses)
          .where(column, '<', before)
          .$if(workspaceId !== null, (query) => query.where('workspace_id', '=', workspaceId))
          .where(raw<number>`keep`, '=', 0)
          // What waits for an answer is not old, however long it has waited.
          .where(({ not, exists, selectFrom }) =>
            not(
              exists(
                selectFrom('approvals').select('id').whereRef('session_id', '=', 'sessions.id').where('open', '=', 1),
              ),
            ),
          )
          .orderBy('created_at')
          .limit(limit),
      ).map((row) => row.id)
    },
  }
}
