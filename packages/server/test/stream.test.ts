import type { StreamFrame } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STREAMING_AGENT } from './support/sdk-clients.ts'
import { type Reply, type TestServer, testServer } from './support/server.ts'

/** One frame as it came: its fields, and its data parsed. */
interface Frame {
  fields: Record<string, string>
  data: StreamFrame & Record<string, unknown>
}

/** A reader of a stream, a frame at a time. */
class Reader {
  readonly response: Response
  readonly #reader: ReadableStreamDefaultReader<string>
  readonly #abort: AbortController
  /** Blocks that hold no event: `retry:` and comments. */
  readonly other: string[] = []
  #rest = ''

  constructor(response: Response, abort: AbortController) {
    this.response = response
    this.#abort = abort
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  }

  /** The next frame, or null when the stream has ended. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const end = this.#rest.indexOf('\n\n')
      if (end < 0) {
        const { value, done } = await this.#reader.read()
        if (done) return null
        this.#rest += value
        continue
      }
      const block = this.#rest.slice(0, end)
      this.#rest = this.#rest.slice(end + 2)
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      if (fields.data !== undefined) return { fields, data: JSON.parse(fields.data) as Frame['data'] }
      this.other.push(block)
    }
  }

  /** Frames up to and with the first of this type. */
  async until(type: string): Promise<Frame[]> {
    const frames: Frame[] = []
    for (;;) {
      const frame = await this.next()
      if (!frame) throw new Error(`the stream ended before ${type} came`)
      frames.push(frame)
      if (frame.data.type === type) return frames
    }
  }

  /** All that is left, until the server ends the stream. */
  async rest(): Promise<Frame[]> {
    const frames: Frame[] = []
    for (let frame = await this.next(); frame; frame = await this.next()) frames.push(frame)
    return frames
  }

  leave(): void {
    this.#abort.abort()
  }
}

const IDLE = 'session.status_idle'
const said = ({ status, body }: Reply) => `${status} ${body.code}`
const started = ({ type }: { type: string }) => type === 'agent.message'
const typesOf = (frames: Frame[]) => frames.map(({ data }) => data.type)
const seqsOf = (frames: Frame[]) => frames.map(({ fields }) => Number(fields.id))
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

async function open(server: TestServer, path: string, init: RequestInit = {}): Promise<Reader> {
  const abort = new AbortController()
  const response = await fetch(server.url + path, { ...init, signal: abort.signal })
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
  return new Reader(response, abort)
}

