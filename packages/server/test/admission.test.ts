import type { Queue } from '@troupe/protocol/queue'
import type { Session } from '@troupe/protocol/session'
import { describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const holding = ({ type }: { type: string }) => type === 'agent.message'

/** A clock that a test can put forward. */
function movable() {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    forward: (ms: number) => {
      ahead += ms
    },
  }
}

/** A session that holds its slot until it is stopped. */
async function occupy(server: TestServer, fields = {}, prompt = 'hold'): Promise<string> {
  const { id } = await server.create(prompt, { recovery: 'fail', ...fields })
  await server.event(id, holding)
  return id
}
const stopNow = (server: TestServer, id: string) =>
  server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
const session = (server: TestServer, id: string) => server.get<Session>(`/v1/sessions/${id}`)
const queue = (server: TestServer, query = '') => server.get<Queue>(`/v1/queue${query}`)

describe('a place in the queue', () => {
  test('J10 priority, key and limit stand on the session; what is not one is refused', async () => {
    await using server = await disposable({ max_running: 1 })
    const fields = { priority: 7, concurrency_key: 'team', limits: { max_queue_seconds: 60 } }
    const created = await server.create(null, fields)
    expect(created).toMatchObject({ ...fields, limits: { max_turns: null, max_queue_seconds: 60 } })
    expect(await session(server, created.id)).toMatchObject(fields)
    const nothing = await server.create(null, {
      priority: null,
      concurrency_key: null,
      limits: { max_queue_seconds: null },
    })
    expect(nothing).toMatchObject({ priority: 0, concurrency_key: null, limits: { max_queue_seconds: null } })
    for (const wrong of [
      { priority: 101 },
      { priority: -101 },
      { priority: 1.5 },
      { priority: 'high' },
      { concurrency_key: '' },
      { concurrency_key: 'x'.repeat(256) },
      { limits: { max_queue_seconds: 0 } },
      { limits: { max_queue_seconds: 604_801 } },
    ])
      expect(await server.request('POST', '/v1/sessions', wrong)).toMatchObject({
        status: 400,
        body: { code: 'validation_failed' },
      })
  })

  test('J11 priority and key can be changed while a session is idle or waits, and at no other time', async () => {
    await using server = await disposable({ max_running: 1 })
    const running = await occupy(server)
    const first = await server.create('say first')
    const second = await server.create('say second')
    const change = (id: string, body: object) => server.request('POST', `/v1/sessions/${id}`, body)
    const changed = await change(second.id, { priority: 5, concurrency_key: 'team' })
    expect(changed.body).toMatchObject({ priority: 5, concurrency_key: 'team', queue: { position: 1 } })
    const updated = (await server.events(second.id)).filter(({ type }) => type === 'session.updated')
    expect(updated).toMatchObject([{ priority: 5, concurrency_key: 'team' }])
    expect((await change(second.id, { priority: 5 })).status).toBe(200)
    expect((await session(server, second.id)).last_seq).toBe(updated[0]!.seq)
    expect(await change(running, { priority: 1 })).toMatchObject({ status: 409, body: { code: 'session_running' } })
    expect(await change(running, { title: 'still possible', priority: 0 })).toMatchObject({ status: 200 })
    await stopNow(server, running)
    await server.idle(running)
    expect((await change(running, { priority: 1, concurrency_key: null })).body).toMatchObject({ priority: 1 })
    await server.post(`/v1/sessions/${running}/archive`)
    expect(await change(running, { priority: 2 })).toMatchObject({ status: 400, body: { code: 'session_terminated' } })
    await Promise.all([server.idle(first.id), server.idle(second.id)])
    const [one, two] = await Promise.all([first, second].map(async ({ id }) => (await server.turns(id))[0]!))
    expect(two!.started_at! <= one!.started_at!).toBe(true)
  })

  test('J12 beyond max_queued_sessions a create, a send and an execute are 429 queue_full, and leave nothing', async () => {
    await using server = await disposable({ max_running: 1, max_queued_sessions: 1 })
    const idle = await server.create(null)
    const running = await occupy(server)
    const waiting = await server.create('say waited')
    const message = { type: 'user.message', content: 'say x' }
    for (const [path, body] of [
      ['/v1/sessions', { initial_events: [message] }],
      [`/v1/sessions/${idle.id}/events`, { events: [message] }],
      ['/execute/', { prompt: 'say x' }],
    ] as const) {
      const reply = await server.request('POST', path, body)
      expect(reply).toMatchObject({ status: 429, body: { code: 'queue_full' } })
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(reply.headers.get('x-should-retry')).toBe('true')
    }
    expect(await session(server, idle.id)).toMatchObject({ status: 'idle', last_seq: 1 })
    expect((await server.get<{ data: unknown[] }>('/v1/sessions')).data).toHaveLength(3)
    // A session that has a slot, and one that needs none, are not kept from anything.
    await server.send(running, 'say next')
    await server.create(null)
    await stopNow(server, running)
    expect((await server.idle(waiting.id)).result!.text).toBe('waited')
  })
})

