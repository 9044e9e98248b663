import type { WebhookDelivery, WebhookEndpoint } from '@troupe/protocol/webhook'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Receiver, receiver, status } from '../support/receiver.ts'
import { GENERATIONS } from '../support/sdk-clients.ts'
import { type Reply, type TestServer, testServer } from '../support/server.ts'
import type { Store } from '../../src/store/store.ts'

const ENDPOINTS = '/v1/webhook_endpoints'
const said = ({ status, body }: Reply) => `${status} ${body.code}`
const replayed = ({ headers }: Reply) => headers.get('idempotent-replayed')

describe('webhooks of a server', () => {
  let server: TestServer
  let target: Receiver
  beforeAll(async () => {
    server = await testServer({ webhook_allow_private: true })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    target = await receiver()
  })
  afterEach(async () => {
    for (const { id } of await endpoints()) await server.request('DELETE', `${ENDPOINTS}/${id}`)
    await target.close()
  })

  const endpoints = async () => (await server.get<{ data: WebhookEndpoint[] }>(ENDPOINTS)).data
  const create = (fields: object = {}) =>
    server.post<WebhookEndpoint>(ENDPOINTS, { url: `${target.url}/hook`, ...fields })
  const deliveries = async (id: string, query = '') =>
    (await server.get<{ data: WebhookDelivery[]; next_page: string | null }>(`${ENDPOINTS}/${id}/deliveries?${query}`))
      .data
  /** Asked again until it is so: the answer to a receiver is noted a moment after it was given. */
  const once = async (id: string, wanted: (rows: WebhookDelivery[]) => boolean): Promise<WebhookDelivery[]> => {
    for (;;) {
      const rows = await deliveries(id, 'order=asc&limit=1000')
      if (wanted(rows)) return rows
    }
  }
  const ended = (rows: WebhookDelivery[]) => rows.length > 0 && rows.every(({ status }) => status !== 'pending')

  test.each(GENERATIONS)(
    'Z1 a session tells an endpoint what happens, and unwrap of $version verifies it',
    async ({ Client }) => {
      const { secret, id } = await create({ names: 'hosted', types: ['session.*'] })
      const { webhooks } = new Client({ apiKey: 'any', webhookKey: secret! }).beta
      const session = await server.create('say hello')
      const idled = await target.first(({ payload }) => payload.data.type === 'session.status_idled')
      const event = webhooks.unwrap(idled.body, { headers: idled.headers })
      expect(event).toMatchObject({
        type: 'event',
        data: { type: 'session.status_idled', id: session.id, session_id: session.id, workspace_id: 'wrkspc_default' },
      })
      const logged = await server.event(session.id, ({ type }) => type === 'session.status_idle')
      expect(event).toMatchObject({ id: logged.id, created_at: logged.created_at, data: { seq: logged.seq } })
      expect(idled.headers).toMatchObject({
        'content-type': 'application/json',
        'user-agent': expect.stringMatching(/^Troupe\/\d/) as unknown,
      })
      const rows = await once(
        id,
        (rows) => rows.some(({ event_type }) => event_type === 'session.status_idle') && ended(rows),
      )
      expect(rows.map(({ event_type }) => event_type)).toEqual([
        'session.created',
        'session.status_running',
        'session.status_idle',
      ])
    },
  )

  test('Z14 a session that is deleted as soon as it is idle has told everything, and its end', async () => {
    const { id } = await create({ types: ['session.status_idle', 'session.deleted'] })
    const session = await server.create('say bye')
    await server.idle(session.id)
    await server.request('DELETE', `/v1/sessions/${session.id}`)
    const [, gone] = await target.until(2)
    expect(target.received.map(({ payload }) => payload.data.type).sort()).toEqual([
      'session.deleted',
      'session.status_idle',
    ])
    expect(gone!.payload.data.session_id).toBe(session.id)
    await once(id, ended)
  })

  test('Z8 three hundred sessions created at once are told to three endpoints, one of them slow, over a restart', async () => {
    const types = ['session.created']
    const paths = ['/a', '/b', '/slow']
    for (const path of paths) await create({ url: target.url + path, types })
    target.answer = ({ path }, response) => {
      if (path === '/slow') setTimeout(() => response.end(), 5)
      else response.end()
    }
    const ids: string[] = []
    const creator = async () => {
      while (ids.length < 300) {
        const place = ids.push('') - 1
        ids[place] = (await server.create(null)).id
      }
    }
    await Promise.all(Array.from({ length: 32 }, creator))
    await server.restart()
    const told = (path: string) =>
      new Set(target.received.flatMap((one) => (one.path === path ? [one.payload.data.id] : [])))
    while (paths.some((path) => told(path).size < 300)) await target.until(target.received.length + 1)
    for (const path of paths) expect([...told(path)].sort()).toEqual([...ids].sort())
    // Each event of each endpoint has one id, however often it came.
    expect(new Set(target.received.map(({ id }) => id)).size).toBe(900)
  })

  test('Z19 include session sends what a retrieve would answer', async () => {
    await create({ types: ['session.status_idle'], include: ['session'] })
    const session = await server.create('say fat')
    const { payload } = await target.first(() => true)
    expect(payload.data.session).toMatchObject({ id: session.id, status: 'idle', result: { text: 'fat' } })
  })

  test('Z15 an endpoint is created, read, changed and deleted; its secret is shown once', async () => {
    const made = await create({ description: 'mine', types: ['turn.*'] })
    expect(made).toMatchObject({
      type: 'webhook_endpoint',
      url: `${target.url}/hook`,
      description: 'mine',
      types: ['turn.*'],
      names: 'stream',
      include: [],
      status: 'enabled',
      disabled_reason: null,
      secret: expect.stringMatching(/^whsec_/) as unknown,
    })
    const path = `${ENDPOINTS}/${made.id}`
    const { secret: _shown, ...rest } = made
    expect(await server.get(path)).toEqual(rest)
    expect(await endpoints()).toEqual([rest])
    const changed = await server.post<WebhookEndpoint>(path, { description: null, status: 'disabled', names: 'hosted' })
    expect(changed).toMatchObject({
      description: null,
      types: ['turn.*'],
      names: 'hosted',
      disabled_reason: 'requested',
    })
    expect(changed.secret).toBeUndefined()
    expect(await server.post(path, { status: 'enabled' })).toMatchObject({ disabled_reason: null, disabled_at: null })
    expect(await server.request('DELETE', path)).toMatchObject({
      status: 200,
      body: { type: 'webhook_endpoint_deleted', id: made.id },
    })
    for (const [method, tail] of [
      ['GET', ''],
      ['POST', ''],
      ['DELETE', ''],
      ['POST', '/rotate_secret'],
      ['POST', '/test'],
      ['GET', '/deliveries'],
      ['GET', '/deliveries/whd_x'],
      ['POST', '/deliveries/whd_x/redeliver'],
    ] as const)
      expect(said(await server.request(method, path + tail, method === 'POST' ? {} : undefined)), method + tail).toBe(
        '404 webhook_endpoint_not_found',
      )
  })

  test('Z15 what is wrong with an endpoint is refused, and there are 32 at most', async () => {
    const refused = async (fields: object) =>
      said(await server.request('POST', ENDPOINTS, { url: target.url, ...fields }))
    expect(await refused({ url: 'ftp://example.com' })).toBe('400 webhook_url_refused')
    expect(await refused({ url: 'https://u:p@example.com' })).toBe('400 webhook_url_refused')
    expect(await refused({ url: `https://example.com/${'x'.repeat(2048)}` })).toBe('400 validation_failed')
    expect(await refused({ url: `https://example.com/${'ü'.repeat(1000)}` })).toBe('400 webhook_url_refused')
    expect(await refused({ description: 'x'.repeat(513) })).toBe('400 validation_failed')
    for (const types of [[], ['session.idel'], ['agent.message'], ['Session.*'], ['x'.repeat(65)]])
      expect(await refused({ types }), types.join()).toBe('400 validation_failed')
    const made = await Promise.all(
      Array.from({ length: 33 }, () => server.request('POST', ENDPOINTS, { url: target.url })),
    )
    expect(made.filter(({ status }) => status === 200)).toHaveLength(32)
    expect(made.filter(({ status }) => status !== 200).map(said)).toEqual(['409 webhook_endpoint_limit'])
  })

  test('Z11 a test says what the receiver answered, is tried once and disables nothing', async () => {
    const { id, secret } = await create({ types: ['turn.completed'] })
    const good = await server.post<WebhookDelivery>(`${ENDPOINTS}/${id}/test`)
    expect(good).toMatchObject({
      event_type: 'webhook.test',
      session_id: null,
      status: 'delivered',
      attempts: [{ http_status: 200, error: null }],
      response_body: 'thanks',
    })
    const [sent] = await target.until(1)
    const { webhooks } = new GENERATIONS[0]!.Client({ apiKey: 'any', webhookKey: secret! }).beta
    expect(webhooks.unwrap(sent!.body, { headers: sent!.headers })).toMatchObject({
      data: { type: 'webhook.test', id },
    })
    target.answer = status(410)
    expect(await server.post(`${ENDPOINTS}/${id}/test`)).toMatchObject({
      status: 'failed',
      attempts: [{ http_status: 410 }],
      next_attempt_at: null,
    })
    expect(await server.get(`${ENDPOINTS}/${id}`)).toMatchObject({ status: 'enabled' })
    await server.post(`${ENDPOINTS}/${id}`, { status: 'disabled' })
    expect(said(await server.request('POST', `${ENDPOINTS}/${id}/test`))).toBe('409 webhook_endpoint_disabled')
  })

  test('Z2 after a rotation both secrets verify, after one without overlap only the new', async () => {
    const { id, secret: old } = await create()
    const rotate = (body?: object) => server.post<WebhookEndpoint>(`${ENDPOINTS}/${id}/rotate_secret`, body)
    const { secret, previous_secret_valid_until: until } = await rotate()
    expect(Date.parse(until!) - Date.now()).toBeGreaterThan(86_300_000)
    const verifies = async (webhookKey: string) => {
      const { body, headers } = target.received.at(-1)!
      const { webhooks } = new GENERATIONS[0]!.Client({ apiKey: 'any', webhookKey }).beta
      try {
        return webhooks.unwrap(body, { headers }).type === 'event'
      } catch {
        return false
      }
    }
    await server.post(`${ENDPOINTS}/${id}/test`)
    expect([await verifies(old!), await verifies(secret!)]).toEqual([true, true])
    const third = await rotate({ overlap_seconds: 0 })
    expect(third.previous_secret_valid_until).toBeNull()
    await server.post(`${ENDPOINTS}/${id}/test`)
    expect([await verifies(old!), await verifies(secret!), await verifies(third.secret!)]).toEqual([false, false, true])
  })

  test('Z12 a delivery is sent again on request, and a range is replayed, under the ids they had', async () => {
    const from = new Date().toISOString()
    const before = await server.create(null)
    const { id } = await create({ types: ['session.*'] })
    const { id: sessionId } = await server.create('say once')
    const rows = await once(id, (rows) => rows.length === 3 && ended(rows))
    const path = `${ENDPOINTS}/${id}/deliveries/${rows[2]!.id}`
    expect(await server.get(path)).toMatchObject({ status: 'delivered', session_id: sessionId, attempt_count: 1 })
    expect(await server.post(`${path}/redeliver`)).toMatchObject({ id: rows[2]!.id, status: 'pending' })
    expect((await target.until(4))[3]!.id).toBe(rows[2]!.id)
    await once(id, ended)
    // The one before the endpoint was made is told now.
    expect(await server.post(`${ENDPOINTS}/${id}/replay`, { from })).toEqual({
      type: 'webhook_replay',
      matched: 4,
      queued: 4,
      next_from: null,
    })
    const again = (await target.until(8)).slice(4)
    expect(again.filter((one) => rows.some((row) => row.id === one.id))).toHaveLength(3)
    expect(again.map(({ payload }) => payload.data.id)).toContain(before.id)
    await once(id, ended)
    const until = await server.post(`${ENDPOINTS}/${id}/replay`, { from, to: from.replace(/\d{3}Z/, '999Z') })
    expect(until).toMatchObject({ type: 'webhook_replay' })
  })

  test('Z12 a replay is of the last three days, and of an endpoint that is enabled', async () => {
    const { id } = await create()
    const replay = async (body: object) => said(await server.request('POST', `${ENDPOINTS}/${id}/replay`, body))
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
    expect(await replay({ from: ago(4) })).toBe('400 validation_failed')
    expect(await replay({ from: ago(1), to: ago(2) })).toBe('400 validation_failed')
    expect(await replay({})).toBe('400 validation_failed')
    expect(await replay({ from: ago(3) })).toBe('200 undefined')
    await server.post(`${ENDPOINTS}/${id}`, { status: 'disabled' })
    expect(await replay({ from: ago(1) })).toBe('409 webhook_endpoint_disabled')
    expect(said(await server.request('POST', `${ENDPOINTS}/${id}/deliveries/whd_x/redeliver`))).toBe(
      '409 webhook_endpoint_disabled',
    )
    await server.post(`${ENDPOINTS}/${id}`, { status: 'enabled' })
    expect(said(await server.request('POST', `${ENDPOINTS}/${id}/deliveries/whd_x/redeliver`))).toBe(
      '404 webhook_delivery_not_found',
    )
  })

  test('Z13 the log is listed with filters and in pages', async () => {
    const { id } = await create({ types: ['session.*', 'turn.*'] })
    const session = await server.create('say log')
    const all = await once(
      id,
      (rows) => rows.some(({ event_type }) => event_type === 'session.status_idle') && ended(rows),
    )
    const walked: WebhookDelivery[] = []
    for (let page: string | null = ''; page !== null;) {
      const query: string = page === '' ? '' : `&page=${page}`
      const answer: { data: WebhookDelivery[]; next_page: string | null } = await server.get(
        `${ENDPOINTS}/${id}/deliveries?limit=2${query}`,
      )
      walked.push(...answer.data)
      page = answer.next_page
    }
    expect(walked.toReversed()).toEqual(all)
    expect(await deliveries(id, 'types[]=turn.completed&statuses[]=delivered')).toMatchObject([
      { event_type: 'turn.completed' },
    ])
    expect(await deliveries(id, `session_id=${session.uuid}&limit=1000`)).toHaveLength(all.length)
    expect(await deliveries(id, 'statuses[]=pending&statuses[]=failed')).toEqual([])
    expect(await deliveries(id, `created_at[gt]=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([])
    expect(said(await server.request('GET', `${ENDPOINTS}/${id}/deliveries?page=x`))).toBe('400 invalid_cursor')
  })

  test('Z5 a receiver that fails at first gets the event again; one that answers with a redirect is left', async () => {
    const { id } = await create({ types: ['session.created'] })
    target.answer = (_one, response) =>
      response.writeHead(target.received.length === 1 ? 500 : 200).end('x'.repeat(9_000))
    await server.create(null)
    const [failed] = await once(id, ([row]) => row?.attempts.length === 1)
    expect(failed).toMatchObject({
      status: 'pending',
      attempts: [{ http_status: 500 }],
      response_body: 'x'.repeat(4096),
    })
    // Sooner than the pause says.
    await server.post(`${ENDPOINTS}/${id}/deliveries/${failed!.id}/redeliver`)
    expect(await once(id, ended)).toMatchObject([{ status: 'delivered', attempts: [{}, { http_status: 200 }] }])
    target.answer = status(301, { location: `${target.url}/elsewhere` })
    await server.create(null)
    await once(id, (rows) => rows.length === 2 && rows[1]!.attempts.length === 1)
    expect(await server.get(`${ENDPOINTS}/${id}`)).toMatchObject({ status: 'disabled', disabled_reason: 'redirected' })
    expect(target.received.map(({ path }) => path)).not.toContain('/elsewhere')
  })

  test('Z16 idempotency keys: one create, one endpoint, and the secret is shown again', async () => {
    const key = { 'idempotency-key': 'whk create' }
    const body = { url: target.url }
    const first = await server.request('POST', ENDPOINTS, body, key)
    const again = await server.request('POST', ENDPOINTS, body, key)
    expect([replayed(first), replayed(again), again.text]).toEqual([null, 'true', first.text])
    expect(await endpoints()).toHaveLength(1)
    const path = `${ENDPOINTS}/${first.body.id}`
    for (const [method, tail] of [
      ['POST', '/rotate_secret'],
      ['POST', '/test'],
      ['DELETE', ''],
    ] as const) {
      const one = await server.request(method, path + tail, undefined, key)
      const two = await server.request(method, path + tail, undefined, key)
      expect([tail, one.status, replayed(two), two.text]).toEqual([tail, 200, 'true', one.text])
    }
    expect(target.received).toHaveLength(1)
  })
})

test('Z16 an answer that was lost with its server is given again, and nothing is done twice', async () => {
  const target = await receiver()
  let losing = false
  const wrapStore = (store: Store): Store =>
    new Proxy(store, {
      get(inner, name) {
        if (name === 'finishIdempotent' && losing) return () => Promise.reject(new Error('the server died here'))
        const value = Reflect.get(inner, name) as unknown
        return typeof value === 'function' ? (value.bind(inner) as unknown) : value
      },
    })
  const server = await testServer({ webhook_allow_private: true }, { wrapStore })
  const lostThenAgain = async (method: string, path: string, body?: object) => {
    const key = { 'idempotency-key': 'lost' }
    losing = true
    expect((await server.request(method, path, body, key)).status).toBe(500)
    losing = false
    await server.restart()
    const { status, body: answer } = await server.request(method, path, body, key)
    expect([path, status]).toEqual([path, 200])
    return answer
  }
  const made = await lostThenAgain('POST', ENDPOINTS, { url: target.url, types: ['session.created'] })
  const { data } = await server.get<{ data: WebhookEndpoint[] }>(ENDPOINTS)
  expect(data.map(({ id }) => id)).toEqual([made.id])
  expect(made.secret).toMatch(/^whsec_/)
  const path = `${ENDPOINTS}/${made.id}`
  const rotated = await lostThenAgain('POST', `${path}/rotate_secret`, {})
  expect(rotated.secret).not.toBe(made.secret)
  await lostThenAgain('POST', `${path}/test`)
  expect(target.received).toHaveLength(1)
  await server.create(null)
  await target.until(2)
  const from = new Date(Date.now() - 60_000).toISOString()
  expect(await lostThenAgain('POST', `${path}/replay`, { from })).toMatchObject({ matched: 1 })
  expect(await lostThenAgain('DELETE', path)).toEqual({ type: 'webhook_endpoint_deleted', id: made.id })
  await server.stop()
  await target.close()
})

test('Z3 without the setting private addresses and http are refused when they are named', async () => {
  const server = await testServer()
  for (const url of [
    'http://example.com/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://[::ffff:7f00:1]/',
    'https://localhost/',
  ]) {
    const reply = await server.request('POST', ENDPOINTS, { url })
    expect([url, said(reply)]).toEqual([url, '400 webhook_url_refused'])
    expect(reply.body.detail).toMatch(/TROUPE_WEBHOOK_ALLOW_PRIVATE/)
  }
  const { id } = await server.post<WebhookEndpoint>(ENDPOINTS, { url: 'https://hooks.example/' })
  expect(said(await server.request('POST', `${ENDPOINTS}/${id}`, { url: 'https://10.0.0.1/' }))).toBe(
    '400 webhook_url_refused',
  )
  await server.stop()
})

test('Z3 an endpoint that was allowed once is refused, and disabled, when the setting is taken back', async () => {
  const target = await receiver()
  const server = await testServer({ webhook_allow_private: true })
  const { id } = await server.post<WebhookEndpoint>(ENDPOINTS, { url: target.url, types: ['session.created'] })
  await server.restart({ webhook_allow_private: false })
  expect(await server.post(`${ENDPOINTS}/${id}/test`)).toMatchObject({
    status: 'failed',
    attempts: [{ http_status: null, error: expect.stringMatching(/is not https/) as unknown }],
  })
  await server.create(null)
  for (;;) if ((await server.get<WebhookEndpoint>(`${ENDPOINTS}/${id}`)).disabled_reason === 'address_refused') break
  expect(target.received).toEqual([])
  await server.stop()
  await target.close()
})
