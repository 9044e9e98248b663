import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const started = (event: { type: string }) => event.type === 'agent.message'

describe('the runner', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer({ model_stall_seconds: 1 })
  })
  afterAll(() => server.stop())

  const interrupt = (id: string, fields = {}) =>
    server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', ...fields }] })

  test('R2 a turn runs to its result, and the log tells it in order', async () => {
    const { id } = await server.create('say hello')
    const session = await server.idle(id)
    expect(session).toMatchObject({
      status: 'idle',
      stop_reason: { type: 'end_turn' },
      result: { text: 'hello', is_error: false },
    })
    const types = (await server.events(id)).map(({ type }) => type)
    expect(types).toEqual([
      'session.created',
      'user.message',
      'session.status_running',
      'session.queued',
      'turn.started',
      'agent.message',
      'turn.completed',
      'session.usage',
      'session.status_idle',
    ])
  })

  test('R3 input during a run waits its turn, in order, and idle comes once, after the last', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    await server.send(id, 'say one')
    await server.send(id, 'say two')
    expect((await server.turns(id)).map(({ status }) => status)).toEqual(['in_progress', 'queued', 'queued'])
    await interrupt(id)
    const session = await server.idle(id)
    expect(session.result!.text).toBe('two')
    const turns = await server.turns(id)
    expect(turns.map(({ status }) => status)).toEqual(['cancelled', 'completed', 'completed'])
    expect(turns.map(({ output }) => output?.text ?? null)).toEqual([null, 'one', 'two'])
    const idles = (await server.events(id)).filter(({ type }) => type === 'session.status_idle')
    expect(idles).toHaveLength(1)
  })

  test('R4 an input counts as taken when the agent gets it: listed once, streamed twice, with processed_at', async () => {
    const { id } = await server.create('say x')
    await server.idle(id)
    const [input] = (await server.events(id)).filter(({ type }) => type === 'user.message')
    expect(input!.processed_at).not.toBeNull()
    const response = await fetch(`${server.url}/v1/sessions/${id}/events/stream?from=start&until=idle`)
    const copies = (await response.text()).split('\n').filter((line) => line.includes(`"id":"${input!.id}"`))
    expect(copies.map((line) => JSON.parse(line.slice(6)).processed_at === null)).toEqual([true, false])
  })

  test('R5 a graceful interrupt ends the turn as interrupted, and the session goes on', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    await interrupt(id)
    const session = await server.idle(id)
    expect(session.stop_reason).toEqual({ type: 'interrupted' })
    expect(session.last_error).toBeNull()
    await server.send(id, 'say again')
    expect((await server.idle(id)).result!.text).toBe('again')
  })

  test('R19 a turn that was done before the interrupt arrived is done, and the next turn gets a process of its own', async () => {
    const { id } = await server.create('finishes')
    await server.event(id, started)
    await server.send(id, 'say next')
    await interrupt(id)
    await server.idle(id)
    const turns = await server.turns(id)
    expect(turns.map(({ status, output }) => [status, output?.text])).toEqual([
      ['completed', 'done in time'],
      ['completed', 'next'],
    ])
  })

  test('R6 an agent that ignores interrupt, end of input and TERM is killed when the grace is over', async () => {
    const { id } = await server.create('stubborn')
    await server.event(id, started)
    await interrupt(id, { grace_ms: 50 })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
  })

  test('R7 an interrupt with mode now kills at once, and what the agent started goes with it', async () => {
    const { id } = await server.create('orphan')
    await server.event(id, started)
    await interrupt(id, { mode: 'now' })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
    expect(await readdir(join(server.folder, 'data', 'agents'))).toEqual([])
    expect(await commandLines()).not.toContain('sleep\x001000\x00')
  })

  test('R8 an agent that crashes fails its turn with what it last said; the session goes on', async () => {
    const { id } = await server.create('crash')
    const session = await server.idle(id)
    expect(session).toMatchObject({
      stop_reason: { type: 'retries_exhausted' },
      last_error: { code: 'process_crashed', exit_code: 7, stderr_tail: 'something dreadful' },
    })
    await server.send(id, 'say alive')
    const after = await server.idle(id)
    expect(after).toMatchObject({ last_error: null, result: { text: 'alive' } })
  })

  test('R9 an agent that is killed from outside fails its turn; the session goes on', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    const [pid] = await readdir(join(server.folder, 'data', 'agents'))
    process.kill(-Number(pid), 'SIGKILL')
    expect((await server.idle(id)).last_error).toMatchObject({ code: 'process_crashed' })
    await server.send(id, 'say alive')
    expect((await server.idle(id)).result!.text).toBe('alive')
  })

  test('R10 a model that gives no sign of life ends the turn after the stall time', async () => {
    const { id } = await server.create('silent')
    expect((await server.idle(id)).last_error).toMatchObject({
      type: 'model_request_failed_error',
      code: 'model_unreachable',
    })
  })

  test.each([
    ['overloaded', 'model_overloaded_error'],
    ['rate_limit', 'model_rate_limited_error'],
    ['authentication_failed', 'model_request_failed_error'],
  ])('R11 a model request that failed with %s is a typed error, not a message', async (code, type) => {
    const { id } = await server.create(`error ${code}`)
    expect(await server.idle(id)).toMatchObject({ last_error: { type, code }, result: { text: null, is_error: true } })
    expect((await server.events(id)).filter(started)).toEqual([])
  })

  test('R12 a request that is tried again shows as rescheduling, then as running', async () => {
    const { id } = await server.create('retry')
    expect(await server.idle(id)).toMatchObject({ last_error: null, result: { text: 'made it' } })
    const types = (await server.events(id)).map(({ type }) => type)
    expect(types.slice(5, 10)).toEqual([
      'session.error',
      'session.status_rescheduled',
      'session.error',
      'session.status_running',
      'agent.message',
    ])
  })

  test('R20 the next turn of a session that was rescheduling begins as running', async () => {
    const { id } = await server.create('exhausted')
    await server.event(id, ({ type }) => type === 'session.status_rescheduled')
    await server.send(id, 'hold')
    await interrupt(id)
    await server.event(id, ({ type, turn_id }) => type === 'agent.message' && turn_id !== null)
    expect(await server.get(`/v1/sessions/${id}`)).toMatchObject({ status: 'running' })
    const types = (await server.events(id)).map(({ type }) => type)
    const failed = types.findIndex((type) => /^turn\.(failed|cancelled)$/.test(type))
    expect(types.slice(failed + 1, failed + 3)).toEqual(['session.status_running', 'turn.started'])
    await interrupt(id, { mode: 'now' })
    await server.idle(id)
  })

  test('R13 what a turn cost is the growth of the running total, over restarts of the agent too', async () => {
    const { id } = await server.create('cost 0.25')
    expect((await server.idle(id)).usage.cost_usd).toBe(0.25)
    await server.send(id, 'cost 0.35')
    const session = await server.idle(id)
    expect(session.usage).toMatchObject({ cost_usd: 0.35, list_cost: { amount: '35', currency: 'USD' } })
    const costs = (await server.turns(id)).map(({ usage }) => Number(usage!.cost_usd.toFixed(6)))
    expect(costs).toEqual([0.25, 0.1])
  })

  test('R14 a waiting turn is cancelled at once; one that has ended cannot be', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    await server.send(id, 'say never')
    const [running, waiting] = await server.turns(id)
    expect(await server.post(`/v1/sessions/${id}/turns/${waiting!.id}/cancel`)).toMatchObject({ status: 'cancelled' })
    expect(await server.post(`/v1/sessions/${id}/turns/${running!.id}/cancel`, { mode: 'now' })).toMatchObject({
      status: 'cancelled',
      stop_reason: { type: 'interrupted' },
    })
    const again = await server.request('POST', `/v1/sessions/${id}/turns/${running!.id}/cancel`)
    expect(again).toMatchObject({ status: 409, body: { code: 'turn_not_running' } })
    expect(again.headers.get('x-should-retry')).toBe('false')
  })

  test('R15 an erased session leaves no folder behind', async () => {
    const { id, cwd, uuid } = await server.create('say bye')
    await server.idle(id)
    expect(existsSync(cwd)).toBe(true)
    await server.request('DELETE', `/v1/sessions/${id}`)
    // The last process may still be on its way out; a later run of the same slot comes after it.
    await server.app.stop()
    expect(existsSync(join(server.folder, 'data', 'sessions', uuid))).toBe(false)
    await server.restart()
  })
})