describe('what keeps a session waiting', () => {
  test('J13 a key at its cap waits for its own sessions, while others pass', async () => {
    await using server = await disposable({ max_running: 3, max_running_per_key: 1 })
    const first = await occupy(server, { concurrency_key: 'repo' })
    const second = await server.create('say second', { concurrency_key: 'repo' })
    const other = await server.create('say other', { concurrency_key: 'another' })
    expect((await server.idle(other.id)).result!.text).toBe('other')
    expect(await session(server, second.id)).toMatchObject({ queue: { position: 1, reason: 'concurrency_key' } })
    expect(await queue(server)).toMatchObject({
      depth: 1,
      running: 1,
      by_key: [{ principal: 'local', concurrency_key: 'repo', depth: 1, running: 1 }],
      data: [{ session_id: second.id, position: 1, reason: 'concurrency_key', concurrency_key: 'repo' }],
    })
    await stopNow(server, first)
    expect((await server.idle(second.id)).result!.text).toBe('second')
  })

  test('J14 without room in memory a session waits although there are slots; one always runs, and none is ended', async () => {
    await using server = await disposable({ max_running: 4, max_memory_mb: 64 })
    const first = await occupy(server)
    const second = await server.create('say second')
    expect(await session(server, second.id)).toMatchObject({ queue: { position: 1, reason: 'waiting_for_memory' } })
    const { slots, memory } = await queue(server)
    expect(slots).toEqual({ max: 4, used: 1 })
    expect(memory.budget_bytes).toBe(64 * 2 ** 20)
    expect(memory.used_bytes).toBeGreaterThan(memory.budget_bytes)
    expect(await server.get('/v1/info')).toMatchObject({ memory, slots })
    await stopNow(server, first)
    expect((await server.idle(second.id)).result!.text).toBe('second')
    expect((await server.idle(first)).stop_reason).toEqual({ type: 'interrupted' })
  })

  test('J30 room is what agents are measured to take: when one has shown that it needs little, the next one starts', async () => {
    const clock = movable()
    await using server = await disposable({ max_running: 4, max_memory_mb: 700 }, { clock })
    const first = await occupy(server)
    const { id } = await server.create('say second')
    expect(await session(server, id)).toMatchObject({ queue: { reason: 'waiting_for_memory' } })
    clock.forward(15_000)
    expect((await server.idle(id)).result!.text).toBe('second')
    await expect.poll(async () => (await queue(server)).slots.used).toBe(1)
    const { used_bytes } = (await queue(server)).memory
    // One small Node process with its wrapper.
    expect(used_bytes).toBeGreaterThan(5 * 2 ** 20)
    expect(used_bytes).toBeLessThan(300 * 2 ** 20)
    await stopNow(server, first)
  })

  test('J15 /v1/queue shows who waits, in order, with what there is to give', async () => {
    await using server = await disposable({ max_running: 1 })
    expect(await queue(server)).toMatchObject({ type: 'queue', depth: 0, oldest_queued_at: null, by_key: [], data: [] })
    const running = await occupy(server)
    const usual = await server.create('say a')
    const urgent = await server.create('say b', { priority: 1 })
    const line = await queue(server)
    expect(line).toMatchObject({
      depth: 2,
      running: 1,
      slots: { max: 1, used: 1 },
      backoff_until: null,
      oldest_queued_at: (await session(server, usual.id)).queue!.enqueued_at,
      by_key: [{ principal: 'local', concurrency_key: null, depth: 2, running: 1 }],
    })
    expect(line.data).toMatchObject([
      { session_id: urgent.id, position: 1, priority: 1, reason: 'waiting_for_slot' },
      { session_id: usual.id, position: 2, priority: 0, reason: 'waiting_for_slot' },
    ])
    expect((await queue(server, '?limit=1')).data).toHaveLength(1)
    expect((await server.request('GET', '/v1/queue?limit=0')).status).toBe(400)
    await stopNow(server, running)
    await Promise.all([server.idle(usual.id), server.idle(urgent.id)])
  })
})

