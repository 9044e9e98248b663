import type { Database } from 'better-sqlite3'
import { applyChange, createSession } from './apply-change.ts'
import { sqliteBranches } from './branches.ts'
import { eraseSession } from './erase-session.ts'
import { sqliteFirehose } from './firehose.ts'
import { GroupCommit } from './group-commit.ts'
import { openDatabase } from './open-database.ts'
import { sqliteRetention } from './retention.ts'
import type { ChangeStore } from './session-change.ts'
import { type SqliteAccess, sqliteAccess } from './sqlite-access.ts'
import { sqliteAgents } from './sqlite-agents.ts'
import { sqliteApprovals } from './sqlite-approvals.ts'
import { AuditJobs, sqliteAudit } from './sqlite-audit.ts'
import { sqliteDeployments } from './sqlite-deployments.ts'
import { sqliteEnvironments } from './sqlite-environments.ts'
import { sqliteEvents } from './sqlite-events.ts'
import { sqliteFiles } from './sqlite-files.ts'
import { sqliteIdempotency } from './sqlite-idempotency.ts'
import { sqliteKeys } from './sqlite-keys.ts'
import { sqliteLeases } from './sqlite-leases.ts'
import { sqliteLedger } from './sqlite-ledger.ts'
import { sqliteOutputs } from './sqlite-outputs.ts'
import { queueQueries, SqliteQueue } from './sqlite-queue.ts'
import { sqliteRepositories } from './sqlite-repositories.ts'
import { sqliteResources } from './sqlite-resources.ts'
import { sqliteSessions } from './sqlite-sessions.ts'
import { sqliteSkills } from './sqlite-skills.ts'
import { sqliteThreads } from './sqlite-threads.ts'
import { sqliteTranscripts } from './sqlite-transcripts.ts'
import { sqliteTurns } from './sqlite-turns.ts'
import { sqliteUpkeep } from './sqlite-upkeep.ts'
import { sqliteWebhooks } from './sqlite-webhooks.ts'
import type { Store } from './store.ts'
import { sqliteTotals } from './totals.ts'

export interface SqliteOptions {
  /** Pages the file may have, at most. For tests that fill the disk. */
  maxPages?: number
  /** How long sessions are kept where neither they nor their workspace say so, in ms; null: for ever. */
  retentionMs?: number | null
  /** Default: the machine's clock. */
  now?: () => number
}

export interface SqliteStore extends Store {
  /** A setting of the connection, for `doctor` and tests. */
  pragma(name: string): unknown
}

/**
 * The embedded store: one file, WAL, `synchronous=FULL`. Opens or creates `file` and brings it to the newest schema.
 * Throws when the file was written by a newer Troupe.
 */
export function openSqliteStore(file: string, options: SqliteOptions = {}): SqliteStore {
  const db = openDatabase(file)
  if (options.maxPages) db.pragma(`max_page_count = ${options.maxPages}`)
  return sqliteStore(db, options)
}

/** The store on a connection, which is its own from then on. */
export function sqliteStore(db: Database, options: SqliteOptions = {}): SqliteStore {
  const jobs = new AuditJobs(db, options.now ?? Date.now)
  const writer = new GroupCommit(db, (run) => jobs.bound(run))
  const queue = new SqliteQueue(db)
  const { access, forget } = sqliteAccess(db, writer)
  return {
    ...sqliteChanges(access, queue),
    ...sqliteSessions(access),
    ...sqliteTurns(access),
    ...sqliteThreads(access),
    ...sqliteEvents(access),
    ...sqliteLeases(access, queue),
    ...queueQueries(queue),
    ...sqliteLedger(access),
    ...sqliteTranscripts(access),
    ...sqliteIdempotency(access),
    ...sqliteUpkeep(access),
    webhooks: sqliteWebhooks(access),
    files: sqliteFiles(access),
    skills: sqliteSkills(access),
    environments: sqliteEnvironments(access),
    repositories: sqliteRepositories(access),
    resources: sqliteResources(access),
    outputs: sqliteOutputs(access),
    approvals: sqliteApprovals(access),
    keys: sqliteKeys(access),
    agents: sqliteAgents(access),
    totals: sqliteTotals(access),
    deployments: sqliteDeployments(access),
    firehose: sqliteFirehose(access),
    retention: sqliteRetention(access, options.retentionMs ?? null),
    audit: sqliteAudit(access, jobs),
    branches: sqliteBranches(access, (row, change) => createSession(access, queue, row, change)),

    async close() {
      await writer.settled()
      if (!db.open) return
      forget()
      db.close()
    },

    pragma: (name) => db.pragma(name, { simple: true }),
  }
}

const sqliteChanges = (access: SqliteAccess, queue: SqliteQueue): ChangeStore => ({
  createSession: (row, change) => access.write(() => createSession(access, queue, row, change)),
  commit: (change) => access.write(() => applyChange(access, queue, change)),
  deleteSession: (id, at, version, effect) => access.write(() => eraseSession(access, id, at, version, effect)),
})
