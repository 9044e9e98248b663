import type { PendingInput } from '@troupe/protocol/input'
import type { SessionEvent } from '@troupe/protocol/event'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { randomUUID } from 'node:crypto'
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })
const AGENT = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
const message = (content: string, delivery?: string) => ({
  type: 'user.message',
  content,
  ...(delivery && { delivery }),
})
const textOf = (event: SessionEvent) => (event.content as { text: string }[])[0]!.text

/** With the genuine binary. */
describe('input during a run', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const send = (id: string, events: object[]) =>
    server.post<{ data: SessionEvent[] }>(`/v1/sessions/${id}/events`, { events })
  const inputs = async (id: string) => (await server.get<{ data: PendingInput[] }>(`/v1/sessions/${id}/inputs`)).data
  /** A session whose agent is in the middle of a tool. */
  const busy = async (seconds: number, after: Step[] = [{ say: 'first done' }]) => {
    const { id, uuid } = await server.create(
      scripted([bash(`for n in $(seq ${seconds}); do sleep 1; done; echo slept`), ...after]),
      AGENT,
    )
    await server.event(id, ({ type }) => type === 'agent.tool_use')
    return { id, uuid }
  }

  test('V1 what steers reaches the running turn at its next tool boundary, and the log says when', async () => {
    const { id } = await busy(2, [bash('echo second'), { say: 'all done' }])
    const { data } = await send(id, [message('STEER: be brief', 'steer')])
    expect(data[0]).toMatchObject({ processed_at: null, delivery: 'steer' })
    expect(await inputs(id)).toMatchObject([{ event_id: data[0]!.id, delivery: 'steer', position: 0 }])
    const session = await server.idle(id)
    expect(session.result!.text).toBe('all done')
    const turns = await server.turns(id)
    expect(turns).toHaveLength(1)
    expect(turns[0]!.input_event_ids).toHaveLength(2)
    const stream = await all(id)
    const taken = stream.findIndex((event) => event.id === data[0]!.id && event.processed_at !== null)
    const first = stream.findIndex(({ type }) => type === 'agent.tool_result')
    const second = stream.findIndex(({ type }, index) => type === 'agent.tool_use' && index > first)
    expect(taken).toBeGreaterThan(first)
    expect(taken).toBeLessThan(second)
    expect(await inputs(id)).toEqual([])
  })

  test('V2 what came too late to steer is the next turn, before those that wait, and is given to the agent once', async () => {
    const steps: Step[] = [{ say: 'slowly written words of the first answer', stream: { chunk_ms: 250 } }]
    const { id, uuid } = await server.create(scripted(steps), AGENT)
    await server.event(id, ({ type }) => type === 'span.model_request_start')
    await send(id, [message(scripted([{ say: 'queued answer' }]))])
    const { data } = await send(id, [message(scripted([{ say: 'late answer' }]), 'steer')])
    await server.idle(id)
    const said = (await server.events(id)).filter(({ type }) => type === 'agent.message').map(textOf)
    expect(said).toEqual(['slowly written words of the first answer', 'late answer', 'queued answer'])
    const turns = await server.turns(id)
    expect(turns.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed'])
    expect(turns.find(({ input_event_ids }) => input_event_ids.includes(data[0]!.id))!.input_event_ids).toHaveLength(1)
    const changes = (await server.events(id)).filter(({ type }) => type === 'session.input_changed')
    expect(changes).toMatchObject([{ event_id: data[0]!.id, change: 'requeued' }])
    expect(model.requests.list(uuid)).toHaveLength(3)
  })

  test('V3 what interrupts stops the running turn and goes before those that wait', async () => {
    const { id } = await busy(60)
    await send(id, [message(scripted([{ say: 'waited' }]))])
    await send(id, [message(scripted([{ say: 'urgent' }]), 'interrupt')])
    await server.idle(id)
    const events = await server.events(id)
    expect(events.filter(({ type }) => type === 'agent.message').map(textOf)).toEqual(['urgent', 'waited'])
    expect((await server.turns(id))[0]).toMatchObject({ status: 'cancelled', stop_reason: { type: 'interrupted' } })
  })

  test('V4 what would rather be rejected is, while there is work, and is taken when there is none', async () => {
    const { id } = await busy(60)
    const reply = await server.request('POST', `/v1/sessions/${id}/events`, { events: [message('x', 'reject')] })
    expect(reply).toMatchObject({ status: 409, body: { code: 'session_running' } })
    expect(reply.headers.get('x-should-retry')).toBe('false')
    const mixed = [message('a', 'steer'), message('b', 'queue')]
    expect((await server.request('POST', `/v1/sessions/${id}/events`, { events: mixed })).body.code).toBe(
      'validation_failed',
    )
    await send(id, [{ type: 'user.interrupt', mode: 'now' }])
    await server.idle(id)
    await send(id, [message(scripted([{ say: 'taken' }]), 'reject')])
    expect((await server.idle(id)).result!.text).toBe('taken')
    await send(id, [message(scripted([{ say: 'steered into nothing' }]), 'steer')])
    expect((await server.idle(id)).result!.text).toBe('steered into nothing')
  })

  test('V7 what steers an agent that is about to ask is read before the call is asked about, and is given once', async () => {
    const call = { name: 'Bash', input: { command: 'touch made' } }
    const steps: Step[] = [
      { say: 'four slowly written words', stream: { chunk_ms: 250 }, tools: [call] },
      { say: 'I have read it.', tools: [call] },
      { say: 'made' },
    ]
    const { id, uuid } = await server.create(scripted(steps))
    await server.event(id, ({ type }) => type === 'span.model_request_start')
    await send(id, [message('mind the gap', 'steer')])
    const { required_actions: actions } = await server.idle(id)
    const uses = (await server.events(id)).filter(({ type }) => type === 'agent.tool_use')
    expect([uses.length, actions.map(({ event_id }) => event_id)]).toEqual([2, [uses[1]!.id]])
    expect(await inputs(id)).toEqual([])
    await server.post(`/v1/approvals/${uses[1]!.id}`, { result: 'allow' })
    expect((await server.idle(id)).result!.text).toBe('made')
    expect(await server.turns(id)).toMatchObject([{ status: 'completed' }])
    // One for each step, and no turn of its own for the words.
    expect(model.requests.list(uuid)).toHaveLength(3)
  })

  test('V8 what steers while a call is held for its answer follows the answer', async () => {
    const steps: Step[] = [bash('touch made'), bash('ls'), { say: 'made' }]
    const { id } = await server.create(scripted(steps), { approvals: { hold_seconds: 60 } })
    const ask = await server.event(id, ({ type }) => type === 'agent.tool_use')
    await server.event(id, ({ type }) => type === 'session.status_idle')
    const { data } = await send(id, [message('mind the gap', 'steer')])
    expect(await inputs(id)).toHaveLength(1)
    await server.post(`/v1/approvals/${ask.id}`, { result: 'allow' })
    expect((await server.idle(id)).result!.text).toContain('made')
    const events = await server.events(id)
    const taken = events.find((event) => event.id === data[0]!.id)!.processed_at
    const result = events.find(({ type, tool_use_id }) => type === 'agent.tool_result' && tool_use_id === ask.id)!
    expect(taken! >= result.created_at).toBe(true)
    expect(await server.turns(id)).toMatchObject([{ status: 'completed', input_event_ids: { length: 2 } }])
  })

  test('V9 what steered a turn that is stopped is the next turn, and is not done by the agent on its way out as well', async () => {
    const stops = [{ type: 'user.interrupt' }, null]
    for (const stop of stops) {
      const limits = stop ? {} : { limits: { turn_timeout_seconds: 10 } }
      const { id, uuid } = await server.create(scripted([bash('for n in $(seq 60); do sleep 1; done')]), {
        ...AGENT,
        ...limits,
      })
      await server.event(id, ({ type }) => type === 'agent.tool_use')
      await send(id, [message('mind the gap', 'steer')])
      if (stop) await send(id, [stop])
      await server.event(id, ({ type, turn_id }) => type === 'turn.completed' && turn_id !== null)
      await server.idle(id)
      const turns = await server.turns(id)
      expect(turns.map(({ status }) => status)).toEqual([stop ? 'cancelled' : 'failed', 'completed'])
      const asked = model.requests.list(uuid).filter(({ lastUserText }) => lastUserText?.includes('mind the gap'))
      expect(asked).toHaveLength(1)
    }
  })

  test('V10 an interrupt in the moment in which an agent starts ends its turn, and what comes to steer it then is the next one', async () => {
    for (let pause = 0; pause < 600; pause += 120) {
      const { id } = await server.create(scripted([bash('touch done'), { say: 'first' }]), AGENT)
      await server.event(id, ({ type }) => type === 'turn.started')
      await delay(pause)
      await send(id, [{ type: 'user.interrupt' }])
      await send(id, [message(scripted([{ say: 'steered' }]), 'steer')])
      await server.event(
        id,
        ({ type, output }) => type === 'turn.completed' && JSON.stringify(output).includes('steered'),
      )
      await server.idle(id)
      const turns = await server.turns(id)
      expect(turns.map(({ input_event_ids }) => input_event_ids.length)).toEqual([1, 1])
      // Later it may be done before it can be stopped.
      expect(pause === 0 ? ['cancelled'] : ['cancelled', 'completed']).toContain(turns[0]!.status)
      expect((await server.events(id)).filter(({ type }) => type === 'turn.started')).toHaveLength(2)
    }
  })

  test('V5 inputs that wait are listed, edited, moved and cancelled; the log says what happened to each', async () => {
    const { id } = await busy(60)
    const ids: string[] = []
    for (const name of ['one', 'two', 'three', 'four'])
      ids.push((await send(id, [message(scripted([{ say: name }]))])).data[0]!.id)
    expect((await inputs(id)).map(({ event_id, position }) => [event_id, position])).toEqual(
      ids.map((event, n) => [event, n + 1]),
    )
    const path = (event: string) => `/v1/sessions/${id}/inputs/${event}`
    expect(await server.post(path(ids[2]!), { position: 1 })).toMatchObject({ position: 1 })
    const edited = await server.post<PendingInput>(path(ids[1]!), { content: scripted([{ say: 'TWO' }]) })
    expect(edited.content[0]).toMatchObject({ text: expect.stringContaining('TWO') })
    expect((await server.request('DELETE', path(ids[3]!))).status).toBe(200)
    expect((await server.request('DELETE', path(ids[3]!))).body.code).toBe('input_not_pending')
    expect((await server.request('POST', path('sevt_nothing'), { position: 1 })).body.code).toBe('event_not_found')
    expect((await server.request('POST', path(ids[0]!), { content: ' ' })).body.code).toBe('validation_failed')
    expect((await inputs(id)).map(({ event_id }) => event_id)).toEqual([ids[2], ids[0], ids[1]])
    await send(id, [{ type: 'user.interrupt', mode: 'now' }])
    await server.event(id, ({ type, output }) => type === 'turn.completed' && JSON.stringify(output).includes('TWO'))
    const said = (await server.events(id)).filter(({ type }) => type === 'agent.message').map(textOf)
    expect(said).toEqual(['three', 'one', 'TWO'])
    const changes = (await server.events(id)).filter(({ type }) => type === 'session.input_changed')
    expect(changes.map(({ event_id, change }) => [event_id, change])).toEqual([
      [ids[2], 'moved'],
      [ids[1], 'edited'],
      [ids[3], 'cancelled'],
    ])
    expect((await server.request('POST', path(ids[0]!), { position: 1 })).body.code).toBe('input_not_pending')
  })

  /** Every event as the stream has it: repetitions too. */
  const all = async (id: string): Promise<SessionEvent[]> => {
    const response = await fetch(`${server.url}/v1/sessions/${id}/events/stream?from=start&until=idle`)
    return (await response.text())
      .split('\n\n')
      .flatMap((block) => /^data: (.*)$/m.exec(block)?.[1] ?? [])
      .map((data) => JSON.parse(data) as SessionEvent)
  }
})

