import { FileGone, type ResourceRow, type ResourceStore } from './resources.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { SessionChange } from './session-change.ts'

export const RESOURCES_MIGRATION = `
  create table session_resources (
    id text primary key,
    session_id text not null,
    workspace_id text not null,
    type text not null,
    mount_path text not null,
    path text not null,
    file_id text,
    size_bytes integer not null,
    created_at integer not null
  );
  create index session_resources_list on session_resources (session_id, created_at, id);
  create index session_resources_file on session_resources (file_id) where file_id is not null;
  `

interface ResourcesTable {
  id: string
  session_id: string
  workspace_id: string
  type: string
  mount_path: string
  path: string
  file_id: string
  size_bytes: number
  created_at: number
}

const fromRow = (row: ResourcesTable): ResourceRow => ({
  id: row.id,
  sessionId: row.session_id,
  workspaceId: row.workspace_id,
  type: row.type as ResourceRow['type'],
  mountPath: row.mount_path,
  path: row.path,
  fileId: row.file_id,
  sizeBytes: row.size_bytes,
  createdAt: row.created_at,
})

/**
 * What a change gives a session and takes from it; called inside its transaction. A file must be there, or be held by
 * another session of the workspace already. Throws `FileGone`.
 */
export function writeResources({ statement }: Pick<SqliteAccess, 'statement'>, change: SessionChange): void {
  for (const row of change.newResources ?? []) {
    const { id, sessionId, workspaceId, type, mountPath, path, fileId, sizeBytes, createdAt } = row
    const { changes } = statement(
      `insert into session_resources (id, session_id, workspace_id, type, mount_path, path, file_id, size_bytes, created_at)
       select @id, @sessionId, @workspaceId, @type, @mountPath, @path, @fileId, @sizeBytes, @createdAt
       where exists (select 1 from files where id = @fileId and workspace_id = @workspaceId)
         or exists (select 1 from session_resources where file_id = @fileId and workspace_id = @workspaceId)`,
    ).run({ id, sessionId, workspaceId, type, mountPath, path, fileId, sizeBytes, createdAt })
    if (changes === 0) throw new FileGone(fileId)
  }
  for (const id of change.removedResources ?? [])
    statement('delete from session_resources where id = ? and session_id = ?').run(id, change.sessionId)
}

export const sqliteResources = ({ statement }: SqliteAccess): ResourceStore => ({
  async list(sessionId) {
    const rows = statement('select * from session_resources where session_id = ? order by created_at, id')
    return (rows.all(sessionId) as ResourcesTable[]).map(fromRow)
  },
})
