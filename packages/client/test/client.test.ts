import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createClient } from '../src/client.ts'
import { TroupeError, Unreachable } from '../src/errors.ts'
import { collect, json, testServer } from './support/server.ts'

const SESSION = { type: 'session', id: 'sesn_1', status: 'idle' }
const clientOf = (baseUrl: string, more: object = {}) => createClient({ baseUrl, retryDelay: () => 0, ...more })

test('a refusal is a TroupeError with everything the server said', async () => {
  await using server = await testServer((response) =>
    json(
      response,
      400,
      {
        code: 'validation_failed',
        detail: '/title: too long',
        errors: [{ pointer: '/title', code: 'x', detail: 'y' }],
      },
      { 'request-id': 'req_1', 'x-should-retry': 'false' },
    ),
  )
  const error = await clientOf(server.url)
    .sessions.create({ title: 'x' })
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(TroupeError)
  expect(error).toMatchObject({
    status: 400,
    code: 'validation_failed',
    detail: '/title: too long',
    requestId: 'req_1',
    retryAfter: null,
    errors: [{ pointer: '/title' }],
  })
  expect(server.requests).toHaveLength(1)
})

test('an answer of something that is not Troupe is described by its status', async () => {
  await using server = await testServer((response, _request, number) =>
    number === 0
      ? response.writeHead(418, { 'content-type': 'text/html' }).end('<h1>teapot</h1>')
      : response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hello</h1>'),
  )
  const client = clientOf(server.url)
  await expect(client.info()).rejects.toMatchObject({ status: 418, code: 'http_418' })
  await expect(client.info()).rejects.toMatchObject({ code: 'unexpected_answer' })
})

test('no answer at all is Unreachable and says why', async () => {
  const server = await testServer(() => undefined)
  await server[Symbol.asyncDispose]()
  const error = await clientOf(server.url)
    .info()
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Unreachable)
  expect((error as Error).message).toMatch(/^No answer from http:\/\/127.*ECONNREFUSED/)
})

test('a write that is sent again carries the same idempotency key, another write another', async () => {
  await using server = await testServer((response, _request, number) => {
    if (number === 0) return response.destroy()
    if (number === 1) return json(response, 503, { code: 'draining' }, { 'x-should-retry': 'true' })
    return json(response, 200, SESSION)
  })
  const client = clientOf(server.url)
  await client.sessions.create({ title: 'once' })
  await client.sessions.archive('sesn_1')
  const [a, b, c, other] = server.requests.map(({ headers }) => headers['idempotency-key'])
  expect(a).toMatch(/^troupe-/)
  expect([b, c]).toEqual([a, a])
  expect(other).not.toBe(a)
  expect(new Set(server.requests.slice(0, 3).map(({ body }) => body))).toEqual(new Set(['{"title":"once"}']))
})

test('retries are few, follow x-should-retry, and leave Retry-After to the delay', async () => {
  const answers: [number, Record<string, string>][] = [
    [503, { 'x-should-retry': 'false' }],
    [409, { 'x-should-retry': 'true', 'retry-after': '3' }],
    [409, { 'x-should-retry': 'true' }],
    [409, { 'x-should-retry': 'true' }],
    [503, { 'x-should-retry': 'true', 'retry-after': '3600' }],
    [404, {}],
  ]
  await using server = await testServer((response, _request, number) => {
    const [status, headers] = answers[number]!
    json(response, status, { code: `answer_${number}` }, headers)
  })
  const waited: [number, number | null][] = []
  const client = clientOf(server.url, {
    retryDelay: (attempt: number, retryAfter: number | null) => {
      waited.push([attempt, retryAfter])
      return 0
    },
  })
  await expect(client.sessions.create()).rejects.toMatchObject({ code: 'answer_0' })
  await expect(client.sessions.create()).rejects.toMatchObject({ code: 'answer_3' })
  await expect(client.sessions.create()).rejects.toMatchObject({ code: 'answer_4', retryAfter: 3600 })
  await expect(client.sessions.retrieve('x')).rejects.toMatchObject({ code: 'answer_5' })
  expect(waited).toEqual([
    [0, 3],
    [1, null],
  ])
})