describe('waiting too long', () => {
  test('J16 a turn that waits longer than max_queue_seconds fails with queue_timeout; the session goes on', async () => {
    const clock = movable()
    await using server = await disposable({ max_running: 1 }, { clock })
    const running = await occupy(server)
    const patient = await server.create('say patient')
    const { id } = await server.create('say late', { limits: { max_queue_seconds: 30 } })
    clock.forward(20_000)
    await server.send(id, 'say in time')
    clock.forward(15_000)
    await server.event(id, ({ type }) => type === 'turn.failed')
    expect(await session(server, id)).toMatchObject({
      status: 'running',
      queue: { position: 2 },
      last_error: { code: 'queue_timeout', side_effect_possible: false },
    })
    await stopNow(server, running)
    expect(await server.idle(id)).toMatchObject({ last_error: null, result: { text: 'in time' } })
    const [late, inTime] = await server.turns(id)
    expect(late).toMatchObject({
      status: 'failed',
      started_at: null,
      stop_reason: { type: 'retries_exhausted' },
      error: { code: 'queue_timeout' },
    })
    expect(inTime).toMatchObject({ status: 'completed' })
    expect((await server.idle(patient.id)).result!.text).toBe('patient')
  })

  test('J17 the time goes on over a restart', async () => {
    const clock = movable()
    await using server = await disposable({ max_running: 1, drain_seconds: 0 }, { clock })
    const running = await occupy(server)
    const { id } = await server.create('say late', { limits: { max_queue_seconds: 3_600 } })
    clock.forward(3_600_000)
    await server.restart()
    expect(await server.idle(id)).toMatchObject({
      stop_reason: { type: 'retries_exhausted' },
      last_error: { code: 'queue_timeout' },
      result: { is_error: true },
    })
    await server.idle(running)
  })
})

describe('a model that refuses', () => {
  test.each([429, 529])(
    'J18 after %i no session is taken until the time the model asked for has passed',
    async (status) => {
      const clock = movable()
      await using server = await disposable({ max_running: 4 }, { clock, random: () => 0.5 })
      const { id: refused } = await server.create(`refused ${status} 40000`)
      await server.event(refused, holding)
      const { id } = await server.create('say after')
      expect(await session(server, id)).toMatchObject({ queue: { position: 1, reason: 'model_backoff' } })
      const { backoff_until, data } = await queue(server)
      expect(data).toMatchObject([{ session_id: id, reason: 'model_backoff' }])
      // The agent's 40 s, and an eighth of it as jitter.
      const pause = Date.parse(backoff_until!) - clock.now()
      expect(pause).toBeGreaterThan(39_000)
      expect(pause).toBeLessThanOrEqual(45_000)
      clock.forward(46_000)
      expect((await server.idle(id)).result!.text).toBe('after')
      // What runs was left alone.
      expect((await server.turns(refused)).map((turn) => turn.status)).toEqual(['in_progress'])
      await stopNow(server, refused)
    },
  )

  test('J19 the next turn of a session that runs waits too, and other failures hold nobody up', async () => {
    const clock = movable()
    await using server = await disposable({ max_running: 4 }, { clock, random: () => 0 })
    const failing = await occupy(server, {}, 'refused 500 40000')
    const { id: other } = await server.create('say free')
    expect((await server.idle(other)).result!.text).toBe('free')
    const refused = await occupy(server, {}, 'refused 429 40000')
    await server.send(refused, 'say next')
    await stopNow(server, refused)
    await server.event(refused, ({ type }) => type === 'turn.cancelled')
    await expect.poll(async () => (await session(server, refused)).queue?.reason).toBe('model_backoff')
    clock.forward(41_000)
    expect((await server.idle(refused)).result!.text).toBe('next')
    await stopNow(server, failing)
  })
})

type Disposable = TestServer & AsyncDisposable

async function disposable(...options: Parameters<typeof testServer>): Promise<Disposable> {
  const server = await testServer(...options)
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() })
}
