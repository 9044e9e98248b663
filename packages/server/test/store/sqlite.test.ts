import Sqlite from 'better-sqlite3'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { QUEUE_MIGRATION } from '../../src/store/queue-schema.ts'
import { sessionToRow } from '../../src/store/rows.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { StorageUnavailable } from '../../src/store/errors.ts'
import { change, event, sessionRow } from '../support/rows.ts'
import { agentsContract } from './agents-contract.ts'
import { storeContract } from './contract.ts'
import { webhookContract } from './webhook-contract.ts'
import { queueContract } from './queue-contract.ts'
import { retentionContract } from './retention-contract.ts'
import { runningCapsContract } from './running-caps-contract.ts'
import { workspaceContract } from './workspace-contract.ts'

let folder: string
const file = () => join(folder, 'troupe.db')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-store-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const harness = async () => {
  let store = openSqliteStore(file())
  return {
    store,
    async reopen() {
      await store.close()
      store = openSqliteStore(file())
      return store
    },
    end: () => store.close(),
  }
}
storeContract('SQLite', harness)
webhookContract('SQLite', harness)
agentsContract('SQLite', harness)
workspaceContract('SQLite', harness)
runningCapsContract('SQLite', harness)
retentionContract('SQLite', async (retentionMs) => {
  const store = openSqliteStore(file(), { retentionMs })
  return { store, end: () => store.close() }
})

queueContract('SQLite', async () => {
  const store = openSqliteStore(file())
  return { store, end: () => store.close() }
})

test('D2 the file is WAL with synchronous=FULL: a resolved write has been flushed', async () => {
  const store = openSqliteStore(file())
  const db = new Sqlite(file(), { readonly: true })
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
  expect(store.pragma('synchronous')).toBe(2)
  db.close()
  await store.close()
})

test('D3 a full disk refuses the write, loses nothing, and the store works again when there is room', async () => {
  const row = sessionRow()
  let store = openSqliteStore(file(), { maxPages: 200 })
  await store.createSession(row, change(row.id, { events: [event()] }))
  let acknowledged = 1
  const big = { text: 'x'.repeat(8_000) }
  for (;;) {
    try {
      await store.commit(change(row.id, { events: [event('agent.message', { body: big })] }))
      acknowledged++
    } catch (error) {
      expect(error).toBeInstanceOf(StorageUnavailable)
      expect((error as StorageUnavailable).reason).toBe('disk_full')
      break
    }
  }
  expect(acknowledged).toBeGreaterThan(3)
  expect((await store.readSession(row.id))!.lastSeq).toBe(acknowledged)
  const { rows } = await store.listEvents(row.id, {}, 'asc', 1_000)
  expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: acknowledged }, (_, index) => index + 1))
  await expect(store.checkWritable()).resolves.toBeUndefined()
  await store.close()
  store = openSqliteStore(file())
  const { events } = await store.commit(change(row.id, { events: [event('agent.message', { body: big })] }))
  expect(events[0]!.seq).toBe(acknowledged + 1)
  await store.close()
})

test('D4 a lock that another process holds is waited for without blocking, then the write goes through', async () => {
  const store = openSqliteStore(file())
  const other = new Sqlite(file(), { timeout: 0 })
  other.exec('begin immediate')
  const row = sessionRow()
  const written = store.createSession(row, change(row.id, { events: [event()] }))
  // The event loop goes round while the write waits.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(await store.readSession(row.id)).toBeNull()
  other.exec('commit')
  other.close()
  await written
  expect(await store.readSession(row.id)).not.toBeNull()
  await store.close()
})

test('J24 a line that a version without priorities left is taken over', async () => {
  const known = MIGRATIONS.indexOf(QUEUE_MIGRATION)
  const db = new Sqlite(file())
  for (const migration of MIGRATIONS.slice(0, known)) db.exec(migration)
  // Columns of later versions were not there.
  const later = ['priority', 'principal', 'concurrency_key', 'max_queue_ms', 'cache_prefix', 'context', 'workspace_id']
  const row = Object.fromEntries(Object.entries(sessionToRow(sessionRow())).filter(([name]) => !later.includes(name)))
  const columns = Object.keys(row)
  const insert = db.prepare(
    `insert into sessions (${columns.join()}) values (${columns.map((name) => `:${name}`).join()})`,
  )
  insert.run({ ...row, id: 'sesn_held', holder: 'node_old', lease_until: 5 })
  for (const n of [2, 1, 3]) insert.run({ ...row, id: `sesn_${n}`, queued_at: n })
  db.pragma(`user_version = ${known}`)
  db.close()
  const store = openSqliteStore(file())
  expect(await store.queueDepth()).toBe(3)
  const claims = []
  for (let n = 0; n < 4; n++) claims.push((await store.claimNext('node_new', 9, 99, { slots: 9, perKey: 9 }))?.id)
  expect(claims).toEqual(['sesn_1', 'sesn_2', 'sesn_3', undefined])
  await store.close()
})

test('D5 a file written by a newer Troupe is left alone', () => {
  const db = new Sqlite(file())
  db.pragma('user_version = 999')
  db.close()
  expect(() => openSqliteStore(file())).toThrow(/Start the newer one/)
})

test('Z18 the file and its log can be read by nobody but their owner, also one that was there before', async () => {
  writeFileSync(file(), '', { mode: 0o644 })
  const store = openSqliteStore(file())
  const row = sessionRow()
  await store.createSession(row, change(row.id))
  for (const name of [file(), `${file()}-wal`, `${file()}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600)
  await store.close()
})

test('Z14 an outbox of an older Troupe keeps its rows, and they say what happened', async () => {
  const db = new Sqlite(file())
  db.exec(MIGRATIONS[0]!)
  db.pragma('user_version = 1')
  db.exec(`insert into events values ('sesn_a', 4, 'sevt_a', null, 'turn.completed', 'turn_a', 'sthr_a', 9, 9, '{}')`)
  db.exec(`insert into outbox values (7, 'sesn_a', 4, 'turn.completed', 9)`)
  db.close()
  const store = openSqliteStore(file())
  expect((await store.webhooks.readUntold(10)).rows).toEqual([
    {
      n: 7,
      workspaceId: 'wrkspc_default',
      eventId: 'sevt_a',
      type: 'turn.completed',
      sessionId: 'sesn_a',
      turnId: 'turn_a',
      threadId: 'sthr_a',
      seq: 4,
      occurredAt: 9,
    },
  ])
  await store.close()
})
