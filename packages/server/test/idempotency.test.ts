import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../src/store/store.ts'
import { frames, type Reply, type TestServer, testServer } from './support/server.ts'

const said = ({ status, body }: Reply) => `${status} ${body.code}`
const replayed = ({ headers }: Reply) => headers.get('idempotent-replayed')
const started = ({ type }: { type: string }) => type === 'agent.message'
const hello = { initial_events: [{ type: 'user.message', content: 'say hello' }] }
const input = (content: string) => ({ events: [{ type: 'user.message', content }] })

let keys = 0
const newKey = () => ({ 'idempotency-key': `key ${++keys}` })

describe('an idempotency key', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const count = async () =>
    (await server.get<{ total_count: number }>('/v1/sessions?limit=1&count=true&include_archived=true')).total_count

  test('I10 the same request again has the same answer, marked as replayed, and no second effect', async () => {
    const key = newKey()
    const before = await count()
    const first = await server.request('POST', '/v1/sessions', hello, key)
    await server.idle(first.body.id as string)
    const again = await server.request('POST', '/v1/sessions', hello, key)
    expect([first.status, replayed(first), again.status, replayed(again)]).toEqual([200, null, 200, 'true'])
    expect(again.text).toBe(first.text)
    expect(again.headers.get('content-type')).toMatch(/^application\/json/)
    expect(await count()).toBe(before + 1)
    const sent = await server.request('POST', `/v1/sessions/${first.body.id}/events`, input('say more'), key)
    expect([sent.status, replayed(sent)]).toEqual([200, null])
    const resent = await server.request('POST', `/v1/sessions/${first.body.id}/events`, input('say more'), key)
    expect([resent.text, replayed(resent)]).toEqual([sent.text, 'true'])
    await server.idle(first.body.id as string)
    expect(await server.turns(first.body.id as string)).toHaveLength(2)
  })

  test('I11 a key belongs to one request: another body is 422, another path or method is another key', async () => {
    const key = newKey()
    const { body } = await server.request('POST', '/v1/sessions', { title: 'one' }, key)
    const reused = await server.request('POST', '/v1/sessions', { title: 'two' }, key)
    expect([said(reused), reused.headers.get('x-should-retry')]).toEqual(['422 idempotency_key_reused', 'false'])
    expect((await server.request('POST', `/v1/sessions/${body.id}`, { title: 'two' }, key)).body.title).toBe('two')
    expect((await server.request('DELETE', `/v1/sessions/${body.id}`, undefined, key)).status).toBe(200)
    const deleted = await server.request('DELETE', `/v1/sessions/${body.id}`, undefined, key)
    expect([deleted.status, deleted.body.type, replayed(deleted)]).toEqual([200, 'session_deleted', 'true'])
    expect(said(await server.request('DELETE', `/v1/sessions/${body.id}`))).toBe('410 session_deleted')
  })

  test('I12 of twenty same requests at once one has an effect; the rest are told the same or to ask again', async () => {
    const key = newKey()
    const before = await count()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => server.request('POST', '/v1/sessions', { title: 'raced' }, key)),
    )
    const done = replies.filter(({ status }) => status === 200)
    const waiting = replies.filter(({ status }) => status !== 200)
    expect(new Set(done.map(({ text }) => text)).size).toBe(1)
    expect(done.filter((reply) => replayed(reply) === null)).toHaveLength(1)
    for (const reply of waiting)
      expect([said(reply), reply.headers.get('retry-after'), reply.headers.get('x-should-retry')]).toEqual([
        '409 idempotency_in_progress',
        '1',
        'true',
      ])
    expect(await count()).toBe(before + 1)
    const later = await server.request('POST', '/v1/sessions', { title: 'raced' }, key)
    expect([later.text, replayed(later)]).toEqual([done[0]!.text, 'true'])
  })

  test('I13 a key has 1 to 255 characters; on a GET it means nothing', async () => {
    const send = (key: string) => server.request('POST', '/v1/sessions', {}, { 'idempotency-key': key })
    expect((await send('k'.repeat(255))).status).toBe(200)
    const before = await count()
    for (const key of ['k'.repeat(256), '']) {
      const reply = await send(key)
      expect(said(reply)).toBe('400 validation_failed')
      expect(reply.body.errors).toMatchObject([{ pointer: 'header:idempotency-key' }])
    }
    expect(await count()).toBe(before)
    const key = newKey()
    const [first, second] = [
      await server.request('GET', '/v1/info', undefined, key),
      await server.request('GET', '/health', undefined, key),
    ]
    expect([first.status, second.status, replayed(second)]).toEqual([200, 200, null])
  })

  test('I14 a refusal is an answer too: it is replayed, even when the request would now be taken', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    const key = newKey()
    const first = await server.request('DELETE', `/v1/sessions/${id}`, undefined, key)
    expect([said(first), replayed(first)]).toEqual(['409 session_running', null])
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await server.idle(id)
    const again = await server.request('DELETE', `/v1/sessions/${id}`, undefined, key)
    expect([
      said(again),
      replayed(again),
      again.headers.get('content-type'),
      again.headers.get('x-should-retry'),
    ]).toEqual(['409 session_running', 'true', first.headers.get('content-type'), 'false'])
    expect((await server.request('DELETE', `/v1/sessions/${id}`, undefined, newKey())).status).toBe(200)
  })

  test('I15 a request that was refused for its form does not use its key up', async () => {
    const key = newKey()
    expect(said(await server.request('POST', '/v1/sessions', { title: 1 }, key))).toBe('400 validation_failed')
    const { status, headers } = await server.request('POST', '/v1/sessions', { title: 'right' }, key)
    expect([status, headers.get('idempotent-replayed')]).toEqual([200, null])
  })

  test('I16 an answer outlives the server that gave it', async () => {
    const key = newKey()
    const first = await server.request('POST', '/v1/sessions', { title: 'kept' }, key)
    await server.restart()
    const again = await server.request('POST', '/v1/sessions', { title: 'kept' }, key)
    expect([again.text, replayed(again)]).toEqual([first.text, 'true'])
  })

  test('I17 keys work on the origin API too: one execute, one session', async () => {
    const key = newKey()
    const first = await server.request('POST', '/execute/', { prompt: 'say once' }, key)
    const again = await server.request('POST', '/execute/', { prompt: 'say once' }, key)
    expect([first.status, again.text, replayed(again)]).toEqual([200, first.text, 'true'])
    await server.idle(first.body.session_id as string)
    expect(await server.turns(first.body.session_id as string)).toHaveLength(1)
  })

  test('I18 a create that is answered with a stream is done once: the same key streams the same session', async () => {
    const key = newKey()
    const before = await count()
    const first = async () => {
      const response = await fetch(`${server.url}/v1/sessions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...key },
        body: JSON.stringify({ stream: true }),
      })
      for await (const event of frames(response)) return event
      throw new Error('the stream was empty')
    }
    const event = await first()
    expect(event).toMatchObject({ type: 'session.created', seq: 1 })
    expect(await first()).toEqual(event)
    expect(await count()).toBe(before + 1)
  })

  test('I18 a stream of a session that was there already uses no key up: the same key streams it again', async () => {
    const key = newKey()
    const { id } = await server.create(null, { external_id: 'streamed twice' })
    for (let time = 1; time <= 2; time++) {
      const response = await fetch(`${server.url}/v1/sessions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...key },
        body: JSON.stringify({ stream: true, external_id: 'streamed twice' }),
      })
      expect([time, response.status]).toEqual([time, 200])
      for await (const event of frames(response)) {
        expect(event).toMatchObject({ session_id: id, seq: 1 })
        break
      }
    }
  })

  test('I24 a refusal that passes by itself is not kept: the same key may be used until the request is taken', async () => {
    const own = await testServer({ max_queued_turns: 1 })
    const { id } = await own.create('hold')
    await own.event(id, started)
    await own.send(id, 'say first')
    const key = newKey()
    const path = `/v1/sessions/${id}/events`
    expect(said(await own.request('POST', path, input('say second'), key))).toBe('429 queue_full')
    await own.post(path, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await own.idle(id)
    const taken = await own.request('POST', path, input('say second'), key)
    expect([taken.status, replayed(taken)]).toEqual([200, null])
    expect((await own.idle(id)).result!.text).toBe('second')
    await own.stop()
  })
})

