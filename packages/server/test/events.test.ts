import { EVENT_TYPES, type SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Reply, type TestServer, testServer } from './support/server.ts'

interface Events {
  data: SessionEvent[]
  next_page: string | null
  prev_page: string | null
}

const said = ({ status, body }: Reply) => `${status} ${body.code}`
const started = ({ type }: { type: string }) => type === 'agent.message'
const message = (content: unknown, more: object = {}) => ({ type: 'user.message', content, ...more })
const typesOf = (events: SessionEvent[]) => events.map(({ type }) => type)

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

const send = (id: string, events: unknown[], headers = {}) =>
  server.post<Events>(`/v1/sessions/${id}/events`, { events }, headers)
const refused = (id: string, events: unknown) => server.request('POST', `/v1/sessions/${id}/events`, { events })
const list = (id: string, query: string) => server.get<Events>(`/v1/sessions/${id}/events?${query}`)

describe('sending', () => {
  test('E10 what was sent is answered as it stands in the log: in order, numbered, not taken yet', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    const { data } = await send(id, [message('say a'), message([{ type: 'text', text: 'b' }])])
    const [turn, waiting] = await server.turns(id)
    expect(data).toEqual([
      {
        id: expect.stringMatching(/^sevt_[0-9a-z]{26}$/),
        seq: expect.any(Number),
        type: 'user.message',
        session_id: id,
        turn_id: waiting!.id,
        session_thread_id: null,
        created_at: expect.stringMatching(/Z$/),
        processed_at: null,
        content: [{ type: 'text', text: 'say a' }],
      },
      expect.objectContaining({ seq: data[0]!.seq + 1, content: [{ type: 'text', text: 'b' }] }),
    ])
    expect(waiting).toMatchObject({ number: 2, status: 'queued', input_event_ids: data.map((event) => event.id) })
    expect((await server.get<Session>(`/v1/sessions/${id}`)).current_turn_id).toBe(turn!.id)
    await send(id, [{ type: 'user.interrupt', mode: 'now' }])
    expect((await server.idle(id)).result!.text).toBe('a\nb')
  })

  test('E11 a session that is done says when its input was taken, and every event has the whole envelope', async () => {
    const { id } = await server.create('say x')
    await server.idle(id)
    const events = await server.events(id)
    for (const event of events) {
      expect(Object.keys(EVENT_TYPES)).toContain(event.type)
      expect(event).toMatchObject({ session_id: id, session_thread_id: null, id: expect.stringMatching(/^sevt_/) })
      expect(Date.parse(event.processed_at!)).toBeGreaterThanOrEqual(Date.parse(event.created_at))
    }
    const [turn] = await server.turns(id)
    expect(events.filter(({ turn_id }) => turn_id === null).map(({ type }) => type)).toEqual(['session.created'])
    expect(new Set(events.slice(1).map(({ turn_id }) => turn_id))).toEqual(new Set([turn!.id]))
    expect(events.find(({ type }) => type === 'turn.started')).toMatchObject({
      number: 1,
      input_event_ids: turn!.input_event_ids,
    })
    expect(events.at(-1)).toMatchObject({ stop_reason: { type: 'end_turn' } })
  })

  test('E12 text, images and documents are taken; what says nothing or is of no known kind is refused', async () => {
    const { id } = await server.create(null)
    const blocks = [
      { type: 'text', text: 'say' },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'x' }, title: 'T', context: null },
    ]
    const { data } = await send(id, [message(blocks)])
    expect(data[0]).toMatchObject({ content: blocks })
    await server.idle(id)
    const before = await server.events(id)
    for (const content of [
      '',
      ' \n',
      [],
      [{ type: 'text', text: '' }],
      [{ type: 'video' }],
      [{ type: 'text' }],
      1,
      null,
    ])
      expect([content, said(await refused(id, [message(content)]))]).toEqual([content, '400 validation_failed'])
    for (const events of [[], [{ type: 'user.unknown' }], [{}], 'x', Array.from({ length: 51 }, () => message('x'))])
      expect(said(await refused(id, events))).toBe('400 validation_failed')
    expect(said(await refused(id, [message('x'.repeat(1024 * 1024 + 1))]))).toBe('413 body_too_large')
    expect(await server.events(id)).toEqual(before)
  })

  test('E13 a client_id counts once in a session: later, at the same time, and within one call', async () => {
    const { id } = await server.create(null)
    const input = message('say once', { client_id: 'mine' })
    const sent = await Promise.all(Array.from({ length: 10 }, () => send(id, [input])))
    expect(new Set(sent.map(({ data }) => data[0]!.id)).size).toBe(1)
    const done = await server.idle(id)
    const again = await send(id, [input, input])
    expect(again.data.map((event) => event.id)).toEqual([sent[0]!.data[0]!.id, sent[0]!.data[0]!.id])
    expect(again.data[0]).toMatchObject({ client_id: 'mine', processed_at: expect.any(String) })
    expect((await server.get<Session>(`/v1/sessions/${id}`)).last_seq).toBe(done.last_seq)
    expect(await server.turns(id)).toHaveLength(1)
    await send(id, [input, message('say new', { client_id: 'other' })])
    expect((await server.idle(id)).result!.text).toBe('new')
    const other = await server.create(null, { initial_events: [input] })
    expect((await server.idle(other.id)).result!.text).toBe('once')
    await send(other.id, [input])
    expect(await server.turns(other.id)).toHaveLength(1)
  })

  test('E14 a call is taken whole or not at all', async () => {
    const { id } = await server.create(null)
    const answer = { type: 'user.tool_confirmation', tool_use_id: 'sevt_1', result: 'allow' }
    expect(said(await refused(id, [message('say a'), { type: 'user.define_outcome' }]))).toBe('400 unsupported_feature')
    expect(said(await refused(id, [message('say a'), answer]))).toBe('404 approval_not_found')
    expect(await server.get(`/v1/sessions/${id}`)).toMatchObject({ status: 'idle', last_seq: 1 })
  })

  test.each<[string, object]>([
    ['user.tool_result', { type: 'user.tool_result', tool_use_id: 'sevt_1', content: [] }],
    ['user.define_outcome', { type: 'user.define_outcome', description: 'x' }],
  ])('E15 %s is refused by name until it exists', async (name, event) => {
    const { id } = await server.create(null)
    const reply = await refused(id, [event])
    expect(said(reply)).toBe('400 unsupported_feature')
    expect(reply.body.detail).toContain(name)
  })

  test('E16 Prefer: wait on a send answers when the session is idle again, with the events as they were sent', async () => {
    const { id } = await server.create(null)
    const { data } = await send(id, [message('say waited', { delivery: 'queue' })], { prefer: 'wait=30' })
    expect(data).toHaveLength(1)
    expect(await server.get(`/v1/sessions/${id}`)).toMatchObject({ status: 'idle', result: { text: 'waited' } })
  })

  test('E17 an interrupt of an idle session is noted, taken at once, and stops nothing that comes later', async () => {
    const { id } = await server.create(null)
    const { data } = await send(id, [{ type: 'user.interrupt', mode: 'graceful', grace_ms: 10 }])
    expect(data).toMatchObject([{ type: 'user.interrupt', mode: 'graceful', grace_ms: 10, turn_id: null }])
    expect(data[0]!.processed_at).not.toBeNull()
    await send(id, [message('say still here')])
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'still here' } })
    for (const event of [{ mode: 'soon' }, { grace_ms: -1 }, { grace_ms: 600_001 }, { grace_ms: 0.5 }])
      expect([event, said(await refused(id, [{ type: 'user.interrupt', ...event }]))]).toEqual([
        event,
        '400 validation_failed',
      ])
  })

  test('E18 an interrupt and a message in one call end the running turn and begin the next', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    await send(id, [{ type: 'user.interrupt' }, message('say instead')])
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'instead' } })
    expect((await server.turns(id)).map(({ status }) => status)).toEqual(['cancelled', 'completed'])
  })

  test('E19 turns wait up to the limit; one more is 429 with a time to come back, and leaves no trace', async () => {
    const own = await testServer({ max_queued_turns: 2 })
    const { id } = await own.create('hold')
    await own.event(id, started)
    await own.send(id, 'say 1')
    await own.send(id, 'say 2')
    const before = await own.get<Session>(`/v1/sessions/${id}`)
    const full = await own.request('POST', `/v1/sessions/${id}/events`, { events: [message('say 3')] })
    expect(said(full)).toBe('429 queue_full')
    expect([full.headers.get('retry-after'), full.headers.get('x-should-retry')]).toEqual(['10', 'true'])
    expect((await own.get<Session>(`/v1/sessions/${id}`)).last_seq).toBe(before.last_seq)
    await own.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    expect((await own.idle(id)).result!.text).toBe('2')
    await own.stop()
  })
})

