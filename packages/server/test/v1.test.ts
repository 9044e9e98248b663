import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Session } from '@troupe/protocol/session'
import type { Store } from '../src/store/store.ts'
import { frames, type TestServer, testServer } from './support/server.ts'

const message = (content: string, more = {}) => ({ events: [{ type: 'user.message', content, ...more }] })

describe('/v1', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())
  const code = async (method: string, path: string, body?: unknown, headers = {}) => {
    const reply = await server.request(method, path, body, headers)
    return [reply.status, reply.body.code]
  }
  const stop = (id: string) =>
    server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })

  test('V1 a session is idle without input and running with it; both writings of its id name it', async () => {
    const idle = await server.create(null, { title: 'T', metadata: { a: 'b' }, external_id: 'V1' })
    expect(idle).toMatchObject({
      status: 'idle',
      title: 'T',
      prompt: null,
      metadata: { a: 'b' },
      external_id: 'V1',
      stop_reason: null,
      result: null,
      queue: null,
      last_seq: 1,
      required_actions: [],
    })
    const running = await server.create('say hi')
    expect(running).toMatchObject({ status: 'running', prompt: 'say hi' })
    const byUuid = await server.get<Session>(`/v1/sessions/${running.uuid}?wait_for=idle`)
    expect(byUuid).toMatchObject({ id: running.id, status: 'idle', current_turn_id: null, result: { text: 'hi' } })
    expect(byUuid.last_seq).toBe((await server.events(running.id)).at(-1)!.seq)
  })

  test('V2 an update keeps what is absent, clears what is null, and appends nothing when nothing changes', async () => {
    const { id } = await server.create(null, { title: 'T', metadata: { a: '1', b: '2' } })
    const path = `/v1/sessions/${id}`
    expect(await server.post(path, { metadata: { b: null, c: '3' } })).toMatchObject({
      title: 'T',
      metadata: { a: '1', c: '3' },
    })
    const { last_seq } = await server.post<Session>(path, { title: null, metadata: null })
    expect(await server.post(path, { title: null, metadata: {} })).toMatchObject({
      title: null,
      metadata: {},
      last_seq,
    })
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v']))
    expect(await code('POST', path, { metadata: many })).toEqual([400, 'validation_failed'])
  })

  test('V3 what runs cannot be archived or deleted; what is archived takes no input; what is deleted is 410', async () => {
    const { id } = await server.create('hold')
    await server.event(id, ({ type }) => type === 'agent.message')
    expect(await code('POST', `/v1/sessions/${id}/archive`)).toEqual([409, 'session_running'])
    expect(await code('DELETE', `/v1/sessions/${id}`)).toEqual([409, 'session_running'])
    await stop(id)
    await server.idle(id)
    expect(await server.post(`/v1/sessions/${id}/archive`)).toMatchObject({ status: 'terminated' })
    expect(await code('POST', `/v1/sessions/${id}/archive`)).toEqual([200, undefined])
    expect(await code('POST', `/v1/sessions/${id}/events`, message('x'))).toEqual([400, 'session_terminated'])
    expect(
      (await server.get<{ data: Session[] }>('/v1/sessions?limit=1000')).data.map((session) => session.id),
    ).not.toContain(id)
    expect(await code('DELETE', `/v1/sessions/${id}`)).toEqual([200, undefined])
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/events'],
      ['GET', '/events/stream'],
      ['GET', '/turns'],
      ['POST', '/archive'],
    ] as const)
      expect([path, ...(await code(method, `/v1/sessions/${id}${path}`))]).toEqual([path, 410, 'session_deleted'])
  })

  test('V4 of twenty creates with one external_id at once all get the same session', async () => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => server.create('say once', { external_id: 'race' })),
    )
    expect(new Set(replies.map(({ id }) => id)).size).toBe(1)
    expect(replies.filter(({ converged }) => converged === undefined)).toHaveLength(1)
    await server.idle(replies[0]!.id)
    expect(await server.turns(replies[0]!.id)).toHaveLength(1)
  })

  test('V5 a client_id counts once, sent again, at once, within one call or with the create', async () => {
    const created = await server.create(null, {
      initial_events: [{ type: 'user.message', content: 'say zero', client_id: 'zero' }],
    })
    const { id } = created
    await server.idle(id)
    await server.post(`/v1/sessions/${id}/events`, message('say zero', { client_id: 'zero' }))
    const sends = await Promise.all(
      Array.from({ length: 8 }, () =>
        server.post<{ data: { id: string }[] }>(`/v1/sessions/${id}/events`, message('say one', { client_id: 'one' })),
      ),
    )
    expect(new Set(sends.map(({ data }) => data[0]!.id)).size).toBe(1)
    const twice = { type: 'user.message', content: 'say two', client_id: 'two' }
    const { data } = await server.post<{ data: { id: string }[] }>(`/v1/sessions/${id}/events`, {
      events: [twice, twice],
    })
    expect(data[0]!.id).toBe(data[1]!.id)
    await server.idle(id)
    expect((await server.turns(id)).map(({ output }) => output?.text)).toEqual(['zero', 'one', 'two'])
  })

  test.each([
    ['/v1/sessions', { resources: [{}] }],
    ['/v1/sessions', { vault_ids: ['x'] }],
    ['/v1/sessions', { budget: {} }],
    ['/v1/sessions', { output_schema: {} }],
    ['/v1/sessions', { priority: 1 }],
    ['/v1/sessions', { concurrency_key: 'a' }],
    ['/v1/sessions', { approvals: {} }],
    ['/v1/sessions', { retention: {} }],
    ['/v1/sessions', { limits: { turn_timeout_seconds: 1 } }],
    ['/v1/sessions', { agent: { type: 'inline', mcp_servers: [{}] } }],
    ['/v1/sessions', { agent: { type: 'inline', tools: [{ type: 'custom', name: 'x' }] } }],
    ['/v1/sessions', { agent: { type: 'agent_with_overrides', id: 'agent_default' } }],
    ['/v1/sessions', { initial_events: [{ type: 'user.define_outcome' }] }],
    ['events', { events: [{ type: 'user.tool_confirmation' }] }],
    ['events', { events: [{ type: 'system.message' }] }],
    ['events', { events: [{ type: 'user.message', content: 'x', delivery: 'steer' }] }],
    ['events', { events: [{ type: 'user.interrupt', session_thread_id: 'sthr_x' }] }],
  ])('V6 a feature that has not come yet is refused, not ignored: %s %j', async (where, body) => {
    const path = where === 'events' ? `/v1/sessions/${(await server.create(null)).id}/events` : where
    expect(await code('POST', path, body)).toEqual([400, 'unsupported_feature'])
  })

  test.each([
    ['POST', '/v1/sessions', { agent: 'agent_none' }, 404, 'agent_not_found'],
    ['POST', '/v1/sessions', { environment_id: 'env_none' }, 404, 'environment_not_found'],
    ['POST', '/v1/sessions', { metadata: { a: 1 } }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', { title: 'x'.repeat(513) }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', { initial_events: [{ type: 'user.message', content: ' ' }] }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', '{', 400, 'invalid_json'],
    ['POST', '/v1/sessions', { cwd: 'relative' }, 400, 'cwd_not_found'],
    ['POST', '/v1/sessions', { cwd: '/etc/hostname' }, 400, 'cwd_not_a_directory'],
    ['POST', '/v1/sessions', { env: { LD_PRELOAD: 'x' } }, 400, 'env_not_allowed'],
    [
      'POST',
      '/v1/sessions',
      { initial_events: [{ type: 'user.message', content: 'x'.repeat(1024 * 1024 + 1) }] },
      413,
      'body_too_large',
    ],
    ['POST', '/v1/sessions', `"${'x'.repeat(33 * 1024 * 1024)}"`, 413, 'body_too_large'],
    ['GET', '/v1/sessions?limit=0', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?limit=1001', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?statuses[]=done', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?created_at[gt]=yesterday', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?page=nonsense', undefined, 400, 'invalid_cursor'],
    ['GET', '/v1/sessions?nobody_knows=this', undefined, 200, undefined],
    ['GET', '/v1/sessions/..%2F..%2Fetc', undefined, 404, 'session_not_found'],
    ['POST', '/v1/sessions/sesn_00000000000000000000000000/events', { events: [] }, 400, 'validation_failed'],
  ] as const)('V7 bad input is refused with what is wrong: %s %s', async (method, path, body, status, word) => {
    expect(await code(method, path, body)).toEqual([status, word])
  })

  test('V8 a cursor is good for its own list and filters only, also after a restart', async () => {
    for (let n = 0; n < 3; n++) await server.create(null)
    const { next_page, data } = await server.get<{ next_page: string; data: Session[] }>('/v1/sessions?limit=2')
    const page = encodeURIComponent(next_page)
    expect(await code('GET', `/v1/sessions?limit=2&order=asc&page=${page}`)).toEqual([400, 'invalid_cursor'])
    expect(await code('GET', `/v1/sessions?limit=2&statuses[]=idle&page=${page}`)).toEqual([400, 'invalid_cursor'])
    expect(await code('GET', `/v1/sessions?limit=2&page=${page}x`)).toEqual([400, 'invalid_cursor'])
    await server.restart()
    const second = await server.get<{ data: Session[] }>(`/v1/sessions?limit=2&page=${page}`)
    expect(second.data[0]!.created_at <= data[1]!.created_at).toBe(true)
    expect(second.data.map(({ id }) => id)).not.toContain(data[1]!.id)
  })

  test('V9 waiting ends at idle, or when its time is over, with the session as it is', async () => {
    const { id } = await server.create('hold')
    await server.event(id, ({ type }) => type === 'agent.message')
    expect(await server.get(`/v1/sessions/${id}?wait_for=idle&timeout=0.05`)).toMatchObject({ status: 'running' })
    const waiting = server.idle(id)
    await stop(id)
    expect(await waiting).toMatchObject({ status: 'idle', stop_reason: { type: 'interrupted' } })
    const created = await server.post<Session>(
      '/v1/sessions',
      { initial_events: message('say waited').events },
      { prefer: 'wait=30' },
    )
    expect(created).toMatchObject({ status: 'idle', result: { text: 'waited' } })
  })

  test('V10 pruning takes what is old enough and does not run, and a dry run takes nothing', async () => {
    const own = await testServer()
    const { id } = await own.create('hold')
    await own.event(id, ({ type }) => type === 'agent.message')
    await own.create(null)
    const archived = await own.create(null)
    await own.post(`/v1/sessions/${archived.id}/archive`)
    const later = new Date(Date.now() + 60_000).toISOString()
    expect(await own.post('/v1/sessions/prune', { older_than: 3600 })).toEqual({ matched: 0, deleted: 0 })
    expect(await own.post('/v1/sessions/prune', { older_than: later, dry_run: true })).toEqual({
      matched: 2,
      deleted: 0,
    })
    expect(await own.post('/v1/sessions/prune', { older_than: later, statuses: ['terminated'] })).toEqual({
      matched: 1,
      deleted: 1,
    })
    expect(await own.post('/v1/sessions/prune', { older_than: later })).toEqual({ matched: 1, deleted: 1 })
    await own.stop()
  })

  test('V11 a stream replays from a number, an event or the start; a cursor of elsewhere is refused', async () => {
    const { id } = await server.create('flood 5')
    await server.idle(id)
    const all = await server.get<{ data: { id: string; seq: number }[] }>(`/v1/sessions/${id}/events`)
    const read = async (query: string, headers = {}) => {
      const response = await fetch(`${server.url}/v1/sessions/${id}/events/stream?until=idle&${query}`, { headers })
      expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
      const text = await response.text()
      expect(text.startsWith('retry: 1000\n\n')).toBe(true)
      const blocks = text.split('\n\n').slice(1, -1)
      for (const block of blocks) expect(block).toMatch(/^event: message\nid: \d+\ndata: \{.*\}$/)
      return blocks.map((block) => Number(/^id: (\d+)$/m.exec(block)![1]))
    }
    const last = all.data.at(-1)!.seq
    const from = (first: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n)
    expect(await read('from=start')).toEqual(from(1))
    expect(await read('after=4')).toEqual(from(5))
    expect(await read('', { 'last-event-id': '7' })).toEqual(from(8))
    expect(await read(`after=${all.data.at(-2)!.id}`)).toEqual([last])
    for (const after of ['9999', '-1', 'x', 'sevt_00000000000000000000000000'])
      expect(await code('GET', `/v1/sessions/${id}/events/stream?after=${after}`)).toEqual([400, 'invalid_cursor'])
  })

  test('V12 create with stream=true answers with the stream from event 1, and a deleted session ends its streams', async () => {
    const response = await fetch(`${server.url}/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ stream: true, initial_events: message('say streamed').events }),
    })
    const seen: string[] = []
    let id = ''
    for await (const event of frames(response)) {
      seen.push(event.type)
      id = event.session_id
      // The stream ends by itself once there is nothing left to tell.
      if (event.type === 'session.status_idle') await server.request('DELETE', `/v1/sessions/${id}`)
    }
    expect(seen[0]).toBe('session.created')
    expect(seen.at(-1)).toBe('session.status_idle')
    expect(await code('GET', `/v1/sessions/${id}`)).toEqual([410, 'session_deleted'])
  })
})

describe('Idempotency-Key', () => {
  test('V13 the same request again is answered again, another one under its key is refused, and one key has one effect', async () => {
    const server = await testServer()
    const post = (key: string, body: object) => server.request('POST', '/v1/sessions', body, { 'idempotency-key': key })
    const first = await post('k', { title: 'once' })
    const again = await post('k', { title: 'once' })
    expect(again.text).toBe(first.text)
    expect([first, again].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true'])
    expect((await post('k', { title: 'other' })).body.code).toBe('idempotency_key_reused')
    expect((await post('x'.repeat(256), {})).status).toBe(400)
    const race = await Promise.all(Array.from({ length: 10 }, () => post('race', { title: 'race' })))
    for (const { status, body } of race) expect(status === 200 || body.code === 'idempotency_in_progress').toBe(true)
    // A refusal before the work is not kept: what was wrong can be put right under the same key.
    expect((await post('fix', { title: 5 })).status).toBe(400)
    expect((await post('fix', { title: 'right' })).status).toBe(200)
    const { data } = await server.get<{ data: Session[] }>('/v1/sessions?order=asc')
    expect(data.map(({ title }) => title)).toEqual(['once', 'race', 'right'])
    await server.stop()
  })

  test('V14 work whose answer was lost with its server is not done again, and the answer is given', async () => {
    let lost = true
    const wrapStore = (store: Store): Store =>
      new Proxy(store, {
        get(target, name) {
          const value = Reflect.get(target, name, target) as unknown
          if (typeof value !== 'function') return value
          if (name !== 'finishIdempotent') return value.bind(target)
          return (...args: unknown[]) =>
            lost ? Promise.reject(new Error('the server died')) : value.apply(target, args)
        },
      })
    const server = await testServer({}, { wrapStore })
    const key = (name: string) => ({ 'idempotency-key': name })
    expect((await server.request('POST', '/v1/sessions', { title: 'once' }, key('a'))).status).toBe(500)
    const [{ id }] = (await server.get<{ data: [Session] }>('/v1/sessions')).data
    expect((await server.request('POST', `/v1/sessions/${id}/events`, message('say once'), key('b'))).status).toBe(500)
    await server.idle(id)
    await server.restart()
    lost = false
    expect(await server.request('POST', '/v1/sessions', { title: 'once' }, key('a'))).toMatchObject({
      status: 200,
      body: { id },
    })
    const sent = await server.request('POST', `/v1/sessions/${id}/events`, message('say once'), key('b'))
    expect(sent).toMatchObject({ status: 200, body: { data: [{ type: 'user.message' }] } })
    expect((await server.get<{ data: Session[] }>('/v1/sessions')).data).toHaveLength(1)
    expect(await server.turns(id)).toHaveLength(1)
    lost = true
    expect((await server.request('DELETE', `/v1/sessions/${id}`, undefined, key('c'))).status).toBe(500)
    await server.restart()
    lost = false
    expect(await server.request('DELETE', `/v1/sessions/${id}`, undefined, key('c'))).toMatchObject({
      status: 200,
      body: { type: 'session_deleted', id },
    })
    await server.stop()
  })
})
