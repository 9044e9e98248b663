import type { Session } from '@troupe/protocol/session'
import type { UsageReport } from '@troupe/protocol/usage-report'
import { type DemoModel, type RecordedRequest, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (words: string, steps: Step[]) => `${words}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
/** Figures in which a cent is easy to count: the default model's list price for 10,000 tokens of input. */
const usage = { input_tokens: 10_000, output_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
const bash = (command: string) => [{ name: 'Bash', input: { command } }]
const agent = { type: 'inline', permission_mode: 'bypassPermissions' }

/** Tokens and requests, as both sides count them. */
const FIGURES = ['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const
type Figures = Record<(typeof FIGURES)[number] | 'model_requests', number>

const billOf = (requests: RecordedRequest[]): Figures => ({
  ...(Object.fromEntries(
    FIGURES.map((figure) => [figure, requests.reduce((sum, request) => sum + (request.usage?.[figure] ?? 0), 0)]),
  ) as Figures),
  model_requests: requests.length,
})

/** What the scripted endpoint billed, beside what the ledger has: the genuine agent in between. */
describe('the ledger and the bill', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', model_stall_seconds: 30 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, CLAUDE_CODE_MAX_RETRIES: '2' } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const report = (query: string) => server.get<UsageReport>(`/v1/usage?${query}`)
  const ledgerOf = async (id: string): Promise<Figures & { cost_usd: number; unreported_requests: number }> =>
    (await report(`session_id=${id}`)).totals
  const figures = (from: Figures): Figures =>
    Object.fromEntries([...FIGURES, 'model_requests' as const].map((name) => [name, from[name]])) as Figures

  /** The turns, the session and the ledger say the same; answers what they say. */
  const agreed = async (id: string) => {
    const session = await server.get<Session>(`/v1/sessions/${id}`)
    const turns = await server.turns(id)
    const ledger = await report(`session_id=${id}&group_by[]=turn`)
    for (const turn of turns.filter(({ usage }) => usage && usage.input_tokens + usage.unreported_requests > 0)) {
      const row = ledger.data.find(({ group }) => group.turn === turn.id)!
      for (const figure of [...FIGURES, 'cost_usd', 'unreported_requests'] as const)
        expect([turn.number, figure, row[figure]]).toEqual([turn.number, figure, turn.usage![figure]])
      expect(row.model_requests).toBe(turn.model_requests)
    }
    for (const figure of [...FIGURES, 'cost_usd', 'unreported_requests'] as const)
      expect([figure, session.usage[figure]]).toEqual([figure, ledger.totals[figure]])
    return { session, turns, totals: ledger.totals }
  }

  /** kill -9 of a session's agent, from outside. */
  const killAgent = (uuid: string) => {
    const folder = join(server.folder, 'data', 'agents')
    for (const pid of readdirSync(folder))
      if (readFileSync(join(folder, pid), 'utf8').includes(uuid)) process.kill(-Number(pid), 'SIGKILL')
  }

  test('M1 several turns, tools, a subagent and a resume after the agent has left cost what the endpoint billed', async () => {
    const { id, uuid } = await server.create(scripted('Tools', [{ tools: bash('echo one') }, { say: 'two' }]), {
      agent,
    })
    await server.idle(id)
    await server.send(id, 'Start a subagent')
    await server.idle(id)
    await server.restart()
    await server.send(id, scripted('Again', [{ say: 'three' }]))
    await server.idle(id)
    const { totals, turns } = await agreed(id)
    const requests = model.requests.list(uuid)
    expect(figures(totals)).toEqual(billOf(requests))
    expect(totals).toMatchObject({ turns: 3, unreported_requests: 0, guessed_cost_usd: 0 })
    expect(turns.map(({ model_requests }) => model_requests)).toEqual([2, 4, 1])
    expect(turns[1]!.usage!.output_tokens).toBe(billOf(requests.slice(2, 6)).output_tokens)
    expect(totals.cost_usd).toBeGreaterThan(0)
  })

  test('M2 a turn that was interrupted in a tool has cost what was billed, and so has the next one', async () => {
    const { id, uuid } = await server.create(scripted('Slow', [{ tools: bash('while true; do sleep 1; done') }]), {
      agent,
    })
    await server.event(id, ({ type }) => type === 'agent.tool_use')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
    await server.send(id, scripted('On', [{ say: 'fine' }]))
    await server.idle(id)
    const { totals } = await agreed(id)
    expect(figures(totals)).toEqual(billOf(model.requests.list(uuid)))
    expect(totals.unreported_requests).toBe(0)
  })

  test('M3 of an agent that is killed in a request what it had reported is in the ledger, and the request is marked', async () => {
    const { id, uuid } = await server.create(scripted('First', [{ say: 'one', usage }]), { agent })
    await server.idle(id)
    await server.send(id, scripted('Second', [{ say: 'two', usage }]))
    await server.idle(id)
    await server.send(
      id,
      scripted('Third', [
        { tools: bash('echo hi'), usage },
        { hang: 'mid', say: 'a b c d', usage },
      ]),
    )
    await model.nextRequest(({ sessionId, lastUserText, step, status }) =>
      Boolean(sessionId === uuid && lastUserText?.startsWith('Third') && step === 1 && status === 200),
    )
    // The first two turns, and the first request of this one.
    await expect.poll(async () => (await ledgerOf(id)).input_tokens).toBe(30_000)
    killAgent(id)
    expect((await server.idle(id)).last_error).toMatchObject({ code: 'process_crashed' })
    const { turns, totals } = await agreed(id)
    expect(turns[2]!.usage).toMatchObject({ unreported_requests: 1, input_tokens: 10_000 })
    expect(turns[2]).toMatchObject({ status: 'failed', model_requests: 2 })
    const billed = model.requests.list(uuid)
    expect(figures(totals)).toEqual({ ...billOf(billed.slice(0, 3)), model_requests: 4 })
    expect(billed).toHaveLength(4)
  })

  test('M4 the turn after a killed one costs what it costs, though the agent has forgotten what came before', async () => {
    const { id, uuid } = await server.create(scripted('First', [{ say: 'one', usage }]), { agent })
    await server.idle(id)
    await server.send(id, scripted('Second', [{ tools: bash('while true; do sleep 1; done'), usage }]))
    await server.event(id, ({ type }) => type === 'agent.tool_use')
    // Until the request is in the ledger; then the tool is all that is lost.
    await expect.poll(async () => (await ledgerOf(id)).input_tokens).toBe(20_000)
    killAgent(id)
    await server.idle(id)
    await server.send(id, scripted('Third', [{ say: 'three', usage }]))
    await server.idle(id)
    const { totals, turns } = await agreed(id)
    expect(turns.map(({ usage: used }) => used!.input_tokens)).toEqual([10_000, 10_000, 10_000])
    expect(new Set(turns.map(({ usage: used }) => used!.cost_usd)).size).toBe(1)
    expect(figures(totals)).toEqual(billOf(model.requests.list(uuid)))
    expect(totals.unreported_requests).toBe(0)
  })

  test('M5 a budget stops between two requests, and the session goes on by itself when it is raised', async () => {
    const steps: Step[] = [
      { tools: bash('echo 1 >> steps'), usage },
      { tools: bash('echo 2 >> steps'), usage },
      { tools: bash('echo 3 >> steps'), usage },
      { say: 'end', usage },
    ]
    const { id, uuid, cwd } = await server.create(null, {
      agent,
      budget: { type: 'limit', max_list_cost: { amount: '6', currency: 'USD' } },
    })
    model.script(uuid, steps)
    await server.send(id, 'Count')
    const stopped = await server.idle(id)
    expect(stopped).toMatchObject({
      status: 'idle',
      stop_reason: { type: 'budget_reached' },
      last_error: null,
      budget: { max_list_cost: { amount: '6' }, spent: { amount: '8' } },
    })
    expect(model.requests.list(uuid)).toHaveLength(2)
    expect(readFileSync(join(cwd, 'steps'), 'utf8')).not.toContain('3')
    const refused = await server.request('POST', `/v1/sessions/${id}/events`, {
      events: [{ type: 'user.message', content: 'more' }],
    })
    expect(refused).toMatchObject({ status: 400, body: { code: 'budget_reached' } })
    const low = { budget: { type: 'limit', max_list_cost: { amount: '8', currency: 'USD' } } }
    expect((await server.request('POST', `/v1/sessions/${id}`, low)).body.code).toBe('budget_not_raised')
    model.script(uuid, [
      { tools: bash('echo again >> steps'), usage },
      { say: 'went on', usage },
    ])
    await server.post(`/v1/sessions/${id}`, {
      budget: { type: 'limit', max_list_cost: { amount: '100', currency: 'USD' } },
    })
    const done = await server.idle(id)
    expect(done).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'went on' } })
    expect(done.prompt).toBe('Count')
    const told = (await server.events(id)).find(({ type }) => type === 'system.message')!
    expect(told.processed_at).not.toBeNull()
    const { turns } = await agreed(id)
    expect(turns.map(({ status, stop_reason }) => [status, stop_reason!.type])).toEqual([
      ['completed', 'budget_reached'],
      ['completed', 'end_turn'],
    ])
    expect(figures(await ledgerOf(id))).toEqual(billOf(model.requests.list(uuid)))
  })

  test('M6 a subagent stops at the budget too', async () => {
    // Room for the first request, which is much like this one, and for no more than a part of the second.
    const { cost_usd } = (await server.idle((await server.create('hello', { agent })).id)).usage
    const amount = String(Math.ceil(cost_usd * 100 * 1.2))
    const { id, uuid } = await server.create('Start a subagent', {
      agent,
      budget: { type: 'limit', max_list_cost: { amount, currency: 'USD' } },
    })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'budget_reached' })
    const { totals } = await agreed(id)
    // The main agent never hears of it: a request of the subagent that was on its way is marked.
    const { unreported_requests: marked } = totals
    const asked = model.requests.list(uuid)
    expect(asked.map(({ agentId }) => agentId !== null).slice(0, 2)).toEqual([false, true])
    expect(asked.length).toBeLessThan(4)
    const reported = [asked.length, asked.length - marked].map((count) => billOf(asked.slice(0, count)).input_tokens)
    expect(reported).toContain(totals.input_tokens)
  })

  test('M7 a turn ends with its time, in the middle of a tool, and the session goes on', async () => {
    const { id } = await server.create(scripted('Slow', [{ tools: bash('while true; do sleep 1; done') }]), {
      agent,
      limits: { turn_timeout_seconds: 8 },
    })
    expect(await server.idle(id)).toMatchObject({
      stop_reason: { type: 'timeout' },
      last_error: { code: 'turn_timeout' },
      limits: { turn_timeout_seconds: 8 },
    })
    expect((await server.turns(id))[0]).toMatchObject({ status: 'failed', stop_reason: { type: 'timeout' } })
    await server.send(id, scripted('On', [{ say: 'fine' }]))
    expect((await server.idle(id)).result!.text).toBe('fine')
  })

  test('M8 each turn says how it met the prompt cache, and why it missed', async () => {
    const first = { say: 'one', usage: { cache_read_input_tokens: 0, cache_creation_input_tokens: 5_000 } }
    const { id } = await server.create(scripted('First', [first]), { agent })
    await server.idle(id)
    const says = (read: number, created: number) =>
      scripted('Next', [{ say: 'x', usage: { cache_read_input_tokens: read, cache_creation_input_tokens: created } }])
    for (const prompt of [says(5_000, 100), says(0, 6_000), says(0, 0)]) {
      await server.send(id, prompt)
      await server.idle(id)
    }
    const caches = (await server.turns(id)).map(({ cache }) => cache)
    expect(caches).toEqual([
      { status: 'miss', reason: 'first_turn' },
      { status: 'hit', reason: null },
      { status: 'miss', reason: 'unknown' },
      { status: 'none', reason: null },
    ])
    const told = (await server.events(id)).filter(({ type }) => type === 'turn.completed').map(({ cache }) => cache)
    expect(told).toEqual(caches)
  })

  test('M8 what was written to the cache is told by how long it lives', async () => {
    const { id, uuid } = await server.create('hello', { agent })
    const { usage: used } = await server.idle(id)
    const billed = model.requests.list(uuid).map(({ usage }) => (usage as unknown as typeof used).cache_creation)
    expect(used.cache_creation_input_tokens).toBeGreaterThan(0)
    expect([used.cache_creation]).toEqual(billed)
  })

  test.each([
    ['model_changed', { model: 'haiku' }],
    ['system_changed', { system_prompt: 'Be brief.' }],
    ['tools_changed', { disallowed_tools: ['WebSearch'] }],
  ])('M9 a resume that missed because of %s says so', async (reason, changed) => {
    const step = (read: number) => ({
      say: 'x',
      usage: { cache_read_input_tokens: read, cache_creation_input_tokens: 5_000 },
    })
    const { session_id } = await server.post<{ session_id: string }>('/execute/', {
      prompt: scripted('One', [step(0)]),
    })
    await server.idle(session_id)
    await server.post('/execute/', { prompt: scripted('Two', [step(0)]), resume_session_id: session_id, ...changed })
    await server.idle(session_id)
    expect((await server.turns(session_id)).at(-1)!.cache).toEqual({ status: 'miss', reason })
  })
})
