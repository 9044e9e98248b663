import type { SessionEvent } from '@troupe/protocol/event'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { frames, type TestServer, testServer } from './support/server.ts'

const HOUR = 3_600_000

describe('the stream of all sessions', () => {
  let server: TestServer
  let operator = ''
  let ahead = 0
  beforeAll(async () => {
    server = await testServer(
      { auth: 'on' },
      { onFirstKey: (secret) => (operator = secret), clock: { now: () => Date.now() + ahead } },
    )
  })
  afterAll(() => server.stop())

  const call = async <T>(key: string, method: string, path: string, body?: unknown): Promise<T> => {
    const reply = await server.request(method, path, body, { 'x-api-key': key })
    expect([path, reply.status, reply.text]).toEqual([path, 200, reply.text])
    return reply.body as T
  }
  const run = async (key: string, fields: object = {}) => {
    const { id } = await call<{ id: string }>(key, 'POST', '/v1/sessions', {
      initial_events: [{ type: 'user.message', content: 'say x' }],
      ...fields,
    })
    await call(key, 'GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)
    return id
  }
  const keyOf = async (fields: object = {}) =>
    (await call<{ secret: string }>(operator, 'POST', '/v1/api_keys', { name: 'k', scopes: ['admin'], ...fields }))
      .secret
  interface Frame {
    id: number
    event: SessionEvent & Record<string, unknown>
  }
  /** Frames until one matches, each with its id. */
  const read = async (key: string, query: string, last: (event: Frame['event']) => boolean, headers: object = {}) => {
    const abort = new AbortController()
    const response = await fetch(`${server.url}/v1/events/stream?${query}`, {
      headers: { 'x-api-key': key, ...headers },
      signal: abort.signal,
    })
    expect(response.status).toBe(200)
    const found: Frame[] = []
    const ids: number[] = []
    const [text, events] = response.body!.tee()
    const numbers = (async () => {
      for await (const chunk of text.pipeThrough(new TextDecoderStream()))
        for (const [, id] of chunk.matchAll(/^id: (\d+)$/gm)) ids.push(Number(id))
    })().catch(() => undefined)
    for await (const event of frames(new Response(events))) {
      found.push({ id: 0, event: event as Frame['event'] })
      if (last(event as Frame['event'])) break
    }
    abort.abort()
    await numbers
    return found.map((frame, index) => ({ ...frame, id: ids[index]! }))
  }
  const idleOf = (id: string) => (event: SessionEvent) =>
    event.session_id === id && event.type === 'session.status_idle'

  test('SE6 one stream tells of all sessions of a workspace, as their logs do, each event once from any place on, and live', async () => {
    const key = await keyOf()
    const { id: other } = await call<{ id: string }>(operator, 'POST', '/v1/workspaces', { name: 'other' })
    const stranger = await keyOf({ workspace_id: other })
    const [a, b] = [await run(key), await run(key)]
    const hidden = await run(stranger)
    const all = await read(key, 'from=start', idleOf(b))
    expect(new Set(all.map(({ event }) => event.session_id))).toEqual(new Set([a, b]))
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted((x, y) => x - y))
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    const log = await call<{ data: SessionEvent[] }>(key, 'GET', `/v1/sessions/${a}/events?limit=1000`)
    const told = all.filter(({ event }) => event.session_id === a).map(({ event }) => event)
    expect(told).toEqual(log.data.filter(({ type }) => /^(session\.(created|status_|error)|turn\.)/.test(type)))
    for (const [index, { id }] of all.entries()) {
      if (index === all.length - 1) continue
      const rest = await read(
        key,
        index % 2 ? `after=${id}` : '',
        idleOf(b),
        index % 2 ? {} : { 'last-event-id': `${id}` },
      )
      expect(rest).toEqual(all.slice(index + 1))
    }
    const theirs = await read(stranger, 'from=start', idleOf(hidden))
    expect(new Set(theirs.map(({ event }) => event.session_id))).toEqual(new Set([hidden]))
    // Live, and chosen by type and by metadata.
    const live = read(key, 'types[]=session.status_*&types[]=session.deleted&metadata[team]=docs', ({ type }) =>
      type.endsWith('idle'),
    )
    const until = Date.now() + 20_000
    let c = ''
    const done = live.then(() => true)
    do {
      await run(key)
      c = await run(key, { metadata: { team: 'docs' } })
    } while (Date.now() < until && !(await Promise.race([done, Promise.resolve(false)])))
    const seen = await live
    expect(new Set(seen.map(({ event }) => event.type))).toEqual(
      new Set(['session.status_running', 'session.status_idle']),
    )
    const of = await call<{ metadata: object }>(key, 'GET', `/v1/sessions/${seen[0]!.event.session_id}`)
    expect(of.metadata).toEqual({ team: 'docs' })
    await call(key, 'DELETE', `/v1/sessions/${c}`)
    const [gone] = (
      await read(key, 'from=start&types[]=session.deleted', ({ type }) => type === 'session.deleted')
    ).slice(-1)
    expect(gone!.event).toMatchObject({ type: 'session.deleted', session_id: c })
  })

  test('SE7 what a reader has missed for good it is told, and a place that never was is refused', async () => {
    const key = await keyOf()
    const id = await run(key)
    const before = await read(key, 'from=start', idleOf(id))
    ahead += 73 * HOUR
    await server.restart()
    const after = await run(key)
    const [gap, ...rest] = await read(key, `after=${before[0]!.id}`, idleOf(after))
    expect(gap!.event).toMatchObject({ type: 'session.stream_gap', from: before[0]!.id + 1 })
    expect(gap!.event.to as unknown as number).toBeGreaterThanOrEqual(before.at(-1)!.id)
    expect(gap!.id).toBe(gap!.event.to)
    expect(new Set(rest.map(({ event }) => event.session_id))).toEqual(new Set([after]))
    expect((await read(key, `after=${gap!.id}`, idleOf(after))).map(({ event }) => event.type)).not.toContain(
      'session.stream_gap',
    )
    for (const wrong of ['999999999', 'sevt_x', '-1'])
      expect(
        (await server.request('GET', `/v1/events/stream?after=${wrong}`, undefined, { 'x-api-key': key })).body.code,
      ).toBe('invalid_cursor')
    const weak = await keyOf({ scopes: ['usage:read'] })
    const refused = await server.request('GET', '/v1/events/stream', undefined, { 'x-api-key': weak })
    expect([refused.status, refused.body.code]).toEqual([403, 'scope_missing'])
  })
})
