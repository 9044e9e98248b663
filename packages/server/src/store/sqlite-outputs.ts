import type { OutputRow, OutputStore } from './outputs.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { SessionChange } from './session-change.ts'

/** Files that an agent left are files like others, of a session and a turn. */
export const OUTPUTS_MIGRATION = `
  alter table files add column session_id text;
  alter table files add column turn_id text;
  alter table files add column path text;
  create index files_session on files (session_id, created_at, id) where session_id is not null;
  alter table turns add column files text;
  create table outputs (
    session_id text not null,
    path text not null,
    file_id text,
    sha256 text,
    stamp text,
    problem text,
    primary key (session_id, path)
  ) without rowid;
  `

interface OutputsTable {
  path: string
  file_id: string | null
  sha256: string | null
  stamp: string | null
  problem: string | null
}

/** What a turn left; called inside the transaction of its end. */
export function writeOutputs({ statement }: Pick<SqliteAccess, 'statement'>, change: SessionChange): void {
  const { outputs, sessionId } = change
  if (!outputs) return
  const insert = statement(
    `insert into files (id, workspace_id, filename, mime_type, size_bytes, created_at, session_id, turn_id, path)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  for (const row of outputs.files) {
    const { id, workspaceId, filename, mimeType, sizeBytes, turnId, path } = row
    insert.run(id, workspaceId, filename, mimeType, sizeBytes, change.at, sessionId, turnId, path)
  }
  statement('delete from outputs where session_id = ? and problem is not null').run(sessionId)
  const know = statement(
    `insert or replace into outputs (session_id, path, file_id, sha256, stamp, problem) values (?, ?, ?, ?, ?, ?)`,
  )
  for (const { path, fileId, sha256, stamp, problem } of [...outputs.known, ...outputs.problems])
    know.run(sessionId, path, fileId, sha256, stamp, problem)
}

/** What a fork knows of the files that it was made with: they are its source's. Called inside its transaction. */
export function copyOutputs({ statement }: Pick<SqliteAccess, 'statement'>, from: string, to: string): void {
  statement(
    `insert into outputs (session_id, path, file_id, sha256, stamp, problem)
     select ?, path, file_id, sha256, null, null from outputs where session_id = ? and problem is null`,
  ).run(to, from)
}

export const sqliteOutputs = ({ statement }: Pick<SqliteAccess, 'statement'>): OutputStore => ({
  async known(sessionId) {
    const rows = statement('select * from outputs where session_id = ?').all(sessionId) as OutputsTable[]
    return rows.map(({ path, file_id, sha256, stamp, problem }): OutputRow => {
      return { path, fileId: file_id, sha256, stamp, problem }
    })
  },

  async totals(sessionId) {
    return statement(
      'select count(*) as files, coalesce(sum(size_bytes), 0) as bytes from files where session_id = ?',
    ).get(sessionId) as { files: number; bytes: number }
  },

  async files(sessionId) {
    const rows = statement('select id from files where session_id = ?').all(sessionId) as { id: string }[]
    return rows.map(({ id }) => id)
  },
})