describe('a stream', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const watch = (id: string, query = '', headers: Record<string, string> = {}) =>
    open(server, `/v1/sessions/${id}/events/stream?${query}`, { headers })

  const done = async (prompt: string): Promise<Session> => {
    const { id } = await server.create(prompt)
    return server.idle(id)
  }

  test('L10 every frame is a message with the seq as its id and the event as its data; no proxy may keep it', async () => {
    const session = await done('say x')
    const reader = await watch(session.id, 'from=start&until=idle')
    expect(Object.fromEntries(reader.response.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'request-id': expect.stringMatching(/^req_/),
    })
    const frames = await reader.rest()
    expect(reader.other).toEqual(['retry: 1000'])
    expect(seqsOf(frames)).toEqual(range(1, session.last_seq))
    for (const { fields, data } of frames) {
      expect(Object.keys(fields)).toEqual(['event', 'id', 'data'])
      expect(fields).toMatchObject({ event: 'message', id: String((data as { seq: number }).seq) })
    }
    const newest = new Map(frames.map(({ data }) => [(data as { id: string }).id, data]))
    const listed = await server.events(session.id)
    expect(listed.map((event) => event.id)).toEqual([...newest.keys()])
    // Listed at its first seq and time, in its newest form.
    for (const { seq: _, created_at: __, ...event } of listed) expect(newest.get(event.id)).toMatchObject(event)
  })

  test('L11 a cursor in any form replays what follows it, without gap or repetition, and goes on live', async () => {
    const { id, last_seq } = await done('flood 5')
    const events = await server.events(id)
    const middle = events.find(started)!
    const readers = await Promise.all([
      watch(id, `after=${middle.seq}`),
      watch(id, `after=${middle.id}`),
      watch(id, '', { 'last-event-id': String(middle.seq) }),
      watch(id, 'after=1', { 'last-event-id': String(middle.seq) }),
      watch(id, 'from=start', { 'last-event-id': middle.id }),
    ])
    const replays = await Promise.all(readers.map((reader) => reader.until(IDLE)))
    await server.send(id, 'say more')
    const lives = await Promise.all(readers.map((reader) => reader.until(IDLE)))
    const after = await server.idle(id)
    for (const [n, replay] of replays.entries())
      expect(seqsOf([...replay, ...lives[n]!])).toEqual(range(middle.seq + 1, after.last_seq))
    expect(after.last_seq).toBeGreaterThan(last_seq)
    const whole = await watch(id, 'after=0')
    expect(seqsOf([...(await whole.until(IDLE)), ...(await whole.until(IDLE))])).toEqual(range(1, after.last_seq))
    for (const reader of [...readers, whole]) reader.leave()
  })

  test('L12 a cursor that this session does not have is refused before the stream begins', async () => {
    const session = await done('say x')
    const [foreign] = await server.events((await done('say y')).id)
    for (const after of [session.last_seq + 1, foreign!.id, 'sevt_x', '-1', '1.5', 'x', '9'.repeat(16), ''])
      expect([
        after,
        said(await server.request('GET', `/v1/sessions/${session.id}/events/stream?after=${after}`)),
      ]).toEqual([after, '400 invalid_cursor'])
    const header = { 'last-event-id': '999' }
    const path = `/v1/sessions/${session.id}/events/stream`
    expect(said(await server.request('GET', path, undefined, header))).toBe('400 invalid_cursor')
    for (const query of ['from=end', 'until=done'])
      expect(said(await server.request('GET', `${path}?${query}`))).toBe('400 validation_failed')
  })

  test('L13 until=idle ends the stream after the first idle or terminated that it shows, replayed or live', async () => {
    const { id } = await done('say one')
    await server.send(id, 'say two')
    await server.idle(id)
    const replay = await (await watch(id, 'from=start&until=idle')).rest()
    expect(typesOf(replay).filter((type) => type === IDLE)).toHaveLength(1)
    expect(typesOf(replay).at(-1)).toBe(IDLE)
    const { last_seq } = await server.get<Session>(`/v1/sessions/${id}`)
    const live = await watch(id, `after=${last_seq}&until=idle`)
    await server.post(`/v1/sessions/${id}`, { title: 'new' })
    await server.post(`/v1/sessions/${id}/archive`)
    expect(typesOf(await live.rest())).toEqual(['session.updated', 'session.status_terminated'])
  })

  test('L14 without a cursor a turn that nobody watched is told, and told once', async () => {
    const { id } = await done('say missed')
    const first = await watch(id)
    expect(typesOf(await first.until(IDLE))[0]).toBe('user.message')
    first.leave()
    const second = await watch(id)
    const { data } = await server.send(id, 'say new')
    expect((await second.next())!.data).toMatchObject({ id: data[0]!.id })
    await second.until(IDLE)
    const beside = await watch(id)
    const { data: next } = await server.send(id, 'say newer')
    expect((await beside.next())!.data).toMatchObject({ id: next[0]!.id })
    second.leave()
    beside.leave()
  })

  test('L15 without a cursor the turn that runs is told from its input, to every reader, and what came before is not', async () => {
    const { id } = await done('say before')
    const { data } = await server.send(id, 'hold')
    await server.event(id, (event) => event.type === 'agent.message' && event.turn_id === data[0]!.turn_id)
    await server.send(id, 'say after')
    const readers = await Promise.all([watch(id), watch(id)])
    for (const reader of readers) {
      const shown = await reader.until('agent.message')
      expect(shown[0]!.data).toMatchObject({ id: data[0]!.id })
      expect(shown.at(-1)!.data).toMatchObject({ content: [{ type: 'text', text: 'holding' }] })
    }
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    for (const reader of readers) {
      expect(typesOf(await reader.until(IDLE))).toContain('turn.cancelled')
      reader.leave()
    }
  })

  test('L16 a turn that ended more than a minute ago is history: a stream without a cursor is live', async () => {
    let ahead = 0
    const own = await testServer({}, { clock: { now: () => Date.now() + ahead } })
    const { id } = await own.create('say old')
    await own.idle(id)
    ahead = 61_000
    const reader = await open(own, `/v1/sessions/${id}/events/stream`)
    const { data } = await own.send(id, 'say new')
    expect((await reader.next())!.data).toMatchObject({ id: data[0]!.id })
    reader.leave()
    await own.stop()
  })

  test('L17 stream=true on a create answers with the stream, from the first event', async () => {
    const reader = await open(server, '/v1/sessions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ stream: true, initial_events: [{ type: 'user.message', content: 'say hi' }] }),
    })
    expect(reader.response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const frames = await reader.until(IDLE)
    expect(frames[0]).toMatchObject({ fields: { id: '1' }, data: { type: 'session.created' } })
    expect(seqsOf(frames)).toEqual(range(1, frames.length))
    reader.leave()
  })

  test('L18 leaving a stream cancels nothing', async () => {
    const { id } = await server.create('hold')
    const reader = await watch(id)
    await reader.until('agent.message')
    reader.leave()
    await server.send(id, 'say after')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect((await server.idle(id)).result!.text).toBe('after')
  })

  test('L19 a stream ends when its session is deleted, and when the server stops', async () => {
    const own = await testServer({ drain_seconds: 0 })
    const { id } = await own.create('say x')
    await own.idle(id)
    const gone = await open(own, `/v1/sessions/${id}/events/stream?from=start`)
    await gone.until(IDLE)
    await own.request('DELETE', `/v1/sessions/${id}`)
    expect(await gone.rest()).toEqual([])
    const { id: other } = await own.create('hold', { recovery: 'fail' })
    const cut = await open(own, `/v1/sessions/${other}/events/stream?from=start`)
    await cut.until('agent.message')
    const [shown] = await Promise.all([cut.rest(), own.app.stop()])
    expect(typesOf(shown)).toEqual(expect.arrayContaining(['turn.failed', IDLE]))
    await own.stop()
  })

  test('L20 a reader that was cut by a restart goes on with its number on the next server', async () => {
    const own = await testServer()
    const { id } = await own.create('say one')
    const first = await open(own, `/v1/sessions/${id}/events/stream?from=start`)
    const seen = await first.until(IDLE)
    await own.restart()
    await own.send(id, 'say two')
    const second = await open(own, `/v1/sessions/${id}/events/stream`, {
      headers: { 'last-event-id': seen.at(-1)!.fields.id! },
    })
    const rest = await second.until(IDLE)
    expect(seqsOf([...seen, ...rest])).toEqual(range(1, (await own.idle(id)).last_seq))
    second.leave()
    await own.stop()
  })
})

