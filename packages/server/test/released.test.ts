import Sqlite from 'better-sqlite3'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import type { Session } from '@troupe/protocol/session'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { MIGRATIONS } from '../src/store/migrations.ts'
import { FAKE_AGENT, testEnv } from './support/server.ts'

const released = new URL('store/released/', import.meta.url)
const stores = readdirSync(released).filter((name) => name.endsWith('.sql'))

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'troupe-released-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

/** Makes a store of an older Troupe, in this test's folder; returns how many migrations it had. */
function lay(name: string): number {
  mkdirSync(join(folder, 'data'))
  const db = new Sqlite(join(folder, 'data', 'troupe.db'))
  db.exec(readFileSync(new URL(name, released), 'utf8').replaceAll('/srv/troupe', folder))
  const schema = db.pragma('user_version', { simple: true }) as number
  // The sessions' own folders lie beside the store.
  for (const cwd of db.prepare('select cwd from sessions').pluck().all() as string[])
    mkdirSync(cwd, { recursive: true })
  db.close()
  return schema
}

/** What a database is made of, whatever the white space and the order. */
function shape(db: Sqlite.Database): string[] {
  const parts = db.prepare(`select sql from sqlite_master where sql is not null`).pluck().all() as string[]
  return parts.map((sql) => sql.replaceAll(/\s+/g, ' ')).sort()
}

test.each(stores)(
  'OP10 a store that an older Troupe left is brought to now, and its sessions go on: %s',
  async (name) => {
    lay(name)
    const app = await startApp(
      loadConfig({
        flags: { port: 0, data_dir: join(folder, 'data'), agent_executable: FAKE_AGENT, log_level: 'silent' },
        env: testEnv({ ANTHROPIC_API_KEY: 'test' }),
        cwd: folder,
      }),
    )
    const call = async <T>(path: string, body?: object): Promise<T> => {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(app.url + path, body ? { method: 'POST', headers, body: JSON.stringify(body) } : {})
      expect([path, response.status]).toEqual([path, 200])
      return (await response.json()) as T
    }
    try {
      const { data } = await call<{ data: Session[] }>('/v1/sessions')
      expect(data.map(({ title }) => title).sort()).toEqual(['Crashed', 'New', 'Talked'])
      for (const { id, title } of data) {
        const events = `/v1/sessions/${id}/events`
        const before = (await call<{ data: { seq: number }[] }>(`${events}?limit=1000`)).data
        await call(events, {
          events: [{ type: 'user.message', content: [{ type: 'text', text: `say on with ${title}` }] }],
        })
        const session = await call<Session>(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
        expect(session.result!.text).toBe(`on with ${title}`)
        const after = (await call<{ data: { seq: number }[] }>(`${events}?limit=1000`)).data
        expect(after.slice(0, before.length)).toEqual(before)
        expect(after.length).toBeGreaterThan(before.length)
      }
      const talked = data.find(({ title }) => title === 'Talked')!
      expect(talked).toMatchObject({ metadata: { kept: 'yes' }, result: { text: 'the blue door' } })
      expect((await call<{ data: unknown[] }>('/v1/agents')).data).toMatchObject([{ name: 'Released' }])
      expect((await call<{ data: unknown[] }>('/v1/webhook_endpoints')).data).toHaveLength(1)
    } finally {
      await app.stop()
    }
  },
)

test.each(stores)('OP11 migrations that were released are as they were: %s', (name) => {
  const known = lay(name)
  const left = new Sqlite(join(folder, 'data', 'troupe.db'))
  const made = new Sqlite(':memory:')
  for (const migration of MIGRATIONS.slice(0, known)) made.exec(migration)
  expect(known).toBeGreaterThan(0)
  expect(shape(made)).toEqual(shape(left))
  left.close()
  made.close()
})
