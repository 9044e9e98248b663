import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { Session } from '@troupe/protocol/session'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Setting } from '../src/config.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const agents = ({ folder }: TestServer) => readdirSync(join(folder, 'data', 'agents')).map(Number)
const folders = ({ folder }: TestServer) => readdirSync(join(folder, 'data', 'sessions'))

/** A figure of `/metrics`. */
async function figure(server: TestServer, name: string, key = ''): Promise<number> {
  const text = await (await server.request('GET', '/metrics', undefined, key ? { 'x-api-key': key } : {})).text
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.split(' ').at(-1))
}
const came = (server: TestServer, how: string, key?: string) =>
  figure(server, `troupe_agents_started_total{how="${how}"}`, key)
const spares = (server: TestServer, key?: string) => figure(server, 'troupe_spare_agents', key)
const until = (server: TestServer, count: number) => expect.poll(() => spares(server)).toBe(count)

describe('genuine agents that wait for their session', () => {
  let model: DemoModel
  let server: TestServer
  let operator = ''
  const start = async (flags: Partial<Record<Setting, unknown>> = {}) => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', live_seconds: 300, spares: 1, ...flags },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined }, onFirstKey: (secret) => (operator = secret) },
    )
  }
  afterEach(async () => {
    await server.stop()
    await model.close()
  })
  const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
  const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })

  test('WM8 a session like one before it gets an agent that has waited in its workdir, and costs what it costs', async () => {
    await start()
    const first = await server.create(scripted([{ say: 'one' }]), bypass)
    await server.idle(first.id)
    await until(server, 1)
    const [, waiting] = agents(server)
    // Nothing was asked of the model, nothing lies in its workdir, and no list shows it.
    expect(model.requests.list(first.uuid).length).toBe(model.requests.list().length)
    const [folder] = folders(server).filter((name) => name !== first.uuid)
    expect(readdirSync(join(server.folder, 'data', 'sessions', folder!, 'workdir'))).toEqual([])
    expect((await server.get<{ data: Session[] }>('/v1/sessions')).data.map(({ id }) => id)).toEqual([first.id])
    const { id, uuid, cwd } = await server.create(scripted([bash('pwd > here'), { say: 'two' }]), bypass)
    expect(uuid).toBe(folder)
    const session = await server.idle(id)
    expect(session.result!.text).toBe('two')
    expect(readFileSync(join(cwd, 'here'), 'utf8')).toBe(`${cwd}\n`)
    expect(agents(server)).toContain(waiting)
    expect([await came(server, 'cold'), await came(server, 'spare')]).toEqual([1, 1])
    // How long it is kept, and who starts it, are none of the process's business.
    await until(server, 1)
    const kept = await server.create('three', { ...bypass, retention: { ttl_seconds: 86_400 } })
    await server.idle(kept.id)
    expect(await came(server, 'spare')).toBe(2)
    await until(server, 1)
    const agent = await server.post<{ id: string }>('/v1/agents', { ...bypass.agent, type: undefined, name: 'Same' })
    const initial_events = [{ type: 'user.message', content: 'four' }]
    const deployment = await server.post<{ id: string }>('/v1/deployments', {
      name: 'x',
      agent: agent.id,
      initial_events,
    })
    const run = await server.post<{ session_id: string }>(`/v1/deployments/${deployment.id}/run`)
    await server.idle(run.session_id)
    expect(await came(server, 'spare')).toBe(3)
    const billed = model.requests.list(uuid).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect(session.usage.output_tokens).toBe(billed)
    // It is an agent like any other from now on.
    await server.send(id, scripted([{ say: 'three' }]))
    expect((await server.idle(id)).result!.text).toBe('three')
    expect(await came(server, 'live')).toBe(1)
  })

  test('WM9 another kind of session gets none of them, and one that was changed before its first turn starts anew, unseen', async () => {
    await start()
    await server.idle((await server.create('one', bypass)).id)
    await until(server, 1)
    const there = () => spares(server)
    for (const fields of [
      {},
      { ...bypass, env: { PLANTED: 'yes' } },
      { agent: { ...bypass.agent, system: 'You are a pirate' } },
      { ...bypass, limits: { max_turns: 3 } },
      { ...bypass, budget: { type: 'limit', max_list_cost: { amount: '100', currency: 'USD' } } },
    ]) {
      await server.post('/v1/sessions', fields)
      expect([fields, await there()]).toEqual([fields, 1])
    }
    const folder = join(server.folder, 'named')
    mkdirSync(folder)
    await server.post('/v1/sessions', { ...bypass, cwd: folder })
    expect(await there()).toBe(1)
    const { id } = await server.create(null, bypass)
    expect(await there()).toBe(0)
    await server.post(`/v1/sessions/${id}`, {
      output_schema: { type: 'object', properties: { n: { type: 'integer' } } },
    })
    await server.send(id, 'And?')
    expect((await server.idle(id)).result!.structured).not.toBe(null)
    expect(await came(server, 'spare')).toBe(0)
  })

  test('WM10 nothing of a workspace comes into another by an agent that waits: not its place, environment, options nor words', async () => {
    await start({ auth: 'on' })
    const call = async <T>(path: string, body: unknown, key = operator): Promise<T> => {
      const { status, body: answer } = await server.request('POST', path, body, { 'x-api-key': key })
      expect([path, status, answer]).toEqual([path, 200, answer])
      return answer as T
    }
    const { id: other } = await call<{ id: string }>('/v1/workspaces', { name: 'other' })
    const { secret } = await call<{ secret: string }>('/v1/api_keys', {
      name: 'theirs',
      workspace_id: other,
      scopes: ['sessions:write', 'sessions:read'],
    })
    const fields = { ...bypass, env: { CANARY: 'of-the-first' } }
    const first = await call<Session>('/v1/sessions', {
      ...fields,
      initial_events: [{ type: 'user.message', content: scripted([{ say: 'secret words' }]) }],
    })
    await server.request('GET', `/v1/sessions/${first.id}?wait_for=idle&timeout=60`, undefined, {
      'x-api-key': operator,
    })
    await expect.poll(() => spares(server, operator)).toBe(1)
    const [waiting] = agents(server).slice(-1)
    const theirs = await call<Session>(
      '/v1/sessions',
      {
        ...bypass,
        initial_events: [
          { type: 'user.message', content: scripted([bash('env > env; ls -A . > files'), { say: 'x' }]) },
        ],
      },
      secret,
    )
    await server.request('GET', `/v1/sessions/${theirs.id}?wait_for=idle&timeout=60`, undefined, {
      'x-api-key': secret,
    })
    expect(readFileSync(join(theirs.cwd, 'env'), 'utf8')).not.toContain('of-the-first')
    expect(readFileSync(join(theirs.cwd, 'files'), 'utf8').split('\n').toSorted()).toEqual(['', 'env', 'files'])
    const transcript = await server.app.store.loadTranscript(theirs.id, '')
    expect(transcript.join()).not.toContain('secret words')
    // Asked for word by word it is still not theirs.
    const same = await call<Session>('/v1/sessions', { ...fields }, secret)
    expect(existsSync(join(server.folder, 'data', 'agents', String(waiting)))).toBe(true)
    expect(folders(server)).toContain(same.uuid)
    expect(await spares(server, operator)).toBeGreaterThan(0)
    expect(await came(server, 'spare', operator)).toBe(0)
  })

  test('WM11 agents that wait give way to work, go when nobody asks for them, and leave no folder', async () => {
    await start({ live_seconds: 2 })
    const { id } = await server.create('one', bypass)
    await server.idle(id)
    await until(server, 1)
    await until(server, 0)
    await expect.poll(() => folders(server).length).toBe(1)
    // Room for two: with one at rest and one that waits, a second session with work finds none.
    await server.restart({ live_seconds: 300, max_memory_mb: 800, max_running: 4 })
    await server.idle((await server.create('two', bypass)).id)
    await until(server, 1)
    const kept = agents(server)
    const busy = await server.create(scripted([{ say: 'x', delay_ms: 240_000 }]))
    await server.event(busy.id, ({ type }) => type === 'turn.started')
    expect((await server.idle((await server.create('three')).id)).result).not.toBe(null)
    expect(agents(server).filter((pid) => kept.includes(pid))).toEqual([])
    expect((await server.get<Session>(`/v1/sessions/${busy.id}`)).status).toBe('running')
    await server.app.stop()
    expect(agents(server)).toEqual([])
  })

  test('WM13 a burst of sessions is served from what waits and from the line, and memory ends nothing', async () => {
    await start({ spares: 2, max_running: 4 })
    await server.idle((await server.create('first', bypass)).id)
    await until(server, 1)
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, n) => server.create(scripted([{ say: `word ${n}` }]), bypass)),
    )
    const ended = await Promise.all(created.map(({ id }) => server.idle(id)))
    expect(ended.map(({ result, last_error }) => [result!.text, last_error])).toEqual(
      created.map((_, n) => [`word ${n}`, null]),
    )
    expect(new Set(created.map(({ id }) => id)).size).toBe(20)
    expect(await came(server, 'spare')).toBeGreaterThan(0)
    expect((await came(server, 'spare')) + (await came(server, 'cold'))).toBe(21)
    for (const { uuid } of created) expect(model.requests.list(uuid)).toHaveLength(1)
  })
})