describe('previews', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer({ agent_executable: STREAMING_AGENT })
  })
  afterAll(() => server.stop())

  test('L21 text is shown while it is written only to those who ask, under the id of the event that follows', async () => {
    const { id, cwd } = await server.create(null)
    const path = `/v1/sessions/${id}/events/stream?until=idle`
    const asking = await open(server, `${path}&event_deltas[]=agent.message&event_deltas[]=no.such`)
    const plain = await open(server, path)
    const other = await open(server, `${path}&event_deltas[]=agent.thinking`)
    await server.send(id, 'draft One, |two.')
    const first = await asking.until('event_delta')
    // Who comes late is shown the text so far.
    const late = await open(server, `${path}&event_deltas[]=agent.message`)
    const caught = await late.until('event_delta')
    expect(caught.slice(-2).map(({ data }) => data)).toEqual(first.slice(-2).map(({ data }) => data))
    writeFileSync(join(cwd, 'go1'), '')
    const frames = [...first, ...(await asking.rest())]
    const previews = frames.filter(({ data }) => data.type === 'event_start' || data.type === 'event_delta')
    const final = frames.find(({ data }) => data.type === 'agent.message')!
    const event_id = (final.data as { id: string }).id
    const piece = (text: string) => ({
      type: 'event_delta',
      event_id,
      delta: { type: 'content_delta', index: 0, content: { type: 'text', text } },
    })
    expect(previews.map(({ data }) => data)).toEqual([
      { type: 'event_start', event: { type: 'agent.message', id: event_id } },
      piece('One, '),
      piece('two.'),
    ])
    expect(previews.map(({ fields }) => Object.keys(fields))).toEqual(previews.map(() => ['event', 'data']))
    expect(frames.indexOf(previews.at(-1)!)).toBeLessThan(frames.indexOf(final))
    const events = frames.filter((frame) => !previews.includes(frame))
    for (const reader of [plain, other])
      expect((await reader.rest()).map(({ data }) => data)).toEqual(events.map(({ data }) => data))
    const seen = [...caught, ...(await late.rest())].map(({ data }) => data)
    expect(seen.filter(({ type }) => type === 'event_delta')).toEqual([piece('One, '), piece('two.')])
  })

  test('L22 a thought is announced without its text, and only to those who ask for thoughts', async () => {
    const { id, cwd } = await server.create(null)
    const reader = await open(server, `/v1/sessions/${id}/events/stream?until=idle&event_deltas[]=agent.thinking`)
    await server.send(id, 'ponder Hello')
    const announced = await reader.until('event_start')
    writeFileSync(join(cwd, 'go1'), '')
    const frames = [...announced, ...(await reader.rest())]
    const [thought] = frames.filter(({ data }) => data.type === 'agent.thinking')
    expect(announced.at(-1)!.data.event).toEqual({ type: 'agent.thinking', id: thought!.data.id })
    expect(typesOf(frames).filter((type) => type.startsWith('event_'))).toEqual(['event_start'])
    expect(JSON.stringify(frames)).not.toContain('secret')
  })
})
