import { RUN_HISTORY_DAYS } from '@troupe/protocol/deployment'
import {
  DeploymentChanged,
  DeploymentLimit,
  type DeploymentRow,
  type DeploymentRunRow,
  type DeploymentStore,
  type RunWrite,
  TickTaken,
} from './deployments.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** No two runs have the same tick. */
export const DEPLOYMENTS_MIGRATION = `
  create table deployments (
    id text primary key,
    workspace_id text not null,
    principal text not null,
    name text not null,
    description text,
    agent_id text not null,
    agent_version integer not null,
    body text not null,
    metadata text not null,
    schedule text,
    next_at integer,
    fire_at integer,
    paused_reason text,
    last_run_at integer,
    version integer not null,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
  create index deployments_list on deployments (workspace_id, created_at, id);
  create index deployments_due on deployments (fire_at) where fire_at is not null;
  create table deployment_runs (
    id text primary key,
    deployment_id text not null,
    workspace_id text not null,
    agent_id text not null,
    agent_version integer not null,
    session_id text,
    error text,
    scheduled_at integer,
    created_at integer not null
  );
  create index deployment_runs_list on deployment_runs (workspace_id, created_at, id);
  create index deployment_runs_of on deployment_runs (deployment_id, created_at, id);
  create unique index deployment_runs_tick on deployment_runs (deployment_id, scheduled_at)
    where scheduled_at is not null;
  `

const COLUMNS = [
  'id',
  'workspace_id',
  'principal',
  'name',
  'description',
  'agent_id',
  'agent_version',
  'body',
  'metadata',
  'schedule',
  'next_at',
  'fire_at',
  'paused_reason',
  'last_run_at',
  'version',
  'created_at',
  'updated_at',
  'archived_at',
] as const

type Value = string | number | null
type Raw = Record<string, Value>
const json = (value: unknown) => (value === null ? null : JSON.stringify(value))
const parsed = (text: Value | undefined) => (text == null ? null : JSON.parse(text as string)) as never

const toValues = (row: DeploymentRow): Value[] => [
  row.id,
  row.workspaceId,
  row.principal,
  row.name,
  row.description,
  row.agentId,
  row.agentVersion,
  json(row.body),
  json(row.metadata),
  json(row.schedule),
  row.nextAt,
  row.fireAt,
  json(row.pausedReason),
  row.lastRunAt,
  row.version,
  row.createdAt,
  row.updatedAt,
  row.archivedAt,
]

const fromRow = (row: Raw): DeploymentRow => ({
  id: row.id as string,
  workspaceId: row.workspace_id as string,
  principal: row.principal as string,
  name: row.name as string,
  description: row.description as string | null,
  agentId: row.agent_id as string,
  agentVersion: row.agent_version as number,
  body: parsed(row.body),
  metadata: parsed(row.metadata),
  schedule: parsed(row.schedule),
  nextAt: row.next_at as number | null,
  fireAt: row.fire_at as number | null,
  pausedReason: parsed(row.paused_reason),
  lastRunAt: row.last_run_at as number | null,
  version: row.version as number,
  createdAt: row.created_at as number,
  updatedAt: row.updated_at as number,
  archivedAt: row.archived_at as number | null,
})

const runFromRow = (row: Raw): DeploymentRunRow => ({
  id: row.id as string,
  deploymentId: row.deployment_id as string,
  workspaceId: row.workspace_id as string,
  agentId: row.agent_id as string,
  agentVersion: row.agent_version as number,
  sessionId: row.session_id as string | null,
  error: parsed(row.error),
  scheduledAt: row.scheduled_at as number | null,
  createdAt: row.created_at as number,
})

