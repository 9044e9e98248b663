import type { Session } from '@troupe/protocol/session'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { deleteIf } from '../src/sessions/edit-session.ts'
import type { SessionContext } from '../src/sessions/context.ts'
import { EventLog } from '../src/log/event-log.ts'
import { Wakeups } from '../src/log/wakeups.ts'
import { type TestServer, testServer } from './support/server.ts'

const DAY = 86_400

/** A server whose clock a test puts forward; it looks for what is over all the time. */
async function serve(
  flags: object = {},
  options: object = {},
): Promise<TestServer & { forward(seconds: number): void }> {
  let ahead = 0
  const clock = { now: () => Date.now() + ahead }
  const server = await testServer(flags, { clock, retentionEveryMs: 10, ...options })
  onTestFinished(() => server.stop())
  return Object.assign(server, { forward: (seconds: number) => void (ahead += seconds * 1000) })
}
const show = (server: TestServer, id: string) => server.get<Session>(`/v1/sessions/${id}`)
const gone = (server: TestServer, id: string) =>
  vi.waitFor(async () => expect((await server.request('GET', `/v1/sessions/${id}`)).status).toBe(410), 20_000)
const left = ({ expires_at, updated_at }: Session) => (Date.parse(expires_at!) - Date.parse(updated_at)) / 1000

