import type { SessionEvent, StreamFrame } from '@troupe/protocol/event'
import type { ServerResponse } from 'node:http'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createClient } from '../src/client.ts'
import type { Reconnect, StreamOptions } from '../src/stream.ts'
import { delta, event, ONE_TURN, start } from './support/events.ts'
import { collect, json, openEvents, testServer } from './support/server.ts'

const LOG = Array.from({ length: 12 }, (_, index) =>
  event(index + 1, index === 11 ? 'session.status_idle' : 'agent.message'),
)
const frameText = (frame: StreamFrame) =>
  `event: message\n${'seq' in frame ? `id: ${frame.seq}\n` : ''}data: ${JSON.stringify(frame)}\n\n`
const write = (response: ServerResponse, frames: StreamFrame[]) => {
  for (const frame of frames) response.write(frameText(frame))
}
const after = (headers: Record<string, unknown>) => Number(headers['last-event-id'] ?? 0)
const cut = (response: ServerResponse) => void setImmediate(() => response.destroy())

const streamOf = (url: string, options: StreamOptions = {}) =>
  createClient({ baseUrl: url, retryDelay: () => 0 }).events.stream('sesn_1', { reconnectDelay: () => 0, ...options })

const seqs = (frames: StreamFrame[]) => frames.filter((frame) => 'seq' in frame).map((frame) => frame.seq)

test('a stream whose connection breaks goes on after the last event, without loss or repetition', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 6 }), async (cuts) => {
      await using server = await testServer((response, request, number) => {
        openEvents(response)
        const rest = LOG.slice(after(request.headers))
        const [whole, half] = cuts[number] ?? [rest.length, false]
        write(response, rest.slice(0, whole))
        // Cut in the middle of a frame: what is not whole does not count.
        if (half && rest[whole]) response.write(frameText(rest[whole]).slice(0, -10))
        cut(response)
      })
      const frames = await collect(streamOf(server.url, { from: 'start', until: 'idle' }))
      expect(seqs(frames)).toEqual(LOG.map(({ seq }) => seq))
    }),
    { numRuns: 40 },
  )
})

test('a reconnect names the last event by Last-Event-ID, and the caller is told of it', async () => {
  const told: Reconnect[] = []
  await using server = await testServer((response, request) => {
    openEvents(response)
    write(response, LOG.slice(after(request.headers)).slice(0, 4))
    response.end()
  })
  const stream = streamOf(server.url, {
    from: 'start',
    until: 'idle',
    onReconnect: (reconnect) => told.push(reconnect),
  })
  await collect(stream)
  expect(server.requests.map(({ url }) => url)).toEqual([
    '/v1/sessions/sesn_1/events/stream?from=start&until=idle',
    '/v1/sessions/sesn_1/events/stream?until=idle',
    '/v1/sessions/sesn_1/events/stream?until=idle',
  ])
  expect(server.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '4', '8'])
  expect(told).toEqual([
    { attempt: 1, delayMs: 0, error: null },
    { attempt: 1, delayMs: 0, error: null },
  ])
})

test('a server that repeats events or leaves one out is corrected', async () => {
  await using server = await testServer((response, request, number) => {
    openEvents(response)
    if (number === 0) write(response, [LOG[0]!, LOG[1]!, LOG[0]!, LOG[1]!, LOG[4]!])
    else write(response, LOG.slice(after(request.headers) - 1))
  })
  const frames = await collect(streamOf(server.url, { from: 'start', until: 'idle' }))
  expect(seqs(frames)).toEqual(LOG.map(({ seq }) => seq))
})

test('a hole that the log itself has is passed over', async () => {
  const holed: SessionEvent[] = [event(1, 'a'), event(5, 'b'), event(6, 'session.status_idle')]
  await using server = await testServer((response, request) => {
    openEvents(response)
    write(
      response,
      holed.filter(({ seq }) => seq > after(request.headers)),
    )
  })
  expect(seqs(await collect(streamOf(server.url, { after: 0, until: 'idle' })))).toEqual([1, 5, 6])
})

