import type { Database, Statement } from 'better-sqlite3'
import { newId } from '@troupe/protocol/ids'
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Actor, AuditRow, AuditStore } from './audit.ts'
import { auditTriggers } from './audited.ts'
import type { SqliteAccess } from './sqlite-access.ts'

export const AUDIT_MIGRATION = `
  create table audit_events (
    id text primary key,
    workspace_id text not null,
    at integer not null,
    action text not null,
    outcome text not null,
    reason text,
    principal text not null,
    credential text,
    resource_type text,
    resource_id text,
    details text not null,
    count integer not null,
    request text
  ) without rowid;
  create index audit_events_list on audit_events (workspace_id, at, id);
  create index audit_events_all on audit_events (at, id);
  create index audit_events_principal on audit_events (principal, at, id);
  create index audit_events_resource on audit_events (resource_id, at, id) where resource_id is not null;
`

interface AuditTable {
  id: string
  workspace_id: string
  at: number
  action: string
  outcome: string
  reason: string | null
  principal: string
  credential: string | null
  resource_type: string | null
  resource_id: string | null
  details: string
  count: number
  request: string | null
}

/** What is done where nobody asked for it. */
const SERVER: Actor = { principal: 'server', credential: null, reason: null, request: null }

const fromRow = (row: AuditTable): AuditRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  at: row.at,
  action: row.action,
  outcome: row.outcome as AuditRow['outcome'],
  reason: row.reason,
  principal: row.principal,
  credential: row.credential,
  resourceType: row.resource_type,
  resourceId: row.resource_id,
  details: JSON.parse(row.details) as AuditRow['details'],
  count: row.count,
  request: row.request === null ? null : (JSON.parse(row.request) as AuditRow['request']),
})

/** A change that a trigger told of, until its transaction's job is through. */
interface Note {
  action: string
  type: string
  id: string
  workspaceId: string
  principal: string | null
  asked: boolean
  details: Record<string, unknown>
}

const INSERT = `insert into audit_events (id, workspace_id, at, action, outcome, reason, principal, credential,
  resource_type, resource_id, details, count, request) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/**
 * Hears of what triggers tell while a job writes, and writes the lines in the very same job: either both are there, or
 * neither.
 */
export class AuditJobs {
  readonly #insert: Statement
  readonly #now: () => number
  readonly #acting = new AsyncLocalStorage<Actor>()
  #notes: Note[] = []

  constructor(db: Database, now: () => number) {
    db.function('audit_note', { varargs: true }, (...values: unknown[]) => {
      const [action, type, id, workspaceId, principal, asked, details] = values as string[]
      this.#notes.push({
        action: action!,
        type: type!,
        id: id!,
        workspaceId: workspaceId!,
        principal: principal ?? null,
        asked: Number(asked) === 1,
        details: JSON.parse(details!) as Note['details'],
      })
      return null
    })
    db.exec(auditTriggers())
    this.#insert = db.prepare(INSERT)
    this.#now = now
  }

  as<T>(actor: Actor, run: () => T): T {
    return this.#acting.run(actor, run)
  }

  /** The job with the lines of what it changes, on behalf of whoever asks now: when it runs, somebody else may. */
  bound<T>(run: () => T): () => T {
    const actor = this.#acting.getStore() ?? null
    return () => {
      this.#notes = []
      const value = run()
      if (this.#notes.length > 0) this.#write(actor, this.#notes)
      return value
    }
  }

  insert(row: Omit<AuditRow, 'id'>): void {
    this.#insert.run(
      newId('audevt'),
      row.workspaceId,
      row.at,
      row.action,
      row.outcome,
      row.reason,
      row.principal,
      row.credential,
      row.resourceType,
      row.resourceId,
      JSON.stringify(row.details),
      row.count,
      row.request && JSON.stringify(row.request),
    )
  }

  #write(actor: Actor | null, notes: readonly Note[]): void {
    const at = this.#now()
    for (const { action, type, id, workspaceId, principal, details } of whole(notes, actor))
      this.insert({
        ...(actor ?? SERVER),
        ...(principal !== null && { principal }),
        workspaceId,
        at,
        action,
        outcome: 'done',
        resourceType: type,
        resourceId: id,
        details,
        count: 1,
      })
  }
}

/** One line for each act, however many statements it took; what goes with an erased session is not told again. */
function whole(notes: readonly Note[], actor: Actor | null): Iterable<Note> {
  const erased = new Set(notes.filter(({ action }) => action === 'session.deleted').map(({ id }) => id))
  const lines = new Map<string, Note>()
  for (const note of notes) {
    if (note.asked && actor === null) continue
    if (note.action !== 'session.deleted' && erased.has(note.details.session_id as string)) continue
    const key = `${note.action} ${note.id}`
    const before = lines.get(key)?.details.changed as unknown[] | undefined
    const details = Object.fromEntries(Object.entries(note.details).filter(([, value]) => value !== null))
    if (Array.isArray(details.changed))
      details.changed = [...new Set([...(before ?? []), ...(details.changed as unknown[])])].filter(
        (column) => column !== null,
      )
    lines.set(key, { ...note, details })
  }
  return lines.values()
}

const RANGE = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

export const sqliteAudit = ({ statement, write }: SqliteAccess, jobs: AuditJobs): AuditStore => ({
  as: (actor, run) => jobs.as(actor, run),

  note: (rows, at) =>
    write(() => {
      for (const row of rows) jobs.insert({ ...row, at })
    }),

  async list({ workspaceId, actions, principal, resourceId, outcome, at }, order, limit, after) {
    const where: string[] = []
    const values: unknown[] = []
    const add = (text: string, ...more: unknown[]) => {
      where.push(text)
      values.push(...more)
    }
    if (workspaceId !== null) add('workspace_id = ?', workspaceId)
    if (actions?.length) {
      // Names hold nothing that a glob would take for more than itself, but for the star at the end.
      add(`(${actions.map(() => 'action glob ?').join(' or ')})`, ...actions)
    }
    if (principal !== undefined) add('principal = ?', principal)
    if (resourceId !== undefined) add('resource_id = ?', resourceId)
    if (outcome !== undefined) add('outcome = ?', outcome)
    for (const bound of ['gt', 'gte', 'lt', 'lte'] as const)
      if (at[bound] !== undefined) add(`at ${RANGE[bound]} ?`, at[bound])
    if (after) add(`(at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`, after.at, after.id)
    const rows = statement(
      `select * from audit_events ${where.length > 0 ? `where ${where.join(' and ')}` : ''}
       order by at ${order}, id ${order} limit ?`,
    ).all(...values, limit + 1) as AuditTable[]
    return { rows: rows.slice(0, limit).map(fromRow), more: rows.length > limit }
  },

  forget: (before, limit) =>
    write(
      () =>
        statement(
          'delete from audit_events where id in (select id from audit_events where at < ? order by at limit ?)',
        ).run(before, limit).changes,
    ),
})