describe('retention', () => {
  test('RT1 a session says how long it is kept, else its workspace, else the server; it counts from its last change', async () => {
    const server = await serve({ retention_days: 30 })
    const plain = await server.create(null)
    expect(plain).toMatchObject({ retention: { ttl_seconds: 30 * DAY, keep: false, source: 'server' } })
    expect(left(plain)).toBe(30 * DAY)
    const own = await server.create('say x', { retention: { ttl_seconds: 60 } })
    const idle = await server.idle(own.id)
    expect(idle).toMatchObject({ retention: { ttl_seconds: 60, keep: false, source: 'session' } })
    expect(left(idle)).toBe(60)
    for (const [retention, shown] of [
      [{ ttl_seconds: null }, { ttl_seconds: null, keep: false, source: 'session' }],
      [{ keep: true }, { ttl_seconds: null, keep: true, source: 'session' }],
      [
        { ttl_seconds: 5, keep: true },
        { ttl_seconds: null, keep: true, source: 'session' },
      ],
      [{ ttl_seconds: 600 }, { ttl_seconds: 600, keep: false, source: 'session' }],
      [null, { ttl_seconds: 30 * DAY, keep: false, source: 'server' }],
    ] as const) {
      const changed = await server.post<Session>(`/v1/sessions/${own.id}`, { retention })
      expect(changed.retention).toEqual(shown)
      expect(changed.expires_at === null).toBe(shown.ttl_seconds === null)
      expect((await server.events(own.id)).at(-1)).toMatchObject({ type: 'session.updated', retention: shown })
    }
    const seq = (await show(server, own.id)).last_seq
    await server.post(`/v1/sessions/${own.id}`, { retention: {} })
    await server.post(`/v1/sessions/${own.id}`, { title: null })
    expect((await show(server, own.id)).last_seq).toBe(seq)
    await server.post('/v1/workspaces/wrkspc_default', { retention: { ttl_seconds: 90 } })
    expect((await show(server, own.id)).retention).toEqual({ ttl_seconds: 90, keep: false, source: 'workspace' })
    await server.post('/v1/workspaces/wrkspc_default', { name: 'Still' })
    const workspace = await server.post('/v1/workspaces/wrkspc_default', { retention: { ttl_seconds: null } })
    expect(workspace).toMatchObject({ retention: { ttl_seconds: null } })
    expect(await show(server, own.id)).toMatchObject({
      retention: { ttl_seconds: null, source: 'workspace' },
      expires_at: null,
    })
    const fork = await server.post<Session>(`/v1/sessions/${plain.id}/fork`, {})
    expect(fork.retention).toEqual({ ttl_seconds: null, keep: false, source: 'workspace' })
  })

  test.each([
    { ttl_seconds: 0 },
    { ttl_seconds: 1.5 },
    { ttl_seconds: 315_360_001 },
    { ttl_seconds: '60' },
    { ttl: 60 },
    { keep: 'yes' },
    60,
  ])('RT1 a retention that is none is refused (%j)', async (retention) => {
    const server = await serve()
    const { id } = await server.create(null)
    for (const path of ['/v1/sessions', `/v1/sessions/${id}`])
      expect(await server.request('POST', path, { retention })).toMatchObject({
        status: 400,
        body: { code: 'validation_failed' },
      })
  })

  test('RT2 a session whose time is over goes with all that was its own, and a workdir that was named stays', async () => {
    const server = await serve()
    const named = join(server.folder, 'named')
    mkdirSync(named)
    writeFileSync(join(named, 'mine.txt'), 'mine')
    const retention = { ttl_seconds: 3_600 }
    const own = await server.create('say x', { retention })
    const other = await server.create('say y', { retention, cwd: named })
    const stays = await server.create('say z')
    for (const { id } of [own, other, stays]) await server.idle(id)
    await server.post(`/v1/sessions/${other.id}/archive`)
    expect(existsSync(own.cwd)).toBe(true)
    server.forward(3_500)
    await server.send(own.id, 'say again')
    await server.idle(own.id)
    server.forward(200)
    await gone(server, other.id)
    expect((await show(server, own.id)).status).toBe('idle')
    server.forward(3_500)
    await gone(server, own.id)
    const folder = (uuid: string) => existsSync(join(server.folder, 'data', 'sessions', uuid))
    await vi.waitFor(() =>
      expect([folder(own.uuid), folder(other.uuid), folder(stays.uuid)]).toEqual([false, false, true]),
    )
    expect(existsSync(join(named, 'mine.txt'))).toBe(true)
    expect((await server.get<{ data: unknown[] }>('/v1/sessions?include_archived=true')).data).toHaveLength(1)
    expect((await server.request('POST', `/v1/sessions/${own.id}/events`, { events: [] })).status).not.toBe(200)
  })

  test('RT3 one that works, or is to be kept, does not expire', async () => {
    const server = await serve()
    const retention = { ttl_seconds: 3_600 }
    const works = await server.create('hold', { retention, recovery: 'fail' })
    await server.event(works.id, ({ type }) => type === 'agent.message')
    const keeps = await server.create(null, { retention: { ttl_seconds: 1, keep: true } })
    const last = await server.create(null, { retention })
    server.forward(2 * DAY)
    // What was made last is looked at last.
    await gone(server, last.id)
    for (const { id } of [works, keeps]) expect([id, (await show(server, id)).expires_at]).toEqual([id, null])
    await server.post(`/v1/sessions/${works.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    expect((await server.idle(works.id)).expires_at).not.toBeNull()
    server.forward(3_601)
    await gone(server, works.id)
    expect((await server.request('DELETE', `/v1/sessions/${keeps.id}`)).status).toBe(200)
  })

  test('RT3 one that waits for an answer does not expire until it has ended', async () => {
    const server = await serve(
      { agent_executable: undefined, demo_model: 'on' },
      { env: { ANTHROPIC_API_KEY: undefined } },
    )
    const retention = { ttl_seconds: 3_600 }
    const steps = [{ tools: [{ name: 'Bash', input: { command: 'mkdir x' } }] }]
    const asks = await server.create(`Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``, { retention })
    expect((await server.idle(asks.id)).required_actions).toHaveLength(1)
    const last = await server.create(null, { retention })
    server.forward(2 * DAY)
    await gone(server, last.id)
    expect(await show(server, asks.id)).toMatchObject({ status: 'idle', expires_at: null })
    await server.post(`/v1/sessions/${asks.id}/archive`)
    server.forward(3_601)
    await gone(server, asks.id)
  })

  test('RT4 what comes to life between the look and the deletion stays', async () => {
    const server = await serve()
    const { id } = await server.create(null)
    const { store } = server.app
    const context = { store, log: new EventLog(store, new Wakeups()), clock: { now: Date.now } } as SessionContext
    let looks = 0
    const deleted = await deleteIf(context, id, async (session) => {
      if (looks++ > 0) return session.title === null
      await server.post(`/v1/sessions/${id}`, { title: 'needed' })
      return true
    })
    expect([deleted, looks, (await show(server, id)).title]).toEqual([false, 2, 'needed'])
  })

  test('RT5 a prune tells and takes what has expired, and passes over what is to be kept', async () => {
    // It looks by itself only once, at the start.
    let ahead = 0
    const server = await testServer({}, { clock: { now: () => Date.now() + ahead } })
    onTestFinished(() => server.stop())
    const short = await server.create(null, { retention: { ttl_seconds: 10 } })
    const archived = await server.create(null, { retention: { ttl_seconds: 10 } })
    await server.post(`/v1/sessions/${archived.id}/archive`)
    const kept = await server.create(null, { retention: { keep: true } })
    const plain = await server.create(null)
    const prune = (body: object) => server.post('/v1/sessions/prune', body)
    const expired = { older_than: 'expired' }
    expect(await prune({ ...expired, dry_run: true })).toEqual({ matched: 0, deleted: 0 })
    ahead += 11_000
    expect(await prune({ ...expired, dry_run: true })).toEqual({ matched: 2, deleted: 0 })
    expect(await prune({ ...expired, statuses: ['terminated'] })).toEqual({ matched: 1, deleted: 1 })
    expect(await prune(expired)).toEqual({ matched: 1, deleted: 1 })
    await gone(server, short.id)
    ahead += 1_000
    expect(await prune({ older_than: 0, dry_run: true })).toEqual({ matched: 1, deleted: 0 })
    expect(await prune({ older_than: 0 })).toEqual({ matched: 1, deleted: 1 })
    await gone(server, plain.id)
    expect((await show(server, kept.id)).retention.keep).toBe(true)
    const cleaned = await server.request('DELETE', '/sessions/cleanup?max_age_hours=0')
    expect(cleaned.body).toMatchObject({ removed: 0 })
    expect((await server.request('POST', '/v1/sessions/prune', { older_than: 'old' })).status).toBe(400)
  })
})
