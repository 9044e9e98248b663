import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import { AgentChanged, AgentLimit, type AgentRow, type AgentStore } from './agents.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** `agents` says which there are and at which version they stand, `agent_versions` what each version holds. */
export const AGENTS_MIGRATION = `
  create table agents (
    id text primary key,
    workspace_id text not null,
    newest integer not null,
    source text not null,
    file text,
    content_hash text,
    created_at integer not null,
    archived_at integer
  );
  create index agents_list on agents (workspace_id, created_at, id);
  create unique index agents_file on agents (workspace_id, file) where file is not null;
  create table agent_versions (
    agent_id text not null,
    version integer not null,
    definition text not null,
    created_at integer not null,
    primary key (agent_id, version)
  ) without rowid;
  `

interface AgentsTable {
  id: string
  workspace_id: string
  newest: number
  source: string
  file: string | null
  content_hash: string | null
  created_at: number
  archived_at: number | null
  version: number
  definition: string
  updated_at: number
}

const fromRow = (row: AgentsTable): AgentRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  version: row.version,
  newest: row.newest,
  definition: JSON.parse(row.definition) as AgentDefinition,
  source: row.source as AgentRow['source'],
  file: row.file,
  contentHash: row.content_hash,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  archivedAt: row.archived_at,
})

const COLUMNS = `a.id, a.workspace_id, a.newest, a.source, a.file, a.content_hash, a.created_at, a.archived_at,
  v.version, v.definition, v.created_at as updated_at`
const NEWEST = 'agents a join agent_versions v on v.agent_id = a.id and v.version = a.newest'
const RANGE = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

/** Reads one more than is asked for, to know whether there is more. */
const paged = (rows: AgentsTable[], limit: number) => ({
  rows: rows.slice(0, limit).map(fromRow),
  more: rows.length > limit,
})

export function sqliteAgents({ statement, write, noteEffect }: SqliteAccess): AgentStore {
  const read = (workspaceId: string, id: string, version?: number): AgentRow | null => {
    const row = statement(
      `select ${COLUMNS} from agents a join agent_versions v on v.agent_id = a.id and v.version = coalesce(?, a.newest)
       where a.id = ? and a.workspace_id = ?`,
    ).get(version ?? null, id, workspaceId)
    return row ? fromRow(row as AgentsTable) : null
  }
  const addRow = (id: string, version: number, definition: AgentDefinition, at: number) =>
    statement('insert into agent_versions (agent_id, version, definition, created_at) values (?, ?, ?, ?)').run(
      id,
      version,
      JSON.stringify(definition),
      at,
    )
  const done = (effect: Parameters<AgentStore['create']>[2]) => {
    if (effect) noteEffect(effect)
  }

  return {
    create: (agent, limit, effect) =>
      write(() => {
        const { n } = statement('select count(*) as n from agents where workspace_id = ?').get(agent.workspaceId) as {
          n: number
        }
        if (n >= limit) throw new AgentLimit(`${n} agents`)
        statement(
          `insert into agents (id, workspace_id, newest, source, file, content_hash, created_at, archived_at)
           values (?, ?, 1, ?, ?, ?, ?, null)`,
        ).run(agent.id, agent.workspaceId, agent.source, agent.file, agent.contentHash, agent.createdAt)
        addRow(agent.id, 1, agent.definition, agent.createdAt)
        done(effect)
        return read(agent.workspaceId, agent.id)!
      }),

    read: async (workspaceId, id, version) => read(workspaceId, id, version),

    addVersion: (workspaceId, id, { from, definition, contentHash, at }, limit, effect) =>
      write(() => {
        const before = read(workspaceId, id)
        if (before?.newest !== from || before.archivedAt !== null) throw new AgentChanged(id)
        if (from >= limit) throw new AgentLimit(`${from} versions`)
        addRow(id, from + 1, definition, at)
        statement('update agents set newest = ?, content_hash = ? where id = ?').run(from + 1, contentHash, id)
        done(effect)
        return read(workspaceId, id)!
      }),

    archive: (workspaceId, id, at, effect) =>
      write(() => {
        if (!read(workspaceId, id)) return null
        statement(
          'update agents set archived_at = case when ? is null then null else coalesce(archived_at, ?) end where id = ?',
        ).run(at, at, id)
        done(effect)
        return read(workspaceId, id)
      }),

    async list({ workspaceId, createdAt = {}, includeArchived }, order, limit, after) {
      const where = ['a.workspace_id = ?']
      const values: (string | number)[] = [workspaceId]
      if (!includeArchived) where.push('a.archived_at is null')
      for (const [bound, sign] of Object.entries(RANGE)) {
        const value = createdAt[bound as keyof typeof RANGE]
        if (value === undefined) continue
        where.push(`a.created_at ${sign} ?`)
        values.push(value)
      }
      if (after) {
        where.push(`(a.created_at, a.id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
        values.push(after.at, after.id)
      }
      const rows = statement(
        `select ${COLUMNS} from ${NEWEST} where ${where.join(' and ')}
         order by a.created_at ${order}, a.id ${order} limit ?`,
      ).all(...values, limit + 1)
      return paged(rows as AgentsTable[], limit)
    },

    async versions(workspaceId, id, order, limit, after) {
      const from = after ?? (order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER)
      const rows = statement(
        `select ${COLUMNS} from agents a join agent_versions v on v.agent_id = a.id
         where a.id = ? and a.workspace_id = ? and v.version ${order === 'asc' ? '>' : '<'} ?
         order by v.version ${order} limit ?`,
      ).all(id, workspaceId, from, limit + 1)
      return paged(rows as AgentsTable[], limit)
    },

    async fromFiles(workspaceId) {
      const rows = statement(
        `select ${COLUMNS} from ${NEWEST} where a.workspace_id = ? and a.source = 'file' order by a.id`,
      ).all(workspaceId)
      return (rows as AgentsTable[]).map(fromRow)
    },
  }
}
