import { sql as raw } from 'kysely'
import { EnvironmentChanged, EnvironmentLimit, type EnvironmentRow, type EnvironmentStore } from './environments.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** Environments, and by which one sessions are listed: what it was stands in the options of each. */
export const ENVIRONMENTS_MIGRATION = `
  create table environments (
    id text primary key,
    workspace_id text not null,
    name text not null,
    description text,
    config text not null,
    metadata text not null,
    version integer not null,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
  create index environments_list on environments (workspace_id, created_at, id);
  alter table sessions add column environment_id text
    generated always as (coalesce(json_extract(options, '$.environment.id'), 'env_default')) virtual;
  create index sessions_environment on sessions (workspace_id, environment_id, created_at, id);
  `

interface EnvironmentsTable {
  id: string
  workspace_id: string
  name: string
  description: string | null
  config: string
  metadata: string
  version: number
  created_at: number
  updated_at: number
  archived_at: number | null
}

const fromRow = (row: EnvironmentsTable): EnvironmentRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  name: row.name,
  description: row.description,
  config: JSON.parse(row.config) as EnvironmentRow['config'],
  metadata: JSON.parse(row.metadata) as Record<string, string>,
  version: row.version,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  archivedAt: row.archived_at,
})

/** Conditions on `sessions`; without an id there are none. */
export const inEnvironment = (id: string | undefined) =>
  id === undefined ? [] : [raw<boolean>`sessions.environment_id = ${id}`]

export function sqliteEnvironments({ statement, write, noteEffect }: SqliteAccess): EnvironmentStore {
  const done = (effect: Parameters<EnvironmentStore['create']>[2]) => {
    if (effect) noteEffect(effect)
  }
  return {
    create: (row, limit, effect) =>
      write(() => {
        const { n } = statement('select count(*) as n from environments where workspace_id = ?').get(
          row.workspaceId,
        ) as { n: number }
        if (n >= limit) throw new EnvironmentLimit(`${n} environments`)
        statement(
          `insert into environments (id, workspace_id, name, description, config, metadata, version, created_at, updated_at,
             archived_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          row.id,
          row.workspaceId,
          row.name,
          row.description,
          JSON.stringify(row.config),
          JSON.stringify(row.metadata),
          row.version,
          row.createdAt,
          row.updatedAt,
          row.archivedAt,
        )
        done(effect)
      }),

    async read(workspaceId, id) {
      const row = statement('select * from environments where id = ? and workspace_id = ?').get(id, workspaceId)
      return row ? fromRow(row as EnvironmentsTable) : null
    },

    replace: (row, from, effect) =>
      write(() => {
        const { changes } = statement(
          `update environments set name = ?, description = ?, config = ?, metadata = ?, version = ?, updated_at = ?,
             archived_at = ? where id = ? and workspace_id = ? and version = ?`,
        ).run(
          row.name,
          row.description,
          JSON.stringify(row.config),
          JSON.stringify(row.metadata),
          from + 1,
          row.updatedAt,
          row.archivedAt,
          row.id,
          row.workspaceId,
          from,
        )
        if (changes === 0) throw new EnvironmentChanged(row.id)
        done(effect)
      }),

    delete: (workspaceId, id, effect) =>
      write(() => {
        const { changes } = statement('delete from environments where id = ? and workspace_id = ?').run(id, workspaceId)
        if (changes > 0) done(effect)
        return changes > 0
      }),

    async list({ workspaceId, includeArchived }, order, limit, after) {
      const where = ['workspace_id = ?']
      const values: (string | number)[] = [workspaceId]
      if (!includeArchived) where.push('archived_at is null')
      if (after) {
        where.push(`(created_at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
        values.push(after.at, after.id)
      }
      const rows = statement(
        `select * from environments where ${where.join(' and ')} order by created_at ${order}, id ${order} limit ?`,
      ).all(...values, limit + 1) as EnvironmentsTable[]
      return { rows: rows.slice(0, limit).map(fromRow), more: rows.length > limit }
    },
  }
}