describe('listing', () => {
  test('E20 pages hold every event once, in either order, each beginning where the last ended', async () => {
    const { id } = await server.create('flood 9')
    await server.idle(id)
    const whole = await server.events(id)
    for (const order of ['asc', 'desc']) {
      const seen: SessionEvent[] = []
      let page: string | null = ''
      while (page !== null) {
        const got: Events = await list(id, `limit=4&order=${order}${page && `&page=${page}`}`)
        expect(got.data.length).toBeLessThanOrEqual(4)
        seen.push(...got.data)
        page = got.next_page
      }
      expect(seen).toEqual(order === 'asc' ? whole : whole.toReversed())
    }
    expect(await list(id, 'limit=1000')).toEqual({ data: whole, next_page: null, prev_page: null })
  })

  test('E21 filters hold alone and together, and a cursor keeps them', async () => {
    const { id } = await server.create('flood 3')
    await server.idle(id)
    await server.send(id, 'say last')
    await server.idle(id)
    const [first, second] = await server.turns(id)
    const all = await server.events(id)
    expect(typesOf((await list(id, 'types[]=agent.message&types[]=user.message')).data)).toEqual([
      'user.message',
      'agent.message',
      'agent.message',
      'agent.message',
      'user.message',
      'agent.message',
    ])
    const ofTurn = await list(id, `types[]=agent.message&turn_id=${first!.id}&limit=2`)
    expect(ofTurn.data).toHaveLength(2)
    const rest = await list(id, `types[]=agent.message&turn_id=${first!.id}&limit=2&page=${ofTurn.next_page}`)
    expect(rest).toMatchObject({ data: [{ turn_id: first!.id }], next_page: null })
    const inputs = all.filter(({ type }) => type === 'user.message')
    const [from, to] = [inputs[0]!.seq, inputs[1]!.seq]
    const between = (await list(id, `after_seq=${from}&before_seq=${to}`)).data
    expect(between).toEqual(all.filter(({ seq }) => seq > from && seq < to))
    expect((await list(id, `after_seq=${from}&before_seq=${to}&order=desc&limit=2`)).data).toEqual(
      between.toReversed().slice(0, 2),
    )
    const since = encodeURIComponent(inputs[1]!.created_at)
    expect((await list(id, `created_at[gte]=${since}`)).data.at(0)).toMatchObject({ turn_id: second!.id })
    expect((await list(id, `turn_id=turn_00000000000000000000000000`)).data).toEqual([])
    expect((await list(id, 'types[]=no.such.type')).data).toEqual([])
    for (const query of ['limit=0', 'after_seq=-1', 'after_seq=x', 'order=up', 'created_at[lt]=never'])
      expect([query, said(await server.request('GET', `/v1/sessions/${id}/events?${query}`))]).toEqual([
        query,
        '400 validation_failed',
      ])
  })

  test('E22 a cursor made with seq bounds of its own goes on from its place, in both orders', async () => {
    const { id } = await server.create('flood 6')
    await server.idle(id)
    const all = await server.events(id)
    const [from, to] = [all[1]!.seq, all.at(-1)!.seq]
    for (const order of ['asc', 'desc']) {
      const bounds = `after_seq=${from}&before_seq=${to}&order=${order}&limit=3`
      const first = await list(id, bounds)
      const second = await list(id, `${bounds}&page=${first.next_page}`)
      const expected = all.filter(({ seq }) => seq > from && seq < to)
      expect([...first.data, ...second.data]).toEqual((order === 'asc' ? expected : expected.toReversed()).slice(0, 6))
    }
  })
})

