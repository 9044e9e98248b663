import { FileLimit, type FileRow, type FileStore } from './files.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** What lies in the data folder's `files`, each under its id. */
export const FILES_MIGRATION = `
  create table files (
    id text primary key,
    workspace_id text not null,
    filename text not null,
    mime_type text not null,
    size_bytes integer not null,
    created_at integer not null
  );
  create index files_list on files (workspace_id, created_at, id, size_bytes);
  `

interface FilesTable {
  id: string
  workspace_id: string
  filename: string
  mime_type: string
  size_bytes: number
  created_at: number
  session_id: string | null
  turn_id: string | null
  path: string | null
}

const fromRow = (row: FilesTable): FileRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  filename: row.filename,
  mimeType: row.mime_type,
  sizeBytes: row.size_bytes,
  createdAt: row.created_at,
  ...(row.session_id !== null && { sessionId: row.session_id, turnId: row.turn_id!, path: row.path! }),
})

export function sqliteFiles({ statement, write, noteEffect }: SqliteAccess): FileStore {
  const totals = (workspaceId: string) =>
    statement('select count(*) as files, coalesce(sum(size_bytes), 0) as bytes from files where workspace_id = ?').get(
      workspaceId,
    ) as { files: number; bytes: number }
  return {
    totals: async (workspaceId) => totals(workspaceId),

    create: (row, limits, effect) =>
      write(() => {
        const { files, bytes } = totals(row.workspaceId)
        if (files >= limits.files) throw new FileLimit(`${files} files`)
        if (bytes + row.sizeBytes > limits.bytes) throw new FileLimit(`${bytes} bytes of files`)
        statement(
          'insert into files (id, workspace_id, filename, mime_type, size_bytes, created_at) values (?, ?, ?, ?, ?, ?)',
        ).run(row.id, row.workspaceId, row.filename, row.mimeType, row.sizeBytes, row.createdAt)
        if (effect) noteEffect(effect)
      }),

    async read(workspaceId, id) {
      const row = statement('select * from files where id = ? and workspace_id = ?').get(id, workspaceId)
      return row ? fromRow(row as FilesTable) : null
    },

    has: async (id) =>
      statement(
        'select 1 from files where id = ? union all select 1 from session_resources where file_id = ? limit 1',
      ).get(id, id) !== undefined,

    delete: (workspaceId, id, effect) =>
      write(() => {
        const { changes } = statement('delete from files where id = ? and workspace_id = ?').run(id, workspaceId)
        if (changes > 0 && effect) noteEffect(effect)
        return changes > 0
      }),

    async list(workspaceId, { ids, sessionId }, order, limit, after) {
      const where = ['workspace_id = ?']
      const values: (string | number)[] = [workspaceId]
      if (ids) {
        where.push('id in (select value from json_each(?))')
        values.push(JSON.stringify(ids))
      }
      if (sessionId !== undefined) {
        where.push('session_id = ?')
        values.push(sessionId)
      }
      if (after) {
        where.push(`(created_at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
        values.push(after.at, after.id)
      }
      const rows = statement(
        `select * from files where ${where.join(' and ')} order by created_at ${order}, id ${order} limit ?`,
      ).all(...values, limit + 1) as FilesTable[]
      return { rows: rows.slice(0, limit).map(fromRow), more: rows.length > limit }
    },
  }
}
