import {
  approvalFromRow,
  type ApprovalsTable,
  type ApprovalStore,
  approvalToRow,
  grantFromRow,
  type GrantsTable,
} from './approvals.ts'
import { sql } from './query.ts'
import type { SessionChange } from './session-change.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** The approvals and grants of a change; called inside its transaction. */
export function writeApprovals({ statement, run }: SqliteAccess, change: SessionChange): void {
  for (const row of change.newApprovals ?? []) run(sql.insertInto('approvals').values(approvalToRow(row)))
  for (const { id, patch } of change.approvals ?? []) {
    const row = statement('select * from approvals where id = ? and session_id = ?').get(id, change.sessionId)
    if (!row) continue
    const { id: _, ...columns } = approvalToRow({ ...approvalFromRow(row as ApprovalsTable), ...patch })
    run(sql.updateTable('approvals').set(columns).where('id', '=', id))
  }
  for (const grant of change.grants ?? [])
    statement(
      `insert into grants (id, session_id, agent_id, rule, actor, created_at, workspace_id)
       values (?, ?, ?, ?, ?, ?, (select workspace_id from sessions where id = ?))`,
    ).run(grant.id, grant.sessionId, grant.agentId, grant.rule, grant.actor, grant.createdAt, change.sessionId)
}

export function sqliteApprovals({ statement, all, write }: SqliteAccess): ApprovalStore {
  return {
    async read(id) {
      const row = statement('select * from approvals where id = ?').get(id)
      return row ? approvalFromRow(row as ApprovalsTable) : null
    },

    async ofCall(sessionId, sdkToolUseId) {
      const row = statement(
        'select * from approvals where session_id = ? and sdk_tool_use_id = ? order by created_at desc limit 1',
      ).get(sessionId, sdkToolUseId)
      return row ? approvalFromRow(row as ApprovalsTable) : null
    },

    async list(filter, order, limit, after) {
      let query = sql
        .selectFrom('approvals')
        .selectAll()
        .where(({ exists, selectFrom }) =>
          exists(
            selectFrom('sessions')
              .select('id')
              .whereRef('sessions.id', '=', 'approvals.session_id')
              .where('workspace_id', '=', filter.workspaceId),
          ),
        )
      if (filter.status !== null) query = query.where('status', '=', filter.status)
      if (filter.sessionId !== null) query = query.where('session_id', '=', filter.sessionId)
      if (after)
        query = query.where(({ eb, refTuple, tuple }) =>
          eb(refTuple('created_at', 'id'), order === 'asc' ? '>' : '<', tuple(after.at, after.id)),
        )
      const rows = all<ApprovalsTable>(
        query
          .orderBy('created_at', order)
          .orderBy('id', order)
          .limit(limit + 1),
      )
      return { rows: rows.slice(0, limit).map(approvalFromRow), more: rows.length > limit }
    },

    async overdue(at, limit) {
      const rows = statement(
        `select * from approvals where status = 'pending' and expires_at is not null and expires_at <= ?
         order by expires_at limit ?`,
      )
      return (rows.all(at, limit) as ApprovalsTable[]).map(approvalFromRow)
    },

    async grants(workspaceId, agentId, sessionId) {
      const rows = statement(
        `select * from grants where workspace_id = ?
           and (session_id = ? or (session_id is null and (? is null or agent_id = ?)))
         order by created_at, id limit 10000`,
      )
      return (rows.all(workspaceId, sessionId, agentId, agentId) as GrantsTable[]).map(grantFromRow)
    },

    deleteGrant: (workspaceId, id) =>
      write(() => statement('delete from grants where workspace_id = ? and id = ?').run(workspaceId, id).changes > 0),
  }
}
