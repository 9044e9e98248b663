import Sqlite from 'better-sqlite3'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { killableServer, spawnServer } from './support/killable-server.ts'
import { FAKE_AGENT } from './support/server.ts'

const SESSIONS = 120
const KILLS = 4

test('RT7 a server that is killed while sessions expire leaves none half deleted, and the next one goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-retention-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const flags = { agent_executable: FAKE_AGENT, live_seconds: 0, spares: 0 }
  const first = await killableServer(folder, flags)
  const create = async (body: object) => {
    const response = await fetch(`${first.url}/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(200)
  }
  for (let n = 0; n < SESSIONS; n++) await create({ retention: { ttl_seconds: 3_600 } })
  await create({})
  await first.stop()

  const db = new Sqlite(join(folder, 'data', 'troupe.db'))
  onTestFinished(() => void db.close())
  db.prepare('update sessions set updated_at = updated_at - 7200000, created_at = created_at - 7200000').run()
  const count = () => (db.prepare('select count(*) as n from sessions').get() as { n: number }).n
  const ids = () => db.prepare('select id from sessions').pluck().all() as string[]
  const logged = () => db.prepare('select distinct session_id from events').pluck().all() as string[]

  for (let kill = 0; kill < KILLS; kill++) {
    const before = count()
    if (before === 1) break
    const server = spawnServer(folder, flags)
    await vi.waitFor(() => expect(count()).toBeLessThan(before), { timeout: 30_000, interval: 1 })
    await server.kill()
    // All of a session, or nothing.
    expect(logged().toSorted()).toEqual(ids().toSorted())
    const graves = db.prepare('select count(*) as n from tombstones').get() as { n: number }
    expect(count() + graves.n).toBe(SESSIONS + 1)
  }
  const last = await killableServer(folder, flags)
  await vi.waitFor(
    () => expect([count(), readdirSync(join(folder, 'data', 'sessions')).length]).toEqual([1, 1]),
    30_000,
  )
  await last.stop()
})
