import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Approval, Grant } from '@troupe/protocol/approval'
import type { Session } from '@troupe/protocol/session'
import Anthropic from 'anthropic-sdk-1.12'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../src/store/store.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })
const QUESTION = {
  name: 'AskUserQuestion',
  input: {
    questions: [
      {
        question: 'Which colour?',
        header: 'Colour',
        multiSelect: false,
        options: [
          { label: 'Red', description: 'like fire' },
          { label: 'Blue', description: 'like water' },
        ],
      },
    ],
  },
}

/** With the genuine binary: what policy asks about waits without a process, and its answer reaches the very same call. */
describe('approvals', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', max_running: 2 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const asked = async (steps: Step[], fields: Record<string, unknown> = {}): Promise<Session> => {
    const { id } = await server.create(scripted(steps), fields)
    const session = await server.idle(id)
    expect(session.stop_reason?.type).toBe('requires_action')
    return session
  }
  const answer = (id: string, body: object) => server.post<Approval>(`/v1/approvals/${id}`, body)
  const refused = (id: string, body: object) => server.request('POST', `/v1/approvals/${id}`, body)
  const idOf = (session: Session) => session.required_actions[0]!.event_id
  /** Idle again after an answer: not the idle that was there before it. */
  const next = async (id: string): Promise<Session> => server.idle(id)
  const results = async (id: string) =>
    (await server.events(id)).filter(({ type }) => type === 'agent.tool_result') as unknown as {
      content: { text: string }[]
      is_error: boolean
      tool_use_id: string
    }[]
  const transcript = async (id: string) => (await server.app.store.loadTranscript(id, '')).join('\n')
  const agents = async () => (await readdir(join(server.folder, 'data', 'agents')).catch(() => [])).length

  test('A1 a call that policy asks about is parked: the session is idle, no process is left, the slot is free', async () => {
    const session = await asked([bash('echo hi > made.txt'), { say: 'done' }])
    expect(session).toMatchObject({ status: 'idle', queue: null, last_error: null })
    expect(session.required_actions).toMatchObject([
      { type: 'tool_confirmation', tool_name: 'Bash', input: { command: 'echo hi > made.txt' }, expires_at: null },
    ])
    expect(session.stop_reason).toEqual({ type: 'requires_action', event_ids: [idOf(session)] })
    const [turn] = await server.turns(session.id)
    expect(turn!.status).toBe('waiting')
    expect(await agents()).toBe(0)
    const pending = await server.get<{ data: Approval[] }>(`/v1/approvals?session_id=${session.id}`)
    expect(pending.data).toMatchObject([
      { id: idOf(session), status: 'pending', kind: 'tool_confirmation', held: false },
    ])
    expect(existsSync(join(session.cwd, 'made.txt'))).toBe(false)
    await answer(idOf(session), { result: 'deny' })
    await next(session.id)
  })

  test('A2 an allowed call is the very same call: it runs once, and its turn goes on to its end', async () => {
    const session = await asked([bash('echo once >> made.txt; cat made.txt'), { say: 'done' }])
    const use = (await server.events(session.id)).find(({ id }) => id === idOf(session))!
    expect(use).toMatchObject({ type: 'agent.tool_use', evaluated_permission: 'ask' })
    const decided = await answer(idOf(session), { result: 'allow', actor: 'kim' })
    expect(decided).toMatchObject({ status: 'allowed', actor: 'kim', decision: { result: 'allow' } })
    const after = await next(session.id)
    expect(after).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'done' }, required_actions: [] })
    expect(await results(session.id)).toMatchObject([{ tool_use_id: use.id, content: [{ text: 'once' }] }])
    const events = await server.events(session.id)
    const log = events.filter(({ type }) => /^(user\.tool|session\.status|turn)/.test(type)).map(({ type }) => type)
    expect(log).toEqual([
      'session.status_running',
      'turn.started',
      'session.status_idle',
      'user.tool_confirmation',
      'session.status_running',
      'turn.resumed',
      'turn.completed',
      'session.status_idle',
    ])
    const verdict = events.find(({ type }) => type === 'user.tool_confirmation')!
    expect(verdict).toMatchObject({ tool_use_id: use.id, result: 'allow', actor: 'kim' })
    expect(verdict.processed_at).not.toBeNull()
    expect(await server.turns(session.id)).toHaveLength(1)
  })

  test('A3 of many answers at once exactly one wins; the others are told so', async () => {
    const session = await asked([bash('echo x'), { say: 'done' }])
    const id = idOf(session)
    const event = { type: 'user.tool_confirmation', tool_use_id: id, result: 'deny' }
    const replies = await Promise.all([
      ...Array.from({ length: 5 }, () => refused(id, { result: 'allow' })),
      ...Array.from({ length: 5 }, () =>
        server.request('POST', `/v1/sessions/${session.id}/events`, { events: [event] }),
      ),
    ])
    const statuses = replies.map(({ status, body }) => (status === 200 ? 'ok' : body.code))
    expect(statuses.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'approval_not_pending'), 'ok'])
    await next(session.id)
    const verdicts = (await server.events(session.id)).filter(({ type }) => type === 'user.tool_confirmation')
    expect(verdicts).toHaveLength(1)
  })

  test('A4 a refusal reaches the model with its words, and the call does not run', async () => {
    const session = await asked([bash('touch evil'), { say: 'understood' }])
    await answer(idOf(session), { result: 'deny', deny_message: 'use mkdir instead' })
    expect(await next(session.id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'understood' } })
    const [result] = await results(session.id)
    expect(result!.is_error).toBe(true)
    expect(result!.content[0]!.text).toContain('use mkdir instead')
    expect(existsSync(join(session.cwd, 'evil'))).toBe(false)
  })

  test('A5 a call runs with the input a person edited, also where permissions are bypassed', async () => {
    const rules = [{ rule: 'Bash(echo *)', policy: 'always_ask' }]
    const session = await asked([bash('echo original'), { say: 'done' }], {
      agent: { type: 'inline', permission_mode: 'bypassPermissions', permission_rules: rules },
    })
    await answer(idOf(session), { result: 'allow', updated_input: { command: 'echo edited' } })
    await next(session.id)
    expect((await results(session.id))[0]!.content[0]!.text).toBe('edited')
  })

  test('A6 what is remembered for a session, or for all of an agent, is not asked again; a grant can be taken back', async () => {
    const steps = [bash('echo again'), { say: 'done' }]
    const session = await asked(steps)
    const { remember_rule } = await server.get<Approval>(`/v1/approvals/${idOf(session)}`)
    expect(remember_rule).toBe('Bash(=echo again)')
    await answer(idOf(session), { result: 'allow', remember: 'session' })
    await next(session.id)
    await server.send(session.id, scripted(steps))
    expect((await server.idle(session.id)).stop_reason).toEqual({ type: 'end_turn' })

    const other = await asked(steps)
    await answer(idOf(other), { result: 'allow', remember: 'always', actor: 'kim' })
    await next(other.id)
    const { id: third } = await server.create(scripted(steps))
    expect((await server.idle(third)).stop_reason).toEqual({ type: 'end_turn' })
    const { data } = await server.get<{ data: Grant[] }>('/v1/grants?agent_id=agent_default')
    expect(data).toMatchObject([{ scope: 'agent', rule: 'Bash(=echo again)', actor: 'kim', session_id: null }])
    expect((await server.request('DELETE', `/v1/grants/${data[0]!.id}`)).status).toBe(200)
    expect((await server.request('DELETE', `/v1/grants/${data[0]!.id}`)).body.code).toBe('grant_not_found')
    const { id: fourth } = await asked(steps)
    await server.post(`/v1/sessions/${fourth}/archive`)
  })

  test('A7 a question waits like an approval and is answered by its label, by an event or in the inbox', async () => {
    for (const by of ['event', 'inbox', 'text']) {
      const session = await asked([{ tools: [QUESTION] }, { say: 'thanks' }])
      expect(session.required_actions).toMatchObject([{ type: 'question', tool_name: 'AskUserQuestion' }])
      const id = idOf(session)
      const use = (await server.events(session.id)).find((event) => event.id === id)!
      expect(use).toMatchObject({ type: 'agent.custom_tool_use', name: 'AskUserQuestion' })
      const content = by === 'text' ? 'Blue' : JSON.stringify({ answers: { 'Which colour?': 'Blue' } })
      if (by === 'inbox') await answer(id, { result: 'allow', answers: { 'Which colour?': 'Blue' } })
      else
        await server.post(`/v1/sessions/${session.id}/events`, {
          events: [
            { type: 'user.custom_tool_result', custom_tool_use_id: id, content: [{ type: 'text', text: content }] },
          ],
        })
      expect((await next(session.id)).result).toMatchObject({ text: 'thanks' })
      // The agent's own words for an answer; the question with its labels stands in the prompt too.
      expect(await transcript(session.id)).toMatch(/Which colour\?[\\"]+=[\\"]+Blue/)
    }
  })

  test('A8 of several calls in one message one is parked and none is lost', async () => {
    const two = [
      { name: 'Bash', input: { command: 'echo one >> log.txt' } },
      { name: 'Bash', input: { command: 'echo two >> log.txt' } },
    ]
    const session = await asked([{ tools: two }, { tools: [two[1]!] }, { say: 'done' }])
    expect(session.required_actions).toHaveLength(1)
    expect(session.required_actions[0]!.input).toEqual(two[0]!.input)
    await answer(idOf(session), { result: 'allow' })
    const second = await next(session.id)
    expect(second.required_actions).toMatchObject([{ input: two[1]!.input }])
    await answer(idOf(second), { result: 'allow' })
    expect(await next(session.id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'done' } })
    const ran = (await results(session.id)).filter(({ is_error }) => !is_error)
    expect(ran).toHaveLength(2)
  })

  test('A9 answers of the wrong kind are refused and change nothing', async () => {
    const session = await asked([bash('echo x'), { say: 'done' }])
    const id = idOf(session)
    const bad: [object, string][] = [
      [{ result: 'maybe' }, 'validation_failed'],
      [{}, 'validation_failed'],
      [{ result: 'deny', remember: 'session' }, 'validation_failed'],
      [{ result: 'deny', updated_input: {} }, 'validation_failed'],
      [{ result: 'allow', interrupt: true }, 'validation_failed'],
      [{ result: 'allow', updated_input: { command: 'x'.repeat(1_100_000) } }, 'validation_failed'],
    ]
    for (const [body, code] of bad)
      expect((await refused(id, body)).body.code, JSON.stringify(body).slice(0, 80)).toBe(code)
    const wrong = { type: 'user.custom_tool_result', custom_tool_use_id: id, content: [] }
    const reply = await server.request('POST', `/v1/sessions/${session.id}/events`, { events: [wrong] })
    expect(reply.body.code).toBe('validation_failed')
    expect((await refused('sevt_nothing', { result: 'allow' })).body.code).toBe('approval_not_found')
    expect((await server.get<Approval>(`/v1/approvals/${id}`)).status).toBe('pending')
    await answer(id, { result: 'deny', interrupt: true })
    expect((await next(session.id)).stop_reason).toEqual({ type: 'interrupted' })
  })

  test('A10 at its deadline a call is refused or its turn ends, as the session says', async () => {
    const steps = [bash('touch evil'), { say: 'went on' }]
    const approvals = (on_timeout: string) => ({ approvals: { timeout_seconds: 1, on_timeout } })
    const [denied, ended] = await Promise.all([asked(steps, approvals('deny')), asked(steps, approvals('interrupt'))])
    await server.event(denied.id, ({ type }) => type === 'turn.completed')
    const after = await server.idle(denied.id)
    expect(after.result!.text).toBe('went on')
    expect((await results(denied.id))[0]!.content[0]!.text).toContain('Nobody answered')
    await server.event(ended.id, ({ type }) => type === 'turn.cancelled')
    expect((await server.get<Session>(`/v1/sessions/${ended.id}`)).stop_reason).toEqual({ type: 'interrupted' })
    for (const { id, cwd } of [denied, ended]) {
      const { data } = await server.get<{ data: Approval[] }>(`/v1/approvals?status=all&session_id=${id}`)
      expect(data.map(({ status }) => status)).toEqual(['expired'])
      expect(existsSync(join(cwd, 'evil'))).toBe(false)
    }
  })

  test('A11 a held call is answered in its living process; when the hold is over it is parked and still answered', async () => {
    const held = await asked([bash('echo quick'), { say: 'done' }], { approvals: { hold_seconds: 60 } })
    expect(await server.get<Approval>(`/v1/approvals/${idOf(held)}`)).toMatchObject({ held: true })
    expect(await agents()).toBe(1)
    await answer(idOf(held), { result: 'allow' })
    expect(await next(held.id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'done' } })
    expect((await server.events(held.id)).map(({ type }) => type)).not.toContain('turn.resumed')

    const slow = await asked([bash('echo slow'), { say: 'done' }], { approvals: { hold_seconds: 1 } })
    await expect.poll(agents).toBe(0)
    expect(await server.get<Session>(`/v1/sessions/${slow.id}`)).toMatchObject({ status: 'idle' })
    await answer(idOf(slow), { result: 'allow' })
    expect(await next(slow.id)).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'done' } })
    expect((await results(slow.id))[0]!.content[0]!.text).toBe('slow')
  })

  test('A12 a message that comes while a call waits waits behind it; an interrupt ends the wait, and the call never runs', async () => {
    const session = await asked([bash('touch evil'), { say: 'done' }])
    await server.send(session.id, scripted([{ say: 'second' }]))
    expect(await server.get<Session>(`/v1/sessions/${session.id}`)).toMatchObject({
      status: 'idle',
      stop_reason: { type: 'requires_action' },
    })
    await answer(idOf(session), { result: 'deny' })
    await server.event(
      session.id,
      ({ type, output }) => type === 'turn.completed' && JSON.stringify(output).includes('second'),
    )

    const other = await asked([bash('touch evil'), { say: 'done' }])
    await server.post(`/v1/sessions/${other.id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect(await server.idle(other.id)).toMatchObject({ stop_reason: { type: 'interrupted' }, required_actions: [] })
    expect((await refused(idOf(other), { result: 'allow' })).body.code).toBe('approval_not_pending')
    await server.send(other.id, scripted([{ say: 'after' }]))
    expect((await server.idle(other.id)).result!.text).toBe('after')
    expect(existsSync(join(other.cwd, 'evil'))).toBe(false)
  })

  test('A13 a parked call outlives its server, and is answered on the next one', async () => {
    const session = await asked([bash('echo survived'), { say: 'done' }])
    await server.restart()
    expect(await server.get<Session>(`/v1/sessions/${session.id}`)).toMatchObject({ status: 'idle' })
    await answer(idOf(session), { result: 'allow' })
    expect((await next(session.id)).result!.text).toBe('done')
    expect((await results(session.id))[0]!.content[0]!.text).toBe('survived')
    const held = await asked([bash('echo drained'), { say: 'done' }], { approvals: { hold_seconds: 600 } })
    await server.restart()
    expect(await server.get<Approval>(`/v1/approvals/${idOf(held)}`)).toMatchObject({ status: 'pending', held: false })
    await answer(idOf(held), { result: 'allow' })
    expect((await next(held.id)).result!.text).toBe('done')
  })

  test('C1 a tool of the client is told, waits, and goes on with what the client gave back, over a restart too', async () => {
    const weather = {
      type: 'custom',
      name: 'get_weather',
      description: 'The weather of a place',
      input_schema: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
    }
    const call = { name: 'mcp__client__get_weather', input: { place: 'Oslo' } }
    const session = await asked([{ tools: [call] }, { say: 'done' }], { agent: { type: 'inline', tools: [weather] } })
    expect(session.required_actions).toMatchObject([
      { type: 'custom_tool_result', tool_name: 'get_weather', input: { place: 'Oslo' } },
    ])
    await server.restart()
    await server.post(`/v1/sessions/${session.id}/events`, {
      events: [
        {
          type: 'user.custom_tool_result',
          custom_tool_use_id: idOf(session),
          content: [{ type: 'text', text: '7 degrees and rain' }],
        },
      ],
    })
    expect((await next(session.id)).result).toMatchObject({ text: 'done' })
    const events = await server.events(session.id)
    expect(events.filter(({ type }) => type === 'agent.custom_tool_use')).toMatchObject([{ name: 'get_weather' }])
    expect(events.map(({ type }) => type)).not.toContain('agent.mcp_tool_result')
    expect(await transcript(session.id)).toContain('7 degrees and rain')
    const inside = await server.request('POST', `/internal/client-tools/${session.id}`, {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
    })
    expect(inside.status).toBe(404)
  })

  test('A14 while a call is held its session can be neither archived nor erased; parked it can', async () => {
    const held = await asked([bash('echo x'), { say: 'done' }], { approvals: { hold_seconds: 600 } })
    const path = `/v1/sessions/${held.id}`
    expect((await server.request('POST', `${path}/archive`)).body.code).toBe('session_running')
    expect((await server.request('DELETE', path)).body.code).toBe('session_running')
    await answer(idOf(held), { result: 'allow' })
    expect((await next(held.id)).result!.text).toBe('done')
    const parked = await asked([bash('touch evil'), { say: 'done' }])
    await server.post(`/v1/sessions/${parked.id}/archive`)
    expect((await refused(idOf(parked), { result: 'allow' })).body.code).toBe('approval_not_pending')
    const ends = (await server.events(parked.id)).filter(
      ({ type }) => type.startsWith('turn.') && type !== 'turn.started',
    )
    expect(ends.map(({ type }) => type)).toEqual(['turn.cancelled'])
  })

  test('A9 an answer to a question holds words, not things', async () => {
    const session = await asked([{ tools: [QUESTION] }, { say: 'thanks' }])
    for (const text of [
      '{"answers": {"Which colour?": 7}}',
      '{"Which colour?": {"label": "Blue"}}',
      '{"answers": null}',
    ]) {
      const event = { type: 'user.custom_tool_result', custom_tool_use_id: idOf(session), content: text }
      const reply = await server.request('POST', `/v1/sessions/${session.id}/events`, { events: [event] })
      expect(reply.body.code, text).toBe('validation_failed')
    }
    await server.post(`/v1/sessions/${session.id}/archive`)
  })

  test("C2 the official SDK's tool runner plays a client's tools as it does with the hosted API", async () => {
    const client = new Anthropic({ apiKey: 'any', baseURL: server.url })
    const tool = {
      name: 'get_weather',
      description: 'The weather of a place',
      input_schema: { type: 'object' as const, properties: { place: { type: 'string' } } },
      run: (input: unknown) => `Rain in ${(input as { place: string }).place}`,
      parse: (input: unknown) => input,
    }
    const { name, description, input_schema } = tool
    const call = { name: 'mcp__client__get_weather', input: { place: 'Oslo' } }
    const { id } = await server.create(scripted([{ tools: [call] }, { say: 'done' }]), {
      agent: { type: 'inline', tools: [{ type: 'custom', name, description, input_schema }] },
    })
    const calls: string[] = []
    const runner = client.beta.sessions.events.toolRunner(id, { tools: [tool as never], maxIdleMs: 500 })
    for await (const { name: called } of runner) calls.push(called)
    expect(calls).toEqual(['get_weather'])
    expect((await next(id)).result).toMatchObject({ text: 'done' })
    expect(await transcript(id)).toContain('Rain in Oslo')
  })
})

describe('through the origin API', () => {
  test('O16 a session that waits for an answer is running, says what it requires, and goes on when it is given', async () => {
    const model = await startDemoModel()
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on', origin_approval_seconds: 600 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
    const prompt = scripted([bash('echo made > made.txt'), { say: 'done' }])
    const { session_id: id } = await server.post<{ session_id: string }>('/execute/', { prompt })
    await server.event(id, ({ type }) => type === 'session.status_idle')
    const waiting = await server.get<{ required_actions: { event_id: string }[] }>(`/status/${id}`)
    expect(waiting).toMatchObject({
      status: 'running',
      required_actions: [{ type: 'tool_confirmation', tool_name: 'Bash', input: { command: 'echo made > made.txt' } }],
    })
    const running = { status: 400, body: { detail: `Session ${id} is currently running` } }
    expect(await server.request('POST', '/execute/', { prompt: 'more', resume_session_id: id })).toMatchObject(running)
    expect(await server.request('DELETE', `/sessions/${id}`)).toMatchObject(running)
    await server.post(`/v1/approvals/${waiting.required_actions[0]!.event_id}`, { result: 'allow' })
    await server.event(id, ({ type }) => type === 'turn.completed')
    expect(await server.get(`/status/${id}`)).toMatchObject({ status: 'completed', required_actions: [] })
    await server.stop()
    await model.close()
  })
})

describe('an answer on its way', () => {
  test('A15 an interrupt that comes while a run is taking up an answered call ends the turn; the call never runs', async () => {
    const model = await startDemoModel()
    let meanwhile: (() => Promise<unknown>) | null = null
    // What happens between the run's look at the session and its taking of the turn.
    const wrapStore = (store: Store): Store =>
      new Proxy(store, {
        get(target, field) {
          const value = Reflect.get(target, field, target) as unknown
          if (typeof value !== 'function') return value
          if (field !== 'readEvent') return value.bind(target) as unknown
          return async (...args: Parameters<Store['readEvent']>) => {
            const row = await target.readEvent(...args)
            const now = row?.type === 'user.message' ? meanwhile : null
            if (now) {
              meanwhile = null
              await now()
            }
            return row
          }
        },
      })
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined }, wrapStore },
    )
    const { id, cwd } = await server.create(scripted([bash('touch evil'), { say: 'done' }]))
    const waiting = await server.idle(id)
    meanwhile = () => server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    await server.post(`/v1/approvals/${waiting.required_actions[0]!.event_id}`, { result: 'allow' })
    await server.event(id, ({ type }) => type === 'turn.cancelled' || type === 'turn.completed')
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'interrupted' } })
    expect(existsSync(join(cwd, 'evil'))).toBe(false)
    await server.send(id, scripted([{ say: 'usable' }]))
    expect((await server.idle(id)).result!.text).toBe('usable')

    // The same moment of a turn that waits for its turn: what the agent gets is what stands in the log.
    meanwhile = async () => {
      const { data } = await server.get<{ data: { event_id: string }[] }>(`/v1/sessions/${id}/inputs`)
      await server.post(`/v1/sessions/${id}/inputs/${data[0]!.event_id}`, { content: scripted([{ say: 'edited' }]) })
    }
    await server.send(id, scripted([{ say: 'as first written' }]))
    expect((await server.idle(id)).result!.text).toBe('edited')
    await server.stop()
    await model.close()
  })
})
