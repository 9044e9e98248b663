import type { Compilable, ExpressionBuilder } from 'kysely'
import { sql } from './query.ts'
import type { Tables, ThreadsTable } from './schema.ts'
import type { SessionChange } from './session-change.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { ThreadPatch, ThreadRow, ThreadStatus, ThreadStore } from './threads.ts'

const parseOr = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T))
const jsonOr = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value))

export function threadFromRow(row: ThreadsTable): ThreadRow {
  return {
    id: row.id,
    sessionId: row.session_id,
    parentId: row.parent_id,
    turnId: row.turn_id,
    toolUseId: row.tool_use_id,
    taskId: row.task_id,
    agentName: row.agent_name,
    description: row.description,
    model: row.model,
    background: row.background === 1,
    status: row.status as ThreadStatus,
    stopReason: parseOr(row.stop_reason),
    summary: row.summary,
    usage: parseOr(row.usage),
    activeMs: row.active_ms,
    runningSince: row.running_since,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    archivedAt: row.archived_at,
  }
}

/** How each field a change may set is written; complete by type. */
const COLUMNS: { [K in keyof Required<ThreadPatch>]: (value: Required<ThreadPatch>[K]) => Partial<ThreadsTable> } = {
  parentId: (parent_id) => ({ parent_id }),
  turnId: (turn_id) => ({ turn_id }),
  toolUseId: (tool_use_id) => ({ tool_use_id }),
  agentName: (agent_name) => ({ agent_name }),
  description: (description) => ({ description }),
  model: (model) => ({ model }),
  background: (background) => ({ background: background ? 1 : 0 }),
  status: (status) => ({ status }),
  stopReason: (reason) => ({ stop_reason: jsonOr(reason) }),
  summary: (summary) => ({ summary }),
  usage: (usage) => ({ usage: jsonOr(usage) }),
  activeMs: (active_ms) => ({ active_ms }),
  runningSince: (running_since) => ({ running_since }),
  archivedAt: (archived_at) => ({ archived_at }),
}

function columnsOf(patch: ThreadPatch): Partial<ThreadsTable> {
  const columns: Partial<ThreadsTable> = {}
  for (const [field, value] of Object.entries(patch)) {
    const write = COLUMNS[field as keyof ThreadPatch] as ((value: unknown) => Partial<ThreadsTable>) | undefined
    if (write && value !== undefined) Object.assign(columns, write(value))
  }
  return columns
}

/** What a change writes of threads, in order. */
export function threadWrites({ newThreads = [], threads = [], at }: SessionChange): Compilable[] {
  const made = newThreads.map((row) =>
    sql.insertInto('threads').values({
      ...(columnsOf(row) as ThreadsTable),
      id: row.id,
      session_id: row.sessionId,
      task_id: row.taskId,
      created_at: row.createdAt,
      updated_at: row.updatedAt,
    }),
  )
  const changed = threads.map(({ id, patch }) =>
    sql
      .updateTable('threads')
      .set({ ...columnsOf(patch), updated_at: at })
      .where('id', '=', id),
  )
  return [...made, ...changed]
}

/** Written out, because a partial index serves only a query that says its condition. */
export const RUNNING_THREADS = `select * from threads where session_id = ? and status = 'running' order by created_at, id`

function threadsPage(
  sessionId: string,
  statuses: ThreadStatus[] | undefined,
  order: 'asc' | 'desc',
  limit: number,
  after: { at: number; id: string } | null,
): Compilable {
  let query = sql.selectFrom('threads').selectAll().where('session_id', '=', sessionId)
  if (statuses) query = query.where('status', 'in', statuses)
  if (after)
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), order === 'asc' ? '>' : '<', tuple(after.at, after.id)),
    )
  return query.orderBy('created_at', order).orderBy('id', order).limit(limit)
}

/** The view of the session's own agent: its own events, and what is told about subagents. */
export function outsideOfThreads(eb: ExpressionBuilder<Tables, 'events'>) {
  return eb.or([eb('thread_id', 'is', null), eb('type', 'like', 'session.thread%')])
}

export function sqliteThreads({ statement, all }: SqliteAccess): ThreadStore {
  return {
    async readThread(sessionId, threadId) {
      const row = statement('select * from threads where id = ? and session_id = ?').get(threadId, sessionId)
      return row ? threadFromRow(row as ThreadsTable) : null
    },

    async listThreads(sessionId, statuses, order, limit, after) {
      const rows = all<ThreadsTable>(threadsPage(sessionId, statuses, order, limit + 1, after))
      return { rows: rows.slice(0, limit).map(threadFromRow), more: rows.length > limit }
    },
  }
}
