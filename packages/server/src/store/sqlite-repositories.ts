import type { RepositoryChanges, RepositoryRow, RepositoryStore } from './repositories.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** Tokens lie here as they are, because git must be given them; who reads this file reads everything. */
export const REPOSITORIES_MIGRATION = `
  create table session_repositories (
    id text primary key,
    session_id text not null,
    workspace_id text not null,
    url text not null,
    token text,
    checkout text,
    mount_path text not null,
    path text not null,
    created_at integer not null,
    updated_at integer not null
  );
  create index session_repositories_list on session_repositories (session_id, created_at, id);
  `

interface RepositoriesTable {
  id: string
  session_id: string
  workspace_id: string
  url: string
  token: string | null
  checkout: string | null
  mount_path: string
  path: string
  created_at: number
  updated_at: number
}

const fromRow = (row: RepositoriesTable): RepositoryRow => ({
  id: row.id,
  sessionId: row.session_id,
  workspaceId: row.workspace_id,
  url: row.url,
  token: row.token,
  checkout: row.checkout === null ? null : (JSON.parse(row.checkout) as RepositoryRow['checkout']),
  mountPath: row.mount_path,
  path: row.path,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

/** Called inside the transaction of a session's change. */
export function writeRepositories(
  { statement }: Pick<SqliteAccess, 'statement'>,
  sessionId: string,
  { add = [], remove = [], tokens = [] }: RepositoryChanges,
): void {
  for (const row of add)
    statement(
      `insert into session_repositories (id, session_id, workspace_id, url, token, checkout, mount_path, path, created_at,
         updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      row.id,
      sessionId,
      row.workspaceId,
      row.url,
      row.token,
      row.checkout && JSON.stringify(row.checkout),
      row.mountPath,
      row.path,
      row.createdAt,
      row.updatedAt,
    )
  for (const id of remove)
    statement('delete from session_repositories where id = ? and session_id = ?').run(id, sessionId)
  for (const { id, token, at } of tokens)
    statement('update session_repositories set token = ?, updated_at = ? where id = ? and session_id = ?').run(
      token,
      at,
      id,
      sessionId,
    )
}

export const sqliteRepositories = ({ statement }: Pick<SqliteAccess, 'statement'>): RepositoryStore => ({
  async list(sessionId) {
    const rows = statement('select * from session_repositories where session_id = ? order by created_at, id')
    return (rows.all(sessionId) as RepositoriesTable[]).map(fromRow)
  },
})