describe('recovery', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', drain_seconds: 0 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  test('Y1 a turn that was cut while nothing with effects ran goes on by itself, on its transcript', async () => {
    const steps: Step[] = [
      bash('echo one >> log.txt'),
      { tools: [{ name: 'Read', input: { file_path: 'log.txt' } }] },
      { say: 'written slowly, word by word, to be cut', stream: { chunk_ms: 600 } },
    ]
    const { id } = await server.create(scripted(steps), AGENT)
    let requests = 0
    await server.event(id, ({ type }) => type === 'span.model_request_start' && ++requests === 3)
    // The transcript follows the log with a little delay; before that the turn would rightly end.
    const transcript = async () => (await server.app.store.loadTranscript(id, '')).join('\n')
    await expect.poll(transcript).toMatch(/tool_result.*\n.*tool_result/s)
    await server.restart()
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, last_error: null })
    expect(session.result!.text).toContain('word by word')
    const events = await server.events(id)
    const ran = events.filter(({ type, name }) => type === 'agent.tool_use' && name === 'Bash')
    expect(ran).toHaveLength(1)
    expect(events.find(({ type }) => type === 'turn.resumed')).toMatchObject({ reason: 'recovery' })
    expect(await server.turns(id)).toHaveLength(1)
  })

  test('Y2 a turn that was cut while a tool with effects ran ends, and says which call may have run', async () => {
    const { id } = await server.create(scripted([bash('echo x >> log.txt; sleep 60'), { say: 'done' }]), AGENT)
    const use = await server.event(id, ({ type }) => type === 'agent.tool_use')
    await server.restart()
    const session = await server.idle(id)
    expect(session.last_error).toMatchObject({
      code: 'server_restarted',
      side_effect_possible: true,
      call: { event_id: use.id, name: 'Bash', input: { command: 'echo x >> log.txt; sleep 60' } },
      retry_status: { type: 'exhausted' },
    })
    await server.send(id, scripted([{ say: 'usable' }]))
    expect((await server.idle(id)).result!.text).toBe('usable')
  })

  test('V6 input that steered a turn which is cut off or interrupted is the next turn, and is not lost with it', async () => {
    const steps = [bash('echo x >> log.txt; for n in $(seq 60); do sleep 1; done')]
    const cut = await server.create(scripted(steps), AGENT)
    const asks = await server.create(scripted([bash('touch file')]))
    const send = (id: string, events: object[]) => server.post(`/v1/sessions/${id}/events`, { events })
    await server.event(cut.id, ({ type }) => type === 'agent.tool_use')
    await server.idle(asks.id)
    for (const { id } of [cut, asks]) await send(id, [message(scripted([{ say: 'steered' }]), 'steer')])
    await send(asks.id, [{ type: 'user.interrupt' }])
    await server.restart()
    for (const { id } of [cut, asks]) {
      expect((await server.idle(id)).result!.text).toBe('steered')
      const turns = await server.turns(id)
      expect(turns.map(({ input_event_ids }) => input_event_ids.length)).toEqual([1, 1])
      expect(turns[0]!.status).toBe(id === cut.id ? 'failed' : 'cancelled')
      const steered = (await server.events(id)).filter(({ type }) => type === 'user.message')[1]!
      expect(turns[1]!.input_event_ids).toEqual([steered.id])
      expect(steered.processed_at).not.toBe(null)
    }
  })

  test('Y3 "resume" goes on in any case and "fail" in none', async () => {
    const steps = [bash('echo x >> log.txt; sleep 3'), { say: 'went on' }]
    const [goes, ends] = await Promise.all([
      server.create(scripted(steps), { ...AGENT, recovery: 'resume' }),
      server.create(scripted([{ say: 'slow slow slow slow', stream: { chunk_ms: 500 } }]), {
        ...AGENT,
        recovery: 'fail',
      }),
    ])
    await server.event(goes.id, ({ type }) => type === 'agent.tool_use')
    await server.event(ends.id, ({ type }) => type === 'span.model_request_start')
    await server.restart()
    expect((await server.idle(goes.id)).result!.text).toBe('went on')
    expect((await server.idle(ends.id)).last_error).toMatchObject({
      code: 'server_restarted',
      side_effect_possible: false,
    })
  })

  test('Y4 a turn that is cut a third time in ten minutes is not taken up again', async () => {
    const { id } = await server.create(scripted([{ hang: true } as Step]), AGENT)
    for (let cut = 1; cut <= 3; cut++) {
      const seen = new Set<string>()
      await server.event(id, ({ type, id: event }) => {
        if (type === 'turn.started' || type === 'turn.resumed') seen.add(event)
        return seen.size === cut
      })
      await server.restart()
    }
    const session = await server.idle(id)
    expect(session.last_error).toMatchObject({ code: 'server_restarted', retry_status: { type: 'exhausted' } })
    expect((await server.events(id)).filter(({ type }) => type === 'turn.resumed')).toHaveLength(2)
  })

  test('Y5 a turn that was cut before its input reached the transcript is begun anew, with that input once', async () => {
    const { id, uuid } = await server.create(scripted([{ say: 'hello' }]), AGENT)
    await server.event(id, ({ type }) => type === 'turn.started')
    await server.restart()
    expect((await server.idle(id)).result!.text).toBe('hello')
    const asked = (await server.events(id)).filter(({ type }) => type === 'user.message')
    expect(asked).toHaveLength(1)
    expect(model.requests.list(uuid).length).toBeLessThanOrEqual(2)
  })

  test('Y6 what a killed agent wrote to its own disk and never told does not keep its session from beginning anew', async () => {
    const { id, uuid, cwd } = await server.create(null, AGENT)
    const folder = join(cwd!, '..', 'claude', 'projects', realpathSync(cwd!).replaceAll(/[^a-zA-Z0-9]/g, '-'))
    mkdirSync(folder, { recursive: true })
    const line = { type: 'user', uuid: randomUUID(), sessionId: uuid, cwd, message: { role: 'user', content: 'x' } }
    writeFileSync(join(folder, `${uuid}.jsonl`), `${JSON.stringify(line)}\n`)
    await server.send(id, scripted([{ say: 'begun' }]))
    expect((await server.idle(id)).result?.text).toBe('begun')
  })
})