test('a call that is aborted rejects with the reason and is not sent again', async () => {
  const abort = new AbortController()
  await using server = await testServer(() => abort.abort(new Error('enough')))
  await expect(clientOf(server.url).sessions.retrieve('x', { signal: abort.signal })).rejects.toThrow('enough')
  expect(server.requests).toHaveLength(1)
})

test('a list is iterated page after page, and only as far as it is read', async () => {
  await using server = await testServer((response, request) => {
    const page = Number(new URL(request.url!, 'http://x').searchParams.get('page') ?? 0)
    json(response, 200, {
      data: [page * 2, page * 2 + 1],
      next_page: page < 2 ? String(page + 1) : null,
      prev_page: null,
    })
  })
  const client = clientOf(server.url)
  expect(await collect(client.sessions.all())).toEqual([0, 1, 2, 3, 4, 5])
  for await (const _session of client.sessions.all()) break
  expect(server.requests).toHaveLength(4)
})

test('lists and ranges of a query are written as the server reads them, ids as parts of a path', async () => {
  await using server = await testServer((response) => json(response, 200, { data: [], next_page: null }))
  const client = clientOf(`${server.url}/`, { apiKey: 'secret' })
  await client.sessions.list({ statuses: ['idle', 'running'], created_at: { gt: '2026-01-01T00:00:00Z' }, limit: 5 })
  await client.events.list('a/b', { types: ['agent.message'], page: undefined })
  expect(server.requests.map(({ url }) => decodeURIComponent(url))).toEqual([
    '/v1/sessions?statuses[]=idle&statuses[]=running&created_at[gt]=2026-01-01T00:00:00Z&limit=5',
    '/v1/sessions/a/b/events?types[]=agent.message',
  ])
  expect(server.requests[1]!.url).toContain('/a%2Fb/')
  expect(server.requests[0]!.headers.authorization).toBe('Bearer secret')
})

test('waiting for a session asks again until it is idle', async () => {
  await using server = await testServer((response, _request, number) =>
    json(response, 200, { ...SESSION, status: number < 1 ? 'running' : 'idle' }),
  )
  expect(await clientOf(server.url).sessions.retrieve('sesn_1', { wait: 120 })).toMatchObject({ status: 'idle' })
  expect(server.requests.map(({ url }) => url)).toEqual([
    '/v1/sessions/sesn_1?wait_for=idle&timeout=50',
    '/v1/sessions/sesn_1?wait_for=idle&timeout=50',
  ])
})

test('a server that is not ready says so in its answer, not as an error', async () => {
  await using server = await testServer((response) =>
    json(response, 503, { status: 'not_ready', reasons: ['no model'] }),
  )
  expect(await clientOf(server.url).ready()).toEqual({ status: 'not_ready', reasons: ['no model'] })
})

test('the client runs in browsers: it imports the protocol and the event parser, and nothing of a platform', () => {
  const folder = new URL('../src/', import.meta.url)
  for (const file of readdirSync(folder)) {
    const source = readFileSync(new URL(file, folder), 'utf8')
    for (const [, from] of source.matchAll(/(?:^|\n)(?:import|export)[^'\n]*?(?:\n[^']*?)?from '([^']+)'/g))
      expect(from, file).toMatch(/^(\.\/|@troupe\/protocol\/|eventsource-parser$)/)
    // Schemas would bring a validator into every page: of the protocol only types, and the ids.
    for (const [line] of source.matchAll(/^import (?!type)[^\n]*@troupe\/protocol[^\n]*/gm))
      expect(line, file).toContain('@troupe/protocol/ids')
  }
})