/** Writes a run within the transaction of whoever calls. Throws `DeploymentChanged`, `TickTaken`. */
export function writeRun({ statement }: Pick<SqliteAccess, 'statement'>, { run, tick, pause = null }: RunWrite): void {
  if (tick) {
    const { changes } = statement(
      `update deployments set next_at = ?, fire_at = ?, last_run_at = ?, version = version + 1,
         paused_reason = coalesce(?, paused_reason)
       where id = ? and version = ? and archived_at is null and paused_reason is null`,
    ).run(tick.nextAt, tick.fireAt, run.createdAt, json(pause), run.deploymentId, tick.version)
    if (changes === 0) throw new DeploymentChanged(run.deploymentId)
    const taken = statement('select 1 from deployment_runs where deployment_id = ? and scheduled_at = ?')
    if (taken.get(run.deploymentId, run.scheduledAt)) throw new TickTaken(run.deploymentId)
  }
  statement(
    `insert into deployment_runs (id, deployment_id, workspace_id, agent_id, agent_version, session_id, error,
       scheduled_at, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    run.id,
    run.deploymentId,
    run.workspaceId,
    run.agentId,
    run.agentVersion,
    run.sessionId,
    json(run.error),
    run.scheduledAt,
    run.createdAt,
  )
  statement('delete from deployment_runs where deployment_id = ? and created_at < ?').run(
    run.deploymentId,
    run.createdAt - RUN_HISTORY_DAYS * 86_400_000,
  )
}

const SIGNS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

export function sqliteDeployments(access: SqliteAccess): DeploymentStore {
  const { statement, write, noteEffect } = access
  const done = (effect: Parameters<DeploymentStore['create']>[2]) => {
    if (effect) noteEffect(effect)
  }
  /** A page of a table by (created_at, id), with one row more to know whether there is more. */
  const page = <T>(
    table: string,
    where: string[],
    values: Value[],
    createdAt: Partial<Record<keyof typeof SIGNS, number>>,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
    read: (row: Raw) => T,
  ) => {
    for (const [bound, sign] of Object.entries(SIGNS)) {
      const value = createdAt[bound as keyof typeof SIGNS]
      if (value === undefined) continue
      where.push(`created_at ${sign} ?`)
      values.push(value)
    }
    if (after) {
      where.push(`(created_at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
      values.push(after.at, after.id)
    }
    const rows = statement(
      `select * from ${table} where ${where.join(' and ')} order by created_at ${order}, id ${order} limit ?`,
    ).all(...values, limit + 1) as Raw[]
    return { rows: rows.slice(0, limit).map(read), more: rows.length > limit }
  }

  return {
    create: (row, limit, effect) =>
      write(() => {
        const { n } = statement(
          'select count(*) as n from deployments where workspace_id = ? and archived_at is null',
        ).get(row.workspaceId) as { n: number }
        if (n >= limit) throw new DeploymentLimit(`${n} deployments`)
        statement(`insert into deployments (${COLUMNS.join(', ')}) values (${COLUMNS.map(() => '?').join(', ')})`).run(
          ...toValues(row),
        )
        done(effect)
      }),

    async read(workspaceId, id) {
      const row = statement('select * from deployments where id = ? and (? is null or workspace_id = ?)')
      const found = row.get(id, workspaceId, workspaceId) as Raw | undefined
      return found ? fromRow(found) : null
    },

    replace: (row, from, effect) =>
      write(() => {
        const { changes } = statement(
          `update deployments set ${COLUMNS.map((column) => `${column} = ?`).join(', ')} where id = ? and version = ?`,
        ).run(...toValues({ ...row, version: from + 1 }), row.id, from)
        if (changes === 0) throw new DeploymentChanged(row.id)
        done(effect)
      }),

    async list({ workspaceId, agentId, status, includeArchived, createdAt }, order, limit, after) {
      const where = ['workspace_id = ?']
      const values: Value[] = [workspaceId]
      if (!includeArchived) where.push('archived_at is null')
      if (status) where.push(`paused_reason is ${status === 'paused' ? 'not null' : 'null'}`)
      if (agentId !== undefined) {
        where.push('agent_id = ?')
        values.push(agentId)
      }
      return page('deployments', where, values, createdAt, order, limit, after, fromRow)
    },

    async due(at, limit) {
      const rows = statement('select * from deployments where fire_at <= ? order by fire_at limit ?').all(at, limit)
      return (rows as Raw[]).map(fromRow)
    },

    async nextFire() {
      const row = statement('select min(fire_at) as at from deployments where fire_at is not null').get()
      return (row as { at: number | null }).at
    },

    noteRun: (note, effect) =>
      write(() => {
        writeRun(access, note)
        done(effect)
      }),

    async readRun(workspaceId, id) {
      const row = statement('select * from deployment_runs where id = ? and workspace_id = ?').get(id, workspaceId)
      return row ? runFromRow(row as Raw) : null
    },

    async listRuns({ workspaceId, deploymentId, hasError, trigger, createdAt }, order, limit, after) {
      const where = ['workspace_id = ?']
      const values: Value[] = [workspaceId]
      if (hasError !== undefined) where.push(`error is ${hasError ? 'not null' : 'null'}`)
      if (trigger) where.push(`scheduled_at is ${trigger === 'schedule' ? 'not null' : 'null'}`)
      if (deploymentId !== undefined) {
        where.push('deployment_id = ?')
        values.push(deploymentId)
      }
      return page('deployment_runs', where, values, createdAt, order, limit, after, runFromRow)
    },
  }
}
