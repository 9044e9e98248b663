import Sqlite from 'better-sqlite3'
import { newId } from '@troupe/protocol/ids'
import { isWebhookType } from '@troupe/protocol/webhook'
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import { type Compilable, type ExpressionBuilder, sql as raw } from 'kysely'
import { type ApprovalStore, type ApprovalsTable, approvalFromRow } from './approvals.ts'
import { type BranchStore, sqliteBranches, writeRewind } from './branches.ts'
import type { KeyStore } from './keys.ts'
import { sqliteKeys } from './sqlite-keys.ts'
import { GroupCommit } from './group-commit.ts'
import { type LedgerEntry, readTurnLedger, type UsageFilter, type UsageGroup, writeLedger } from './ledger.ts'
import { MIGRATIONS } from './migrations.ts'
import { SqliteQueue } from './sqlite-queue.ts'
import {
  eventFromRow,
  patchToColumns,
  sessionFromRow,
  sessionToRow,
  turnFromRow,
  turnPatchToColumns,
  turnToRow,
} from './rows.ts'
import { sql } from './query.ts'
import { sqliteAgents } from './sqlite-agents.ts'
import { type SqlRunner, sqliteApprovals, writeApprovals } from './sqlite-approvals.ts'
import type { FileStore } from './files.ts'
import type { AuditStore } from './audit.ts'
import { AuditJobs, sqliteAudit } from './sqlite-audit.ts'
import { type RetentionStore, sqliteRetention } from './retention.ts'
import type { SkillStore } from './skills.ts'
import { sqliteFiles } from './sqlite-files.ts'
import { sqliteSkills } from './sqlite-skills.ts'
import type { EnvironmentStore } from './environments.ts'
import type { RepositoryStore } from './repositories.ts'
import { sqliteRepositories, writeRepositories } from './sqlite-repositories.ts'
import { inEnvironment, sqliteEnvironments } from './sqlite-environments.ts'
import type { ResourceStore } from './resources.ts'
import { sqliteResources, writeResources } from './sqlite-resources.ts'
import type { OutputStore } from './outputs.ts'
import { sqliteOutputs, writeOutputs } from './sqlite-outputs.ts'
import { type SqliteAccess, sqliteWebhooks } from './sqlite-webhooks.ts'
import type { EventsTable, SessionsTable, Tables, ThreadsTable, TurnsTable } from './schema.ts'
import { sumLedger } from './sum-ledger.ts'
import type { ClaimLimits } from './leases.ts'
import type { Committed, SessionChange } from './session-change.ts'
import type { EventFilter, EventRow, MessageRow } from './events.ts'
import { ExternalIdTaken, NoSuchSession, QueueFull, StaleEpoch, VersionConflict } from './errors.ts'
import type { IdempotencyRecord } from './idempotency.ts'
import type { Position, SessionFilter } from './sessions.ts'
import type { QueuePlace, QueueView } from './queue.ts'
import type { SessionRow } from './session-row.ts'
import type { Store } from './store.ts'
import type { AgentStore } from './agents.ts'
import { type FirehoseStore, sqliteFirehose } from './firehose.ts'
import type { DeploymentStore } from './deployments.ts'
import { sqliteDeployments, writeRun } from './sqlite-deployments.ts'
import { searchWhere } from './search.ts'
import { sqliteTotals, type TotalsStore } from './totals.ts'
import type { WebhookStore } from './webhooks.ts'
import { outsideOfThreads, RUNNING_THREADS, threadFromRow, threadsPage, threadWrites } from './sqlite-threads.ts'

/** What is erased with a session. */
const TABLES_OF_A_SESSION = [
  'turns',
  'threads',
  'events',
  'messages',
  'transcript',
  'approvals',
  'grants',
  'snapshots',
  'rewinds',
  'session_resources',
  'outputs',
  'files',
  'session_repositories',
] as const

/** Characters of event bodies in one page of a tail, about: what a reader that stalls keeps in memory. */
const MAX_PAGE_CHARS = 1_000_000