describe('turns', () => {
  test('E23 a turn has its input, output, account and times, and lists page in both orders', async () => {
    const { id } = await server.create('cost 0.5')
    await server.idle(id)
    for (const word of ['say two', 'crash']) {
      await server.send(id, word)
      await server.idle(id)
    }
    const [first, second, third] = await server.turns(id)
    expect(first).toEqual({
      type: 'turn',
      files: [],
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      id: expect.stringMatching(/^turn_/),
      session_id: id,
      number: 1,
      status: 'completed',
      input_event_ids: [expect.stringMatching(/^sevt_/)],
      output: { text: 'cost 0.5', structured: null },
      stop_reason: { type: 'end_turn' },
      error: null,
      usage: expect.objectContaining({ cost_usd: 0.5, list_cost: { amount: '50', currency: 'USD' } }),
      cache: null,
      model_requests: expect.any(Number),
      created_at: expect.any(String),
      started_at: expect.any(String),
      ended_at: expect.any(String),
    })
    expect(third).toMatchObject({ status: 'failed', error: { code: 'process_crashed' } })
    expect(await server.get(`/v1/sessions/${id}/turns/${second!.id}`)).toEqual(second)
    const page = await server.get<{ data: { number: number }[]; next_page: string }>(
      `/v1/sessions/${id}/turns?order=desc&limit=2`,
    )
    expect(page.data.map(({ number }) => number)).toEqual([3, 2])
    expect(await server.get(`/v1/sessions/${id}/turns?order=desc&limit=2&page=${page.next_page}`)).toMatchObject({
      data: [{ number: 1 }],
      next_page: null,
    })
    const other = await server.create(null)
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/cancel'],
    ] as const)
      expect(said(await server.request(method, `/v1/sessions/${other.id}/turns/${first!.id}${path}`))).toBe(
        '404 turn_not_found',
      )
  })
})