test('pauses grow while connections fail, and begin anew with the first sign of life', async () => {
  const failures: number[] = []
  const heartbeat = new Set([0, 4])
  await using server = await testServer((response, _request, number) => {
    if (number === 3) return json(response, 503, {}, { 'retry-after': '7', 'x-should-retry': 'true' })
    openEvents(response)
    if (heartbeat.has(number)) response.write(': hb\n\n')
    if (number === 6) write(response, [event(1, 'session.status_idle')])
    return response.end()
  })
  const asked: (number | null)[] = []
  const reconnectDelay = (attempt: number, retryAfter: number | null) => {
    failures.push(attempt)
    asked.push(retryAfter)
    return 0
  }
  await collect(streamOf(server.url, { from: 'start', until: 'idle', reconnectDelay }))
  expect(failures).toEqual([0, 1, 2, 3, 0, 1])
  expect(asked).toEqual([null, null, null, 7, null, null])
})

test('a stream ends when its session is deleted', async () => {
  await using server = await testServer((response, _request, number) => {
    if (number > 0)
      return json(response, 410, { code: 'session_deleted', detail: 'gone' }, { 'x-should-retry': 'false' })
    openEvents(response)
    write(response, LOG.slice(0, 2))
    return response.end()
  })
  expect(seqs(await collect(streamOf(server.url, { from: 'start' })))).toEqual([1, 2])
})

test('a stream that is refused throws the refusal, at first and later', async () => {
  await using server = await testServer((response, _request, number) => {
    if (number !== 1) return json(response, 404, { code: 'session_not_found', detail: 'no such session' })
    openEvents(response)
    return response.end()
  })
  await expect(collect(streamOf(server.url))).rejects.toMatchObject({ code: 'session_not_found' })
  await expect(collect(streamOf(server.url))).rejects.toMatchObject({ code: 'session_not_found' })
})

test('a stream gives up after as many failures in a row as it was told', async () => {
  await using server = await testServer((response, _request, number) => {
    if (number > 0) return response.destroy()
    openEvents(response)
    write(response, LOG.slice(0, 1))
    return cut(response)
  })
  await expect(collect(streamOf(server.url, { maxReconnects: 3 }))).rejects.toMatchObject({
    name: 'Unreachable',
  })
  expect(server.requests).toHaveLength(4)
})

test('a connection that has fallen silent is replaced', async () => {
  await using server = await testServer((response, request, number) => {
    openEvents(response)
    if (number > 0) write(response, LOG.slice(after(request.headers)))
  })
  const frames = await collect(streamOf(server.url, { from: 'start', until: 'idle', silenceMs: 20 }))
  expect(frames).toHaveLength(LOG.length)
})

test('a stream that is aborted, or whose reader leaves, closes its connection and returns', async () => {
  const closed: Promise<void>[] = []
  await using server = await testServer((response) => {
    closed.push(new Promise((resolve) => response.once('close', resolve)))
    openEvents(response)
    write(response, LOG.slice(0, 1))
  })
  const abort = new AbortController()
  for await (const frame of streamOf(server.url, { signal: abort.signal })) if ('seq' in frame) abort.abort()
  for await (const _frame of streamOf(server.url)) break
  await Promise.all(closed)
  expect(closed).toHaveLength(2)
})

test('previews are asked for by type and passed on between events', async () => {
  const frames: StreamFrame[] = [
    LOG[0]!,
    start('sevt_2'),
    delta('sevt_2', 'é中'),
    LOG[1]!,
    event(3, 'session.status_idle'),
  ]
  await using server = await testServer((response) => {
    openEvents(response)
    // Split inside a character: the parts belong together.
    const bytes = Buffer.from(frames.map(frameText).join(''))
    const middle = bytes.indexOf('中') + 1
    response.write(bytes.subarray(0, middle))
    setImmediate(() => response.write(bytes.subarray(middle)))
  })
  const stream = streamOf(server.url, { from: 'start', until: 'idle', deltas: ['agent.message', 'agent.thinking'] })
  expect(await collect(stream)).toEqual(frames)
  expect(decodeURIComponent(server.requests[0]!.url)).toContain(
    'event_deltas[]=agent.message&event_deltas[]=agent.thinking',
  )
})

test('an answer that is no event stream is said to be none', async () => {
  await using server = await testServer((response) => json(response, 200, ONE_TURN))
  await expect(collect(streamOf(server.url))).rejects.toMatchObject({ code: 'unexpected_answer' })
})