/** Statements kept prepared, at most; shapes beyond that (rare filters) are prepared anew. */
const MAX_STATEMENTS = 500

export interface SqliteOptions {
  /** Pages the file may have, at most. For tests that fill the disk. */
  maxPages?: number
  /** How long sessions are kept where neither they nor their workspace say so, in ms; null: for ever. */
  retentionMs?: number | null
  /** Default: the machine's clock. */
  now?: () => number
}

/**
 * The embedded store: one file, WAL, `synchronous=FULL`. Opens or creates `file` and brings it to the newest schema.
 * Throws when the file was written by a newer Troupe.
 */
export function openSqliteStore(file: string, options: SqliteOptions = {}): SqliteStore {
  keepPrivate(file)
  const db = new Sqlite(file, { timeout: 0 })
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('cache_size = -16000')
  db.pragma('mmap_size = 268435456')
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > MIGRATIONS.length) {
    db.close()
    throw new Error(`${file} has schema ${version}; this Troupe knows ${MIGRATIONS.length}. Start the newer one.`)
  }
  for (const [index, migration] of MIGRATIONS.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(migration)
      db.pragma(`user_version = ${index + 1}`)
    })()
  }
  if (options.maxPages) db.pragma(`max_page_count = ${options.maxPages}`)
  return new SqliteStore(db, options)
}

/** The file holds conversations and secrets: nobody but the server's user may read it. SQLite gives `-wal` its mode. */
function keepPrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
  for (const each of [file, `${file}-wal`, `${file}-shm`]) if (existsSync(each)) chmodSync(each, 0o600)
}

export class SqliteStore implements Store {
  readonly #db: Sqlite.Database
  readonly #writer: GroupCommit
  readonly #statements = new Map<string, Sqlite.Statement>()
  readonly webhooks: WebhookStore
  readonly files: FileStore
  readonly skills: SkillStore
  readonly environments: EnvironmentStore
  readonly repositories: RepositoryStore
  readonly resources: ResourceStore
  readonly outputs: OutputStore
  readonly retention: RetentionStore
  readonly audit: AuditStore
  readonly approvals: ApprovalStore
  readonly keys: KeyStore
  readonly agents: AgentStore
  readonly branches: BranchStore
  readonly totals: TotalsStore
  readonly deployments: DeploymentStore
  readonly firehose: FirehoseStore
  readonly #queue: SqliteQueue
  readonly #sql: SqlRunner

  constructor(db: Sqlite.Database, options: SqliteOptions = {}) {
    this.#db = db
    const jobs = new AuditJobs(db, options.now ?? Date.now)
    this.#writer = new GroupCommit(db, (run) => jobs.bound(run))
    this.#queue = new SqliteQueue(db)
    this.#sql = {
      statement: (text) => this.#statement(text),
      run: (query) => this.#run(query),
      all: (query) => this.#all(query),
    }
    this.approvals = sqliteApprovals(this.#sql, this.#writer)
    const access: SqliteAccess = {
      statement: (text) => this.#statement(text),
      write: (run) => this.#writer.write(run),
      noteEffect: (effect) => this.#noteEffect(effect),
    }
    this.webhooks = sqliteWebhooks(access)
    this.files = sqliteFiles(access)
    this.skills = sqliteSkills(access)
    this.environments = sqliteEnvironments(access)
    this.repositories = sqliteRepositories(access)
    this.resources = sqliteResources(access)
    this.outputs = sqliteOutputs(access)
    this.retention = sqliteRetention(access, options.retentionMs ?? null)
    this.audit = sqliteAudit(access, jobs)
    this.keys = sqliteKeys(access)
    this.agents = sqliteAgents(access)
    this.totals = sqliteTotals(access)
    this.deployments = sqliteDeployments(access)
    this.firehose = sqliteFirehose(access)
    this.branches = sqliteBranches(access, (row, change) => this.#create(row, change))
  }

  createSession(row: SessionRow, change: SessionChange): Promise<Committed> {
    return this.#writer.write(() => this.#create(row, change))
  }

  #create(row: SessionRow, change: SessionChange): Committed {
    try {
      this.#run(sql.insertInto('sessions').values(sessionToRow(row)))
    } catch (error) {
      if (isUnique(error)) throw new ExternalIdTaken(row.externalId ?? row.id)
      throw error
    }
    return this.#apply(change)
  }

