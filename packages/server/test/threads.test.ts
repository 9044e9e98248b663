import type { SessionEvent } from '@troupe/protocol/event'
import type { Thread } from '@troupe/protocol/thread'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { frames, type TestServer, testServer } from './support/server.ts'

const scripted = (words: string, steps: Step[]) => `${words}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string, more: object = {}) => ({ name: 'Bash', input: { command, ...more } })
/** A call that starts a subagent which plays these steps, and is waited for. */
const agent = (description: string, steps: Step[], more: object = {}) => ({
  name: 'Agent',
  input: {
    description,
    prompt: scripted(description, steps),
    subagent_type: 'general-purpose',
    run_in_background: false,
    ...more,
  },
})
const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
const brief = ({ type, content, name, tool_use_id, session_thread_id }: SessionEvent) => {
  const text = Array.isArray(content) ? (content as { text?: string }[]).map((block) => block.text).join('') : undefined
  return { type, text, name, tool_use_id, session_thread_id }
}

describe('subagents of the genuine agent', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', background_seconds: 30 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const start = async (steps: Step[]) => (await server.create(scripted('Go', steps), bypass)).id
  const threads = async (id: string) => (await server.get<{ data: Thread[] }>(`/v1/sessions/${id}/threads`)).data
  const eventsOf = async (id: string, thread: string) =>
    (await server.get<{ data: SessionEvent[] }>(`/v1/sessions/${id}/threads/${thread}/events?limit=1000`)).data

  test('H1 what a subagent says and does is in the log, under its thread, joined to the call that started it', async () => {
    const id = await start([
      {
        say: 'I send one.',
        tools: [agent('Inner', [{ think: 'hm', say: 'looking', tools: [bash('echo inner')] }, { say: 'sub done' }])],
      },
      { say: 'main done' },
    ])
    const session = await server.idle(id)
    expect(session.result!.text).toBe('main done')
    const [primary, inner, ...none] = await threads(id)
    expect(none).toEqual([])
    expect(inner).toMatchObject({
      status: 'idle',
      parent_thread_id: primary!.id,
      stop_reason: { type: 'end_turn' },
      summary: 'sub done',
      background: false,
      description: 'Inner',
      agent: { type: 'inline', name: 'general-purpose' },
    })
    const all = await server.events(id)
    const call = all.find(({ name }) => name === 'Agent')!
    expect(inner!.tool_use_id).toBe(call.id)
    const own = await eventsOf(id, inner!.id)
    expect(own.map(({ type }) => type)).toEqual([
      'session.thread_created',
      'session.thread_status_running',
      'agent.thread_message_received',
      'agent.thinking',
      'agent.message',
      'agent.tool_use',
      'agent.tool_result',
      'agent.message',
      'session.thread_status_idle',
    ])
    expect(new Set(own.map(({ session_thread_id }) => session_thread_id))).toEqual(new Set([inner!.id]))
    const [use] = own.filter(({ type }) => type === 'agent.tool_use')
    expect(own.filter(({ type }) => type === 'agent.tool_result').map(brief)).toMatchObject([
      { tool_use_id: use!.id, text: 'inner' },
    ])
    // The session's own agent: its words alone, and what is told of the subagent.
    const main = await eventsOf(id, primary!.id)
    expect(main.filter(({ type }) => type === 'agent.message').map((event) => brief(event).text)).toEqual([
      'I send one.',
      'main done',
    ])
    expect(main.filter(({ type }) => type.startsWith('session.thread_'))).toHaveLength(3)
  })

  test('H2 subagents at the same time have a thread each, and one within another names its parent', async () => {
    const id = await start([
      {
        tools: [
          agent('A', [{ tools: [bash('sleep 0.5')] }, { say: 'A done' }]),
          agent('B', [
            { tools: [agent('Deep', [{ tools: [bash('echo deep')] }, { say: 'deep done' }])] },
            { say: 'B done' },
          ]),
        ],
      },
      { say: 'main done' },
    ])
    await server.idle(id)
    const [primary, ...children] = await threads(id)
    const named = (words: string) => children.find(({ description }) => description === words)!
    expect(children.map(({ description, status }) => [description, status]).toSorted()).toEqual([
      ['A', 'idle'],
      ['B', 'idle'],
      ['Deep', 'idle'],
    ])
    expect([named('A').parent_thread_id, named('B').parent_thread_id]).toEqual([primary!.id, primary!.id])
    expect(named('Deep').parent_thread_id).toBe(named('B').id)
    for (const [words, said] of [
      ['A', 'A done'],
      ['B', 'B done'],
      ['Deep', 'deep done'],
    ] as const) {
      const own = await eventsOf(id, named(words).id)
      expect(own.filter(({ type }) => type === 'agent.message').map((event) => brief(event).text)).toEqual([said])
    }
    const deep = (await eventsOf(id, named('B').id)).find(({ name }) => name === 'Agent')!
    expect(named('Deep').tool_use_id).toBe(deep.id)
  })

  test('H3 a thread has the usage of its own model requests; threads and primary add up to the session', async () => {
    const id = await start([
      { tools: [agent('One', [{ tools: [bash('true')] }, { say: 'x' }]), agent('Two', [{ say: 'yy' }])] },
      { say: 'main done' },
    ])
    const session = await server.idle(id)
    const [primary, ...children] = await threads(id)
    const log = model.requests.list(session.uuid)
    const billed = (own: boolean) =>
      log.filter(({ agentId }) => (agentId === null) === own).reduce((sum, { usage }) => sum + usage!.output_tokens, 0)
    expect(children.reduce((sum, { usage }) => sum + usage!.output_tokens, 0)).toBe(billed(false))
    expect(primary!.usage!.output_tokens).toBe(billed(true))
    expect(children.every(({ stats }) => stats!.active_seconds > 0)).toBe(true)
  })

  test('H4 an interrupt of one subagent stops it alone: the other ends its work, and so does the turn', async () => {
    const id = await start([
      {
        tools: [
          agent('Slow', [{ tools: [bash('python3 -c "import time; time.sleep(1001)"')] }, { say: 'never' }]),
          agent('Quick', [{ tools: [bash('true')] }, { say: 'quick done' }]),
        ],
      },
      { say: 'main done' },
    ])
    const created = await server.event(
      id,
      (event) => event.type === 'session.thread_created' && event.description === 'Slow',
    )
    const slow = created.session_thread_id!
    await server.event(id, (event) => event.type === 'agent.tool_use' && event.session_thread_id === slow)
    const { data } = await server.post<{ data: SessionEvent[] }>(`/v1/sessions/${id}/events`, {
      events: [{ type: 'user.interrupt', session_thread_id: slow }],
    })
    expect(data).toMatchObject([{ type: 'user.interrupt', session_thread_id: slow, processed_at: null }])
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'main done' } })
    const stopped = await server.get<Thread>(`/v1/sessions/${id}/threads/${slow}`)
    expect(stopped).toMatchObject({ status: 'idle', stop_reason: { type: 'interrupted' } })
    const quick = (await threads(id)).find(({ description }) => description === 'Quick')
    expect(quick).toMatchObject({ status: 'idle', stop_reason: { type: 'end_turn' }, summary: 'quick done' })
    expect((await server.events(id)).find(({ type }) => type === 'user.interrupt')!.processed_at).not.toBeNull()
  })

  test.each([
    ['now', 'idle', 'interrupted'],
    ['graceful', 'idle', 'interrupted'],
  ])('H5 no thread stays running when its turn is interrupted (%s)', async (mode, status, stop) => {
    const id = await start([
      { tools: [agent('Slow', [{ tools: [bash('python3 -c "import time; time.sleep(1002)"')] }])] },
    ])
    await server.event(id, (event) => event.type === 'agent.tool_use' && event.session_thread_id !== null)
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode }] })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
    expect((await threads(id))[1]).toMatchObject({ status, stop_reason: { type: stop } })
    const ends = (await server.events(id)).filter(({ type }) => /^session\.thread_status_(idle|terminated)$/.test(type))
    expect(ends).toHaveLength(1)
  })

  test('H6 a turn stays open while work goes on behind its answer, says so, and ends with what the model says to it', async () => {
    const id = await start([
      { tools: [bash('python3 -c "import time; time.sleep(1.5)"; echo bashed', { run_in_background: true })] },
      { say: 'first answer' },
      { say: 'second answer' },
    ])
    const session = await server.idle(id)
    expect(session.result!.text).toBe('second answer')
    const events = await server.events(id)
    const told = events.filter(({ type }) => type === 'session.background_work')
    expect(told).toMatchObject([{ tasks: [{ type: 'local_bash' }], stopped_after_seconds: null }, { tasks: [] }])
    expect(events.filter(({ type }) => type === 'turn.completed')).toHaveLength(1)
    expect(new Set(events.map(({ turn_id }) => turn_id).filter(Boolean)).size).toBe(1)
    const billed = model.requests.list(session.uuid).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect(session.usage.output_tokens).toBe(billed)
    const [turn] = await server.turns(id)
    expect(turn!.output!.text).toBe('second answer')
  })

  test('H6 a subagent in the background works on behind the answer, under its thread', async () => {
    const id = await start([
      {
        tools: [
          agent('Back', [{ tools: [bash('python3 -c "import time; time.sleep(1)"')] }, { say: 'back done' }], {
            run_in_background: true,
          }),
        ],
      },
      { say: 'first answer' },
      { say: 'second answer' },
    ])
    const session = await server.idle(id)
    expect(session.result!.text).toBe('second answer')
    const [, back] = await threads(id)
    expect(back).toMatchObject({ status: 'idle', background: true, summary: 'back done' })
    const own = await eventsOf(id, back!.id)
    expect(own.map(({ type }) => type)).toContain('agent.tool_result')
    const told = (await server.events(id)).find(({ type }) => type === 'session.background_work')!
    expect(told.tasks).toMatchObject([{ type: 'local_agent', session_thread_id: back!.id }])
    const next = await server.send(id, scripted('And?', [{ say: 'third' }]))
    expect(next.data).toHaveLength(1)
    expect((await server.idle(id)).result!.text).toBe('third')
  })

  test('H7 an interrupt while the answer waits for work in the background stops that work and the turn', async () => {
    const id = await start([
      { tools: [bash('python3 -c "import time; time.sleep(1003)"', { run_in_background: true })] },
      { say: 'first answer' },
    ])
    await server.event(id, ({ type }) => type === 'session.background_work')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
    await server.send(id, scripted('Go on', [{ say: 'fine' }]))
    expect((await server.idle(id)).result!.text).toBe('fine')
  })

  test('H14 a subagent whose model fails is told of as failed, and the turn is what the main agent makes of it', async () => {
    const id = await start([{ tools: [agent('Fails', [{ fail: { status: 400 } }])] }, { say: 'main done' }])
    const session = await server.idle(id)
    expect(session).toMatchObject({
      stop_reason: { type: 'end_turn' },
      last_error: null,
      result: { text: 'main done' },
    })
    const [, child] = await threads(id)
    expect(child).toMatchObject({ status: 'idle', stop_reason: { type: 'retries_exhausted' } })
    expect(child!.summary).toContain('API Error: 400')
  })

  test.each([
    ['allow', false],
    ['deny', false],
    ['deny', true],
  ])(
    'H17 a person is asked about a call of a subagent, and the answer (%s) reaches it (in the background: %s)',
    async (result, run_in_background) => {
      const inner = agent('Tries', [{ tools: [bash('touch made')] }, { say: 'tried' }], { run_in_background })
      const { id } = await server.create(scripted('Go', [{ tools: [inner] }, { say: 'first' }, { say: 'second' }]), {
        agent: { type: 'inline', permission_mode: 'default', allowed_tools: ['Agent'] },
      })
      const asked = await server.event(
        id,
        (event) => event.session_thread_id !== null && event.evaluated_permission === 'ask',
      )
      const verdict = { type: 'user.tool_confirmation', tool_use_id: asked.id, result }
      await server.post(`/v1/sessions/${id}/events`, { events: [verdict] })
      await server.idle(id)
      const [, child] = await threads(id)
      expect(asked.session_thread_id).toBe(child!.id)
      const own = await eventsOf(id, child!.id)
      expect(own.some(({ type }) => type === 'agent.permission_denied')).toBe(result === 'deny')
      expect(own.find(({ type }) => type === 'agent.tool_result')).toMatchObject({
        tool_use_id: asked.id,
        is_error: result === 'deny',
      })
      expect(child).toMatchObject({ status: 'idle', stop_reason: { type: 'end_turn' } })
    },
  )

  test('H8 a stream of a thread tells it from its start, and ends with it', async () => {
    const id = await start([
      { tools: [agent('Inner', [{ say: 'looking', tools: [bash('sleep 0.3')] }, { say: 'sub done' }])] },
      { say: 'main done' },
    ])
    const { session_thread_id: thread } = await server.event(id, ({ type }) => type === 'session.thread_created')
    const seen: SessionEvent[] = []
    for (const path of ['stream', 'events/stream']) {
      const response = await fetch(`${server.url}/v1/sessions/${id}/threads/${thread}/${path}?until=idle`)
      const events: SessionEvent[] = []
      for await (const event of frames(response)) events.push(event)
      expect(events.map(({ type }) => type)).toEqual([
        'session.thread_created',
        'session.thread_status_running',
        'agent.thread_message_received',
        'agent.message',
        'agent.tool_use',
        'agent.tool_result',
        'agent.message',
        'session.thread_status_idle',
      ])
      seen.push(...events)
    }
    const after = seen[2]!.seq
    const rest = await fetch(`${server.url}/v1/sessions/${id}/threads/${thread}/stream?until=idle&after=${after}`)
    const events: SessionEvent[] = []
    for await (const event of frames(rest)) events.push(event)
    expect(events.map(({ id: event }) => event)).toEqual(seen.slice(3, 8).map(({ id: event }) => event))
    await server.idle(id)
  })
})

describe('work in the background that does not end', () => {
  test('H9 what still works when the time is over is stopped, and the log says so', async () => {
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on', background_seconds: 1 },
      { env: { ANTHROPIC_API_KEY: undefined } },
    )
    const steps: Step[] = [
      { tools: [bash('python3 -c "import time; time.sleep(1004)"', { run_in_background: true })] },
      { say: 'first answer' },
    ]
    const { id } = await server.create(scripted('Go', steps), bypass)
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'first answer' } })
    const told = (await server.events(id)).filter(({ type }) => type === 'session.background_work')
    expect(told[0]).toMatchObject({ tasks: [{}], stopped_after_seconds: null })
    expect(told.slice(1).every(({ stopped_after_seconds }) => stopped_after_seconds === 1)).toBe(true)
    expect(told.at(-1)!.tasks).toEqual([])
    await server.stop()
  })

  test('H9 where no time is given, nothing works in the background', async () => {
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on', background_seconds: 0 },
      { env: { ANTHROPIC_API_KEY: undefined } },
    )
    const { id } = await server.create(
      scripted('Go', [
        { tools: [agent('Inner', [{ say: 'sub done' }], { run_in_background: undefined })] },
        { say: 'main done' },
      ]),
      bypass,
    )
    expect((await server.idle(id)).result!.text).toBe('main done')
    const { data } = await server.get<{ data: Thread[] }>(`/v1/sessions/${id}/threads`)
    expect(data[1]).toMatchObject({ status: 'idle', background: false })
    expect((await server.events(id)).some(({ type }) => type === 'session.background_work')).toBe(false)
    await server.stop()
  })
})

describe('threads over HTTP', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const threads = async (id: string, query = '') =>
    server.get<{ data: Thread[]; next_page: string | null }>(`/v1/sessions/${id}/threads${query}`)
  const worked = async (prompt: string) => {
    const { id } = await server.create(prompt)
    await server.idle(id)
    return id
  }

  test('H5 an agent that crashes takes its subagents with it: they are terminated, and the session goes on', async () => {
    const id = await worked('subagent crash')
    const { data } = await threads(id)
    expect(data[1]).toMatchObject({ status: 'terminated', stop_reason: { type: 'retries_exhausted' } })
    const types = (await server.events(id)).map(({ type }) => type)
    expect(types.indexOf('session.thread_status_terminated')).toBeLessThan(types.indexOf('turn.failed'))
    await server.send(id, 'say on')
    expect((await server.idle(id)).result!.text).toBe('on')
  })

  test('H5 a server that stops leaves no thread running', async () => {
    const { id } = await server.create('subagent hold')
    await server.event(id, ({ type }) => type === 'session.thread_status_running')
    await server.restart({ drain_seconds: 0 })
    await server.idle(id)
    expect((await threads(id, '?statuses[]=running')).data).toEqual([])
    expect((await threads(id, '?statuses[]=terminated')).data).toHaveLength(1)
  })

  test('H7 work behind the answer that is gone with its agent fails the turn; the answer stays', async () => {
    const id = await worked('behind crash')
    const [turn] = await server.turns(id)
    expect(turn).toMatchObject({ status: 'failed', output: { text: 'first' }, error: { code: 'process_crashed' } })
    expect((await threads(id)).data[1]).toMatchObject({ status: 'terminated', background: true })
  })

  test.each(['graceful', 'now'])('H7 an interrupt (%s) of what follows on such work ends the turn', async (mode) => {
    const { id } = await server.create('behind follow')
    await server.event(
      id,
      ({ type, content }) => type === 'agent.message' && JSON.stringify(content).includes('second'),
    )
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode }] })
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'interrupted' } })
    expect((await server.turns(id))[0]).toMatchObject({ status: 'cancelled' })
    await server.send(id, 'say on')
    expect((await server.idle(id)).result!.text).toBe('on')
  })

  test('H6 an agent whose work has ended and that says no more ends its turn with the answer it gave', async () => {
    const id = await worked('behind quiet')
    const [turn] = await server.turns(id)
    expect(turn).toMatchObject({ status: 'completed', output: { text: 'first' } })
    await server.send(id, 'say on')
    expect((await server.idle(id)).result!.text).toBe('on')
  })

  test('H10 threads are listed with the primary one first, in pages, in both orders, and by status', async () => {
    const id = await worked('subagent done')
    for (let n = 0; n < 2; n++) {
      await server.send(id, 'subagent done')
      await server.idle(id)
    }
    const { data: all } = await threads(id)
    expect(all.map(({ parent_thread_id }) => parent_thread_id)).toEqual([null, all[0]!.id, all[0]!.id, all[0]!.id])
    for (const [order, expected] of [
      ['asc', all],
      ['desc', all.toReversed()],
    ] as const)
      for (const limit of [1, 2, 3, 4]) {
        const seen: string[] = []
        let page: string | null = null
        do {
          const more: string = page === null ? '' : `&page=${encodeURIComponent(page)}`
          const found = await threads(id, `?order=${order}&limit=${limit}${more}`)
          expect(found.data.length).toBeLessThanOrEqual(limit)
          seen.push(...found.data.map((thread) => thread.id))
          page = found.next_page
        } while (page !== null)
        expect(seen).toEqual(expected.map((thread) => thread.id))
      }
    expect((await threads(id, '?statuses[]=idle')).data).toHaveLength(4)
    expect((await threads(id, '?statuses[]=running&statuses[]=rescheduling')).data).toEqual([])
  })

  test('H10 the primary thread is the session under another name', async () => {
    const id = await worked('subagent done')
    const { data } = await threads(id)
    const primary = await server.get<Thread>(`/v1/sessions/${id}/threads/${data[0]!.id}`)
    expect(primary).toMatchObject({ type: 'session_thread', status: 'idle', session_id: id, agent: { type: 'agent' } })
    const reply = await server.request('POST', `/v1/sessions/${id}/threads/${primary.id}/archive`)
    expect([reply.status, reply.body.code]).toEqual([400, 'unsupported_feature'])
    const { data: sent } = await server.post<{ data: SessionEvent[] }>(`/v1/sessions/${id}/events`, {
      events: [{ type: 'user.interrupt', session_thread_id: primary.id }],
    })
    expect(sent[0]).toMatchObject({ session_thread_id: null })
  })

  test('H11 an archived thread is terminated and keeps its history; twice is once; a running one is refused', async () => {
    const id = await worked('subagent done')
    const [, child] = (await threads(id)).data
    const path = `/v1/sessions/${id}/threads/${child!.id}`
    const [once, twice] = await Promise.all([
      server.post<Thread>(`${path}/archive`),
      server.post<Thread>(`${path}/archive`),
    ])
    expect(once).toMatchObject({ status: 'terminated', archived_at: expect.any(String) })
    expect(twice.archived_at).toBe(once.archived_at)
    const { data: history } = await server.get<{ data: SessionEvent[] }>(`${path}/events`)
    expect(history.filter(({ type }) => type === 'session.thread_status_terminated')).toHaveLength(1)
    expect(history.map(({ type }) => type)).toContain('agent.message')
    const { id: busy } = await server.create('subagent hold')
    const { session_thread_id } = await server.event(busy, ({ type }) => type === 'session.thread_status_running')
    const reply = await server.request('POST', `/v1/sessions/${busy}/threads/${session_thread_id}/archive`)
    expect([reply.status, reply.body.code]).toEqual([409, 'thread_running'])
    await server.post(`/v1/sessions/${busy}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await server.idle(busy)
  })

  test('H11 what is no thread of the session is 404 on every route', async () => {
    const id = await worked('subagent done')
    const other = await worked('subagent done')
    const foreign = (await threads(other)).data.map((thread) => thread.id)
    for (const thread of ['sthr_1', 'sesn_00000000000000000000000000', ...foreign]) {
      for (const path of ['', '/events', '/stream', '/events/stream'])
        expect((await server.request('GET', `/v1/sessions/${id}/threads/${thread}${path}`)).body.code).toBe(
          'thread_not_found',
        )
      expect((await server.request('POST', `/v1/sessions/${id}/threads/${thread}/archive`)).body.code).toBe(
        'thread_not_found',
      )
      const interrupt = { events: [{ type: 'user.interrupt', session_thread_id: thread }] }
      const reply = await server.request('POST', `/v1/sessions/${id}/events`, interrupt)
      expect([reply.status, reply.body.code]).toEqual([404, 'thread_not_found'])
    }
  })

  test('H4 an interrupt of a subagent that is not at work is noted, taken at once, and stops nothing', async () => {
    const id = await worked('subagent done')
    const [, child] = (await threads(id)).data
    const { data } = await server.post<{ data: SessionEvent[] }>(`/v1/sessions/${id}/events`, {
      events: [{ type: 'user.interrupt', session_thread_id: child!.id }],
    })
    expect(data[0]).toMatchObject({ session_thread_id: child!.id, processed_at: expect.any(String) })
    await server.send(id, 'say on')
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'on' } })
  })

  test('H12 a subagent that is taken up again keeps its thread', async () => {
    const id = await worked('subagent known')
    await server.send(id, 'subagent known')
    await server.idle(id)
    const { data } = await threads(id)
    expect(data).toHaveLength(2)
    expect(data[1]).toMatchObject({ status: 'idle', turn_id: (await server.turns(id))[1]!.id })
    const own = await server.get<{ data: SessionEvent[] }>(`/v1/sessions/${id}/threads/${data[1]!.id}/events`)
    const types = own.data.map(({ type }) => type)
    expect(types.filter((type) => type === 'session.thread_created')).toHaveLength(1)
    expect(types.filter((type) => type === 'session.thread_status_running')).toHaveLength(2)
  })

  test('H13 the origin API does not take the words of a subagent for messages of the agent', async () => {
    const { session_id } = await server.post<{ session_id: string }>('/execute/', { prompt: 'subagent done' })
    await server.idle(session_id)
    const { messages } = await server.get<{ messages: unknown[] }>(`/status/${session_id}`)
    expect(JSON.stringify(messages)).not.toContain('inner words')
    expect(JSON.stringify(messages)).toContain('outer words')
  })
})