describe('slots', () => {
  test('R16 more work than slots waits, first come first served, and says its place', async () => {
    const server = await testServer({ max_running: 1 })
    const first = await server.create('hold')
    await server.event(first.id, started)
    const second = await server.create('say two')
    const third = await server.create('say three')
    expect((await server.get(`/v1/sessions/${third.id}`)) as object).toMatchObject({
      status: 'running',
      queue: { position: 2, reason: 'waiting_for_slot' },
    })
    await server.post(`/v1/sessions/${second.id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect(await server.idle(second.id)).toMatchObject({ stop_reason: { type: 'interrupted' }, result: null })
    await server.post(`/v1/sessions/${first.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    expect((await server.idle(third.id)).result!.text).toBe('three')
    await server.stop()
  })
})

describe('stopping and starting', () => {
  test('R17 a drain lets running turns end, refuses new work, and waiting turns run after the start', async () => {
    const server = await testServer({ max_running: 1, drain_seconds: 0 })
    const running = await server.create('hold', { recovery: 'fail' })
    await server.event(running.id, started)
    const waiting = await server.create('say later')
    await server.send(running.id, 'say too')
    await server.restart()
    expect((await server.idle(waiting.id)).result!.text).toBe('later')
    const session = await server.idle(running.id)
    const [cut, after] = await server.turns(running.id)
    expect(cut).toMatchObject({ status: 'failed', error: { code: 'server_restarted', side_effect_possible: false } })
    expect(after).toMatchObject({ status: 'completed', output: { text: 'too' } })
    expect(session.result!.text).toBe('too')
    await server.stop()
  })

  test('R18 an agent that cannot be started is refused before anything is written', async () => {
    const server = await testServer({ agent_executable: '/nowhere/claude' })
    const reply = await server.request('POST', '/v1/sessions', {
      initial_events: [{ type: 'user.message', content: 'x' }],
    })
    expect(reply).toMatchObject({ status: 503, body: { code: 'agent_unavailable' } })
    expect(reply.body.detail).toContain('/nowhere/claude')
    expect((await server.get<{ data: unknown[] }>('/v1/sessions')).data).toEqual([])
    expect((await server.request('GET', '/ready')).status).toBe(503)
    await server.stop()
  })
})

async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
}