describe('an answer that was lost', () => {
  /** A server whose store forgets to keep answers until it is told to. */
  async function forgetful() {
    let losing = true
    const wrapStore = (store: Store): Store =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'finishIdempotent' && losing)
            return () => {
              losing = false
              return Promise.reject(new Error('the server died here'))
            }
          const value = Reflect.get(target, name) as unknown
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
    return testServer({}, { wrapStore })
  }

  test('I19 a create whose answer was lost is answered with the session it made', async () => {
    const server = await forgetful()
    const key = newKey()
    const lost = await server.request('POST', '/v1/sessions', hello, key)
    expect(lost.status).toBe(500)
    await server.restart()
    const again = await server.request('POST', '/v1/sessions', hello, key)
    expect(again.status).toBe(200)
    const { data } = await server.get<{ data: Session[] }>('/v1/sessions')
    expect(data.map(({ id }) => id)).toEqual([again.body.id])
    const third = await server.request('POST', '/v1/sessions', hello, key)
    expect([third.text, replayed(third)]).toEqual([again.text, 'true'])
    await server.idle(again.body.id as string)
    expect(await server.turns(again.body.id as string)).toHaveLength(1)
    await server.stop()
  })

  test('I20 a send whose answer was lost is answered with the events it appended, and taken once', async () => {
    const server = await forgetful()
    const { id } = await server.create(null)
    const key = newKey()
    const path = `/v1/sessions/${id}/events`
    const body = { events: [...input('say a').events, { type: 'user.interrupt' }, ...input('say b').events] }
    expect((await server.request('POST', path, body, key)).status).toBe(500)
    await server.restart()
    const again = await server.request('POST', path, body, key)
    expect(again.body.data).toMatchObject([
      { type: 'user.message' },
      { type: 'user.interrupt' },
      { type: 'user.message' },
    ])
    await server.idle(id)
    expect(await server.turns(id)).toHaveLength(1)
    await server.stop()
  })

  test('I21 a deletion whose answer was lost is answered as done', async () => {
    const server = await forgetful()
    const { id } = await server.create(null)
    const key = newKey()
    expect((await server.request('DELETE', `/v1/sessions/${id}`, undefined, key)).status).toBe(500)
    await server.restart()
    const again = await server.request('DELETE', `/v1/sessions/${id}`, undefined, key)
    expect([again.status, again.body]).toEqual([200, { type: 'session_deleted', id }])
    await server.stop()
  })

  test('I22 an execute whose answer was lost is answered with the session it started', async () => {
    const server = await forgetful()
    const key = newKey()
    expect((await server.request('POST', '/execute/', { prompt: 'say x' }, key)).status).toBe(500)
    await server.restart()
    const again = await server.request('POST', '/execute/', { prompt: 'say x' }, key)
    const sessions = await server.get<{ session_id: string }[]>('/sessions/')
    expect(sessions.map(({ session_id }) => session_id)).toEqual([again.body.session_id])
    await server.stop()
  })

  test('I23 a request that is sent again while the answer is missing is not done again either', async () => {
    const server = await forgetful()
    const { id } = await server.create(null)
    const key = newKey()
    const first = await server.request('POST', `/v1/sessions/${id}/events`, input('say x'), key)
    expect(first.status).toBe(500)
    const again = await server.request('POST', `/v1/sessions/${id}/events`, input('say x'), key)
    expect(again.status).toBe(200)
    await server.idle(id)
    expect(await server.turns(id)).toHaveLength(1)
    await server.stop()
  })
})