  commit(change: SessionChange): Promise<Committed> {
    return this.#writer.write(() => this.#apply(change))
  }

  #apply(change: SessionChange): Committed {
    const { sessionId } = change
    const decides =
      change.session !== undefined ||
      change.newTurns !== undefined ||
      change.turns !== undefined ||
      change.newApprovals !== undefined ||
      change.approvals !== undefined
    const numbers = this.#number(change, decides)
    if (change.queueLimit !== undefined && this.#queue.depth() >= change.queueLimit)
      throw new QueueFull(`${change.queueLimit} sessions wait`)
    if (change.session) {
      const columns = patchToColumns(change.session)
      if (Object.keys(columns).length > 0)
        try {
          this.#run(sql.updateTable('sessions').set(columns).where('id', '=', sessionId))
        } catch (error) {
          if (isUnique(error)) throw new ExternalIdTaken(change.session.externalId ?? '')
          throw error
        }
    }
    for (const turn of change.newTurns ?? []) this.#run(sql.insertInto('turns').values(turnToRow(turn)))
    for (const { id, patch } of change.turns ?? [])
      this.#run(sql.updateTable('turns').set(turnPatchToColumns(patch)).where('id', '=', id))
    writeApprovals(this.#sql, change)
    for (const query of threadWrites(change)) this.#run(query)
    const events = this.#insertEvents(change, numbers.firstSeq)
    this.#insertMessages(change, numbers.firstMessage)
    writeRewind({ statement: (text) => this.#statement(text) }, change, numbers.firstSeq)
    if (change.deploymentRun) writeRun({ statement: (text) => this.#statement(text) }, change.deploymentRun)
    if (change.repositories)
      writeRepositories({ statement: (text) => this.#statement(text) }, change.sessionId, change.repositories)
    writeResources({ statement: (text) => this.#statement(text) }, change)
    writeOutputs({ statement: (text) => this.#statement(text) }, change)
    if (change.ledger) writeLedger((text) => this.#statement(text), change.ledger)
    if (change.effect) this.#noteEffect(change.effect)
    return { events }
  }

  #noteEffect({ principal, key, result }: NonNullable<SessionChange['effect']>): void {
    this.#statement('update idempotency set effect = ? where principal = ? and key = ?').run(result, principal, key)
  }

  /** Takes the numbers for a change and checks, in the same statement, that it may still be made. */
  #number(change: SessionChange, decides: boolean): { firstSeq: number; firstMessage: number } {
    const events = change.events?.length ?? 0
    const messages = change.messages?.length ?? 0
    const row = this.#statement(
      `update sessions set last_seq = last_seq + ?, message_count = message_count + ?, updated_at = ?,
         version = version + ?
       where id = ? and (? is null or epoch = ?) and (? is null or version = ?)
       returning last_seq, message_count`,
    ).get(
      events,
      messages,
      change.at,
      decides ? 1 : 0,
      change.sessionId,
      change.epoch ?? null,
      change.epoch ?? null,
      change.version ?? null,
      change.version ?? null,
    ) as { last_seq: number; message_count: number } | undefined
    if (!row) this.#refuse(change)
    return { firstSeq: row.last_seq - events + 1, firstMessage: row.message_count - messages + 1 }
  }

  #refuse(change: SessionChange): never {
    const now = this.#statement('select epoch, version from sessions where id = ?').get(change.sessionId) as
      | { epoch: number; version: number }
      | undefined
    if (!now) throw new NoSuchSession(change.sessionId)
    if (change.epoch !== undefined && change.epoch !== now.epoch)
      throw new StaleEpoch(`${change.sessionId}: epoch ${change.epoch} is over, ${now.epoch} has begun`)
    throw new VersionConflict(`${change.sessionId}: version ${change.version} is over, it is ${now.version}`)
  }

  #insertEvents(change: SessionChange, firstSeq: number): EventRow[] {
    const insert = this.#statement(
      `insert into events (session_id, seq, id, repeats, type, turn_id, thread_id, created_at, processed_at, body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    return (change.events ?? []).map((event, index) => {
      const row: EventRow = {
        sessionId: change.sessionId,
        seq: firstSeq + index,
        id: event.id,
        repeats: event.repeats ?? null,
        type: event.type,
        turnId: event.turnId,
        threadId: event.threadId,
        createdAt: change.at,
        processedAt: event.processedAt,
        body: JSON.stringify(event.body),
      }
      const { sessionId, seq, id, repeats, type, turnId, threadId, createdAt, processedAt, body } = row
      insert.run(sessionId, seq, id, repeats, type, turnId, threadId, createdAt, processedAt, body)
      if (isWebhookType(type)) this.#tell(row)
      return row
    })
  }

  #tell(row: Pick<EventRow, 'sessionId' | 'seq' | 'type' | 'createdAt' | 'id' | 'turnId' | 'threadId'>): void {
    this.#statement(
      `insert into outbox (workspace_id, session_id, seq, type, created_at, event_id, turn_id, thread_id)
       values ((select workspace_id from sessions where id = ?), ?, ?, ?, ?, ?, ?, ?)`,
    ).run(row.sessionId, row.sessionId, row.seq, row.type, row.createdAt, row.id, row.turnId, row.threadId)
  }

  #insertMessages(change: SessionChange, first: number): void {
    if (!change.messages) return
    const insert = this.#statement(
      'insert into messages (session_id, n, turn_id, created_at, body) values (?, ?, ?, ?, ?)',
    )
    for (const [index, message] of change.messages.entries())
      insert.run(change.sessionId, first + index, message.turnId, change.at, message.body)
  }

  deleteSession(id: string, at: number, version?: number, effect?: SessionChange['effect']): Promise<void> {
    return this.#writer.write(() => {
      this.#number({ sessionId: id, at, ...(version !== undefined && { version }) }, true)
      for (const table of TABLES_OF_A_SESSION) this.#statement(`delete from ${table} where session_id = ?`).run(id)
      this.#statement(
        `insert or replace into tombstones (id, deleted_at, workspace_id)
         select id, ?, workspace_id from sessions where id = ?`,
      ).run(at, id)
      // The outbox keeps what it has to tell: names and numbers, for its time.
      const type = 'session.deleted'
      this.#tell({ sessionId: id, seq: 0, type, createdAt: at, id: newId('sevt'), turnId: null, threadId: null })
      this.#statement('delete from sessions where id = ?').run(id)
      if (effect) this.#noteEffect(effect)
    })
  }

  async readSession(id: string): Promise<SessionRow | null> {
    const row = this.#statement('select * from sessions where id = ?').get(id) as SessionsTable | undefined
    return row ? sessionFromRow(row) : null
  }

  async hasSession(id: string): Promise<boolean> {
    return this.#statement('select 1 from sessions where id = ?').get(id) !== undefined
  }

  async readSessionState(id: string) {
    const session = await this.readSession(id)
    if (!session) return null
    const rows = this.#statement(
      `select * from turns where session_id = ? and status in ('queued', 'in_progress', 'waiting')
       order by status = 'queued' and resume is null, position, number`,
    ).all(id) as TurnsTable[]
    const approvals = this.#statement(
      'select * from approvals where session_id = ? and open = 1 order by created_at, id',
    )
    const threads = this.#statement(RUNNING_THREADS).all(id) as ThreadsTable[]
    const openTurns = rows.map(turnFromRow)
    const steered = openTurns.find((turn) => turn.startedAt !== null && turn.inputEventIds.length > 1)
    const taken = this.#statement(
      `select distinct id from events where session_id = ? and processed_at is not null
       and id in (select value from json_each(?))`,
    )
    return {
      session,
      openTurns,
      ...(steered && {
        takenInputs: new Set(
          (taken.all(id, JSON.stringify(steered.inputEventIds)) as { id: string }[]).map((event) => event.id),
        ),
      }),
      openThreads: threads.map(threadFromRow),
      approvals: (approvals.all(id) as ApprovalsTable[]).map(approvalFromRow),
    }
  }

  async findByExternalId(workspaceId: string, externalId: string): Promise<SessionRow | null> {
    const row = this.#statement(
      'select * from sessions where workspace_id = ? and external_id = ? and archived_at is null',
    ).get(workspaceId, externalId)
    return row ? sessionFromRow(row as SessionsTable) : null
  }

  async isDeleted(id: string): Promise<boolean> {
    return this.#statement('select 1 from tombstones where id = ?').get(id) !== undefined
  }

  async workspaceOf(sessionId: string): Promise<string | null> {
    const row = this.#statement(
      'select workspace_id as id from sessions where id = ? union all select workspace_id from tombstones where id = ?',
    ).get(sessionId, sessionId) as { id: string } | undefined
    return row?.id ?? null
  }

  async listSessions(filter: SessionFilter, order: 'asc' | 'desc', limit: number, from: Position | null) {
    const direction = (order === 'asc') !== (from?.backward ?? false) ? 'asc' : 'desc'
    let query = sql.selectFrom('sessions').selectAll().where(sessionsWhere(filter))
    if (from)
      query = query.where(({ eb, refTuple, tuple }) =>
        eb(refTuple('created_at', 'id'), direction === 'asc' ? '>' : '<', tuple(from.at, from.id)),
      )
    const rows = this.#all<SessionsTable>(
      query
        .orderBy('created_at', direction)
        .orderBy('id', direction)
        .limit(limit + 1),
    )
    const page = rows.slice(0, limit).map(sessionFromRow)
    if (from?.backward) page.reverse()
    return { rows: page, more: rows.length > limit }
  }

  async countSessions(filter: SessionFilter): Promise<number> {
    const query = sql.selectFrom('sessions').select(({ fn }) => fn.countAll<number>().as('n'))
    return this.#all<{ n: number }>(query.where(sessionsWhere(filter)))[0]!.n
  }

  async findPrunable(...[workspaceId, before, statuses, limit, field]: Parameters<Store['findPrunable']>) {
    const column = field === 'updated' ? 'updated_at' : 'ended_at'
    return this.#all<{ id: string }>(
      sql
        .selectFrom('sessions')
        .select('id')
        .where('status', 'in', statuses)
        .where(column, '<', before)
        .$if(workspaceId !== null, (query) => query.where('workspace_id', '=', workspaceId))
        .where(raw<number>`keep`, '=', 0)
        // What waits for an answer is not old, however long it has waited.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('approvals').select('id').whereRef('session_id', '=', 'sessions.id').where('open', '=', 1),
            ),
          ),
        )
        .orderBy('created_at')
        .limit(limit),
    ).map((row) => row.id)
  }

  async readTurn(sessionId: string, turnId: string) {
    const row = this.#statement('select * from turns where id = ? and session_id = ?').get(turnId, sessionId)
    return row ? turnFromRow(row as TurnsTable) : null
  }

  async listTurns(sessionId: string, order: 'asc' | 'desc', limit: number, after: number | null) {
    let query = sql.selectFrom('turns').selectAll().where('session_id', '=', sessionId)
    if (after !== null) query = query.where('number', order === 'asc' ? '>' : '<', after)
    const rows = this.#all<TurnsTable>(query.orderBy('number', order).limit(limit + 1))
    return { rows: rows.slice(0, limit).map(turnFromRow), more: rows.length > limit }
  }

  async readThread(sessionId: string, threadId: string) {
    const row = this.#statement('select * from threads where id = ? and session_id = ?').get(threadId, sessionId)
    return row ? threadFromRow(row as ThreadsTable) : null
  }

  async listThreads(...[sessionId, statuses, order, limit, after]: Parameters<Store['listThreads']>) {
    const rows = this.#all<ThreadsTable>(threadsPage(sessionId, statuses, order, limit + 1, after))
    return { rows: rows.slice(0, limit).map(threadFromRow), more: rows.length > limit }
  }

  async readEvents(sessionId: string, after: number, limit: number): Promise<EventRow[]> {
    const rows = this.#statement('select * from events where session_id = ? and seq > ? order by seq limit ?')
    const page: EventRow[] = []
    let chars = 0
    for (const row of rows.iterate(sessionId, after, limit) as IterableIterator<EventsTable>) {
      page.push(eventFromRow(row))
      chars += row.body.length
      if (chars > MAX_PAGE_CHARS) break
    }
    return page
  }

  async listEvents(sessionId: string, filter: EventFilter, order: 'asc' | 'desc', limit: number) {
    let query = sql.selectFrom('events').selectAll().where('session_id', '=', sessionId).where('repeats', 'is', null)
    if (filter.afterSeq !== undefined) query = query.where('seq', '>', filter.afterSeq)
    if (filter.beforeSeq !== undefined) query = query.where('seq', '<', filter.beforeSeq)
    if (filter.types) query = query.where('type', 'in', filter.types)
    if (filter.threadId) query = query.where('thread_id', '=', filter.threadId)
    else if (filter.threadId === null) query = query.where(outsideOfThreads)
    if (filter.turnId) query = query.where('turn_id', '=', filter.turnId)
    query = query.where((eb) => eb.and(createdAt(eb, filter.createdAt)))
    const rows = this.#all<EventsTable>(query.orderBy('seq', order).limit(limit + 1))
    const page = rows.slice(0, limit).map((row) => this.#newest(eventFromRow(row)))
    return { rows: page, more: rows.length > limit }
  }

  async readEvent(sessionId: string, eventId: string): Promise<EventRow | null> {
    const row = this.#statement('select * from events where session_id = ? and id = ? order by seq limit 1')
    const found = row.get(sessionId, eventId) as EventsTable | undefined
    return found ? this.#newest(eventFromRow(found)) : null
  }

  /** The newest form of an event, under the first form's `seq`. Only inputs are ever repeated. */
  #newest(first: EventRow): EventRow {
    if (first.processedAt !== null) return first
    const last = this.#statement(
      'select * from events where session_id = ? and repeats = ? order by seq desc limit 1',
    ).get(first.sessionId, first.seq) as EventsTable | undefined
    return last ? { ...eventFromRow(last), seq: first.seq, repeats: null, createdAt: first.createdAt } : first
  }

  async readMessages(sessionId: string, after: number, limit: number): Promise<MessageRow[]> {
    const rows = this.#statement(
      'select n, turn_id as turnId, created_at as createdAt, body from messages where session_id = ? and n > ? order by n limit ?',
    )
    return rows.all(sessionId, after, limit) as MessageRow[]
  }

  async transcriptHas(sessionId: string, uuid: string): Promise<boolean> {
    const row = this.#statement("select 1 from transcript where session_id = ? and subpath = '' and uuid = ?")
    return row.get(sessionId, uuid) !== undefined
  }

  claimNext(holder: string, at: number, leaseUntil: number, limits: ClaimLimits): Promise<SessionRow | null> {
    return this.#writer.write(() => this.#queue.claim(holder, at, leaseUntil, limits))
  }

  seize(sessionId: string, holder: string, leaseUntil: number): Promise<SessionRow | null> {
    return this.#writer.write(() => {
      const row = this.#statement(
        `update sessions set holder = ?, lease_until = ?, epoch = epoch + 1, version = version + 1 where id = ? returning *`,
      ).get(holder, leaseUntil, sessionId)
      return row ? sessionFromRow(row as SessionsTable) : null
    })
  }

  async renewLeases(holder: string, leaseUntil: number): Promise<void> {
    await this.#writer.write(() => {
      this.#statement('update sessions set lease_until = ? where holder = ?').run(leaseUntil, holder)
    })
  }

  async findHeld(): Promise<string[]> {
    const rows = this.#statement(
      `select id from sessions where holder is not null or (status in ('running', 'rescheduling') and queued_at is null)`,
    ).all() as { id: string }[]
    return rows.map((row) => row.id)
  }

  async queuePlace(session: SessionRow, perKey: number): Promise<QueuePlace> {
    return this.#queue.place(session, perKey)
  }

  async queueDepth(): Promise<number> {
    return this.#queue.depth()
  }

  async readQueue(workspaceId: string, limit: number, perKey: number): Promise<QueueView> {
    return this.#queue.view(workspaceId, limit, perKey)
  }

  async findOverdue(at: number, limit: number) {
    return { ids: this.#queue.overdue(at, limit), next: this.#queue.nextOverdue() }
  }

  async readTurnLedger(turnId: string): Promise<LedgerEntry[]> {
    return readTurnLedger((text) => this.#statement(text), turnId)
  }

  async *sumUsage(filter: UsageFilter, groups: readonly UsageGroup[]) {
    for (const sums of sumLedger((text) => this.#statement(text), filter, groups)) {
      yield sums
      // Whoever waits for the event loop comes first.
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  appendTranscript(
    sessionId: string,
    subpath: string,
    entries: { uuid: string | null; body: string }[],
    generation: number | null = null,
  ): Promise<void> {
    return this.#writer.write(() => {
      // A transcript mirrored after its session was erased, or set back, must not come back to life.
      const rewinds = `coalesce(json_extract(options, '$.rewinds'), 0)`
      const current = `select 1 from sessions where id = ? and (? is null or ${rewinds} = ?)`
      if (!this.#statement(current).get(sessionId, generation, generation)) return
      const next = this.#statement(
        'select coalesce(max(n), 0) + 1 as n from transcript where session_id = ? and subpath = ?',
      ).get(sessionId, subpath) as { n: number }
      const insert = this.#statement(
        'insert or ignore into transcript (session_id, subpath, n, uuid, body) values (?, ?, ?, ?, ?)',
      )
      for (const [index, entry] of entries.entries())
        insert.run(sessionId, subpath, next.n + index, entry.uuid, entry.body)
    })
  }

  async loadTranscript(sessionId: string, subpath: string): Promise<string[]> {
    const rows = this.#statement('select body from transcript where session_id = ? and subpath = ? order by n')
    return (rows.all(sessionId, subpath) as { body: string }[]).map((row) => row.body)
  }

  async hasTranscript(sessionId: string): Promise<boolean> {
    const row = this.#statement(`select 1 from transcript where session_id = ? and subpath = '' limit 1`).get(sessionId)
    return row !== undefined
  }

  async listTranscripts(sessionId: string): Promise<string[]> {
    const rows = this.#statement(`select distinct subpath from transcript where session_id = ? and subpath <> ''`)
    return (rows.all(sessionId) as { subpath: string }[]).map((row) => row.subpath)
  }

  beginIdempotent(principal: string, key: string, fingerprint: string, at: number): Promise<IdempotencyRecord | null> {
    return this.#writer.write(() => {
      const known = this.#statement(
        'select fingerprint, state, effect, status, body from idempotency where principal = ? and key = ?',
      ).get(principal, key) as IdempotencyRecord | undefined
      if (known) return known
      this.#statement(
        `insert into idempotency (principal, key, fingerprint, state, created_at) values (?, ?, ?, 'running', ?)`,
      ).run(principal, key, fingerprint, at)
      return null
    })
  }

  finishIdempotent(principal: string, key: string, status: number, body: string): Promise<void> {
    return this.#writer.write(() => {
      this.#statement(
        `update idempotency set state = 'done', status = ?, body = ? where principal = ? and key = ?`,
      ).run(status, body, principal, key)
    })
  }

  abandonIdempotent(principal: string, key: string): Promise<void> {
    return this.#writer.write(() => {
      this.#statement('delete from idempotency where principal = ? and key = ? and effect is null').run(principal, key)
    })
  }

  sweep(before: { idempotency: number; outbox: number; tokens?: number }, boot: boolean): Promise<void> {
    return this.#writer.write(() => {
      this.#statement('delete from idempotency where created_at < ?').run(before.idempotency)
      if (before.tokens !== undefined) this.#statement('delete from tokens where expires_at < ?').run(before.tokens)
      if (boot) this.#statement(`delete from idempotency where state = 'running' and effect is null`).run()
      // What an endpoint has yet to be told stays, however old.
      this.#statement(
        `delete from outbox where created_at < ? and (n <= (select n from webhook_cursor)
           or not exists (select 1 from webhook_endpoints where status = 'enabled'))`,
      ).run(before.outbox)
    })
  }

  async checkWritable(): Promise<void> {
    await this.#writer.write(() => {
      this.#statement('insert into outbox (session_id, seq, type, created_at) values (?, 0, ?, 0)').run('', 'probe')
      this.#statement(`delete from outbox where session_id = '' and type = 'probe'`).run()
    })
  }

  async close(): Promise<void> {
    await this.#writer.settled()
    if (!this.#db.open) return
    this.#statements.clear()
    this.#db.close()
  }

  /** A setting of the connection, for `doctor` and tests. */
  pragma(name: string): unknown {
    return this.#db.pragma(name, { simple: true })
  }

  #statement(text: string): Sqlite.Statement {
    let statement = this.#statements.get(text)
    if (!statement) {
      statement = this.#db.prepare(text)
      if (this.#statements.size < MAX_STATEMENTS) this.#statements.set(text, statement)
    }
    return statement
  }

  #run(query: Compilable): void {
    const { sql: text, parameters } = query.compile()
    this.#statement(text).run(...parameters)
  }

  #all<T>(query: Compilable): T[] {
    const { sql: text, parameters } = query.compile()
    return this.#statement(text).all(...parameters) as T[]
  }
}

function isUnique(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_CONSTRAINT_UNIQUE'
}

function sessionsWhere(filter: SessionFilter) {
  return (eb: ExpressionBuilder<Tables, 'sessions'>) => {
    const all = [eb('workspace_id', '=', filter.workspaceId), ...createdAt(eb, filter.createdAt)]
    if (!filter.includeArchived) all.push(eb('archived_at', 'is', null))
    if (filter.statuses) all.push(eb('status', 'in', filter.statuses))
    if (filter.externalId !== undefined) all.push(eb('external_id', '=', filter.externalId))
    if (filter.agentId !== undefined) all.push(eb('agent_id', '=', filter.agentId))
    if (filter.agentVersion !== undefined)
      all.push(eb(raw<number>`json_extract(agent, '$.version')`, '=', filter.agentVersion))
    if (filter.deploymentId !== undefined) all.push(eb('deployment_id', '=', filter.deploymentId))
    if (filter.stopReasons) all.push(eb('stop_reason_type', 'in', filter.stopReasons))
    return eb.and([...all, ...inEnvironment(filter.environmentId), ...searchWhere(eb, filter)])
  }
}

type Range = { gt?: number; gte?: number; lt?: number; lte?: number } | undefined

function createdAt(eb: ExpressionBuilder<Tables, 'sessions' | 'events'>, range: Range) {
  const all = []
  if (range?.gt !== undefined) all.push(eb('created_at', '>', range.gt))
  if (range?.gte !== undefined) all.push(eb('created_at', '>=', range.gte))
  if (range?.lt !== undefined) all.push(eb('created_at', '<', range.lt))
  if (range?.lte !== undefined) all.push(eb('created_at', '<=', range.lte))
  return all
}
