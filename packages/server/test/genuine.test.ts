import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

/** A prompt that carries its own script. */
const scripted = (words: string, steps: Step[]) => `${words}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

/** End to end: the genuine `claude` binary, real tools and real files, against the scripted Messages endpoint. */
describe('with the genuine agent', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', model_stall_seconds: 3 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, CLAUDE_CODE_MAX_RETRIES: '2' } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const run = async (prompt: string, agent: object = {}, fields: object = {}) => {
    const { id } = await server.create(prompt, { agent: { type: 'inline', ...agent }, ...fields })
    return server.idle(id)
  }
  const types = async (id: string) => (await server.events(id)).map(({ type }) => type)
  const requestsOf = (uuid: string) => model.requests.list(uuid)
  const bypass = { permission_mode: 'bypassPermissions' }

  test('G1 the quick start introduces itself, says it is the demo model, and costs what the SDK says', async () => {
    const session = await run('I am a visitor. Please introduce yourself.')
    expect(session).toMatchObject({ status: 'idle', stop_reason: { type: 'end_turn' }, model_source: 'demo' })
    expect(session.result!.text).toContain('demo model')
    expect(session.usage.cost_usd).toBeGreaterThan(0)
    const log = (await types(session.id)).filter((type) => /^(span|agent|session\.(status|usage)|turn)/.test(type))
    expect(log).toEqual([
      'session.status_running',
      'turn.started',
      'span.model_request_start',
      'agent.message',
      'span.model_request_end',
      'turn.completed',
      'session.usage',
      'session.status_idle',
    ])
  })

  test('G2 tools really run in the workdir, and each result names its call', async () => {
    const steps: Step[] = [
      { tools: [{ name: 'Write', input: { file_path: 'note.txt', content: 'from the agent' } }] },
      { tools: [{ name: 'Bash', input: { command: 'cat note.txt; echo; pwd' } }] },
      { say: 'done' },
    ]
    const { id } = await server.create(null, { agent: { type: 'inline', ...bypass } })
    const { cwd } = await server.get<{ cwd: string }>(`/v1/sessions/${id}`)
    steps[0]!.tools![0]!.input.file_path = join(cwd, 'note.txt')
    await server.send(id, scripted('Write, then read', steps))
    const session = await server.idle(id)
    expect(session.result!.text).toBe('done')
    const events = await server.events(id)
    const uses = events.filter(({ type }) => type === 'agent.tool_use')
    const results = events.filter(({ type }) => type === 'agent.tool_result')
    expect(uses.map(({ name }) => name)).toEqual(['Write', 'Bash'])
    expect(results.map(({ tool_use_id, is_error }) => [tool_use_id, is_error])).toEqual(
      uses.map(({ id: use }) => [use, false]),
    )
    expect(results[1]!.content).toEqual([{ type: 'text', text: `from the agent\n${cwd}` }])
    expect(await readdir(cwd)).toEqual(['note.txt'])
  })

  test('G3 what policy does not allow is denied at once, with an event that names the call', async () => {
    const session = await run(
      scripted('Try', [{ tools: [{ name: 'Bash', input: { command: 'touch evil' } }] }, { say: 'ok' }]),
      {},
      { approvals: { timeout_seconds: 0 } },
    )
    const events = await server.events(session.id)
    const use = events.find(({ type }) => type === 'agent.tool_use')!
    const denied = events.find(({ type }) => type === 'agent.permission_denied')!
    expect(denied).toMatchObject({ tool_use_id: use.id, name: 'Bash' })
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, required_actions: [] })
    expect(await readdir(session.cwd)).toEqual([])
  })

  test.each(['default', 'bypassPermissions'])('G4 a question is denied at once in mode %s', async (permission_mode) => {
    const session = await run('Ask me a question', { permission_mode }, { approvals: { timeout_seconds: 0 } })
    expect(session.stop_reason).toEqual({ type: 'end_turn' })
    const denied = (await server.events(session.id)).filter(({ type }) => type === 'agent.permission_denied')
    expect(denied).toMatchObject([{ name: 'AskUserQuestion' }])
  })

  test('G5 several tools in one message each get their result; allowed_tools lets one run', async () => {
    const session = await run(
      scripted('Three', [
        {
          tools: [
            { name: 'Bash', input: { command: 'echo one' } },
            { name: 'Bash', input: { command: 'echo two' } },
            { name: 'Write', input: { file_path: '/tmp/never', content: '' } },
          ],
        },
        { say: 'ok' },
      ]),
      { allowed_tools: ['Bash'], permission_rules: [{ rule: 'Write', policy: 'deny' }] },
    )
    const results = (await server.events(session.id)).filter(({ type }) => type === 'agent.tool_result')
    expect(results.map(({ is_error }) => is_error).sort()).toEqual([false, false, true])
  })

  test('G6 a subagent shows as a thread, its work is paid for, and its words do not pass for the main agent', async () => {
    const session = await run('Start a subagent', bypass)
    const events = await server.events(session.id)
    const [created] = events.filter(({ type }) => type === 'session.thread_created')
    const [ended] = events.filter(({ type }) => type === 'session.thread_status_idle')
    expect(created!.session_thread_id).toMatch(/^sthr_/)
    expect(ended).toMatchObject({ session_thread_id: created!.session_thread_id, agent_name: created!.agent_name })
    const billed = requestsOf(session.uuid).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect(session.usage.output_tokens).toBe(billed)
  })

  test('G7 a resume needs nothing from the disk of the process that wrote the conversation', async () => {
    const session = await run('Please remember the word heron.')
    // The restart waits for the last process; nothing writes there any more.
    await server.restart()
    await rm(join(server.folder, 'data', 'sessions', session.uuid, 'claude'), { recursive: true })
    await server.send(session.id, scripted('And now?', [{ say: 'second' }]))
    const after = await server.idle(session.id)
    expect(after).toMatchObject({ last_error: null, result: { text: 'second' } })
    const last = requestsOf(session.uuid).at(-1)!
    expect(last.messageCount).toBeGreaterThan(2)
  })

  test('G8 passing failures of the endpoint are tried again and shown; the turn succeeds', async () => {
    const session = await run(scripted('Flaky', [{ fail: { status: 529, times: 1 }, say: 'made it' }]))
    expect(session).toMatchObject({ last_error: null, result: { text: 'made it' } })
    expect(await types(session.id)).toContain('session.status_rescheduled')
  })

  test.each([
    [401, 'model_request_failed_error'],
    [429, 'model_rate_limited_error'],
    [529, 'model_overloaded_error'],
    [500, 'model_request_failed_error'],
  ] as const)(
    'G9 an endpoint that always answers %i fails the turn with a typed error; the session goes on',
    async (status, type) => {
      const session = await run(scripted('Fail', [{ fail: { status } }]))
      expect(session).toMatchObject({
        status: 'idle',
        stop_reason: { type: 'retries_exhausted' },
        last_error: { type },
      })
      await server.send(session.id, scripted('Go on', [{ say: 'fine' }]))
      expect(await server.idle(session.id)).toMatchObject({ last_error: null, result: { text: 'fine' } })
    },
  )

  test.each([true, 'mid'] as const)(
    'G10 an endpoint that hangs (%s) ends the turn; the session goes on',
    async (hang) => {
      const session = await run(scripted('Hang', [{ hang, say: 'half' }]))
      expect(session.last_error).toMatchObject({ code: 'model_unreachable' })
      await server.send(session.id, scripted('Go on', [{ say: 'fine' }]))
      expect(await server.idle(session.id)).toMatchObject({ last_error: null, result: { text: 'fine' } })
    },
  )

  test('G11 a stream shows a message while it is written, under the id of the finished event', async () => {
    const { id } = await server.create(null)
    const response = await fetch(
      `${server.url}/v1/sessions/${id}/events/stream?until=idle&event_deltas[]=agent.message`,
    )
    await server.send(id, scripted('Slowly', [{ say: 'one two three four five six', stream: { chunk_ms: 20 } }]))
    const seen = (await response.text())
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => JSON.parse(line.slice(6)) as Record<string, unknown>)
    const start = seen.findIndex(({ type }) => type === 'event_start')
    const deltas = seen.filter(({ type }) => type === 'event_delta') as {
      event_id: string
      delta: { content: { text: string } }
    }[]
    const final = seen.find(({ type }) => type === 'agent.message') as unknown as {
      id: string
      content: { text: string }[]
    }
    expect(deltas.length).toBeGreaterThan(2)
    expect(new Set(deltas.map(({ event_id }) => event_id))).toEqual(new Set([final.id]))
    const previewed = deltas.map(({ delta }) => delta.content.text).join('')
    expect(final.content[0]!.text.startsWith(previewed)).toBe(true)
    expect(seen.findLastIndex(({ type }) => type === 'event_delta')).toBeLessThan(seen.indexOf(final as never))
    expect(seen[start - 1]!.type).toBe('span.model_request_start')
  })

  test('G12 an interrupt in the middle of a tool ends turn and tool, and the session goes on', async () => {
    const { id } = await server.create(
      scripted('Slow', [{ tools: [{ name: 'Bash', input: { command: 'while true; do sleep 1; done' } }] }]),
      {
        agent: { type: 'inline', ...bypass },
      },
    )
    await server.event(id, ({ type }) => type === 'agent.tool_use')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'interrupted' })
    await server.send(id, scripted('Go on', [{ say: 'fine' }]))
    expect((await server.idle(id)).result!.text).toBe('fine')
  })

  test('G13 max_turns ends a turn as max_turns, not as a failure', async () => {
    const steps: Step[] = Array.from({ length: 5 }, () => ({ tools: [{ name: 'Bash', input: { command: 'true' } }] }))
    const session = await run(scripted('Loop', steps), bypass, { limits: { max_turns: 2 } })
    expect(session).toMatchObject({ stop_reason: { type: 'max_turns' }, last_error: null })
  })

  test('G14 the agent sees a built environment: nothing of the server but what it needs, and what the caller added', async () => {
    const { id } = await server.create(
      scripted('Env', [{ tools: [{ name: 'Bash', input: { command: 'env' } }] }, { say: 'ok' }]),
      {
        agent: { type: 'inline', ...bypass },
        env: { MY_SETTING: 'mine' },
      },
    )
    await server.idle(id)
    const result = (await server.events(id)).find(({ type }) => type === 'agent.tool_result')!
    const text = (result.content as { text: string }[])[0]!.text
    expect(text).toContain('MY_SETTING=mine')
    expect(text).not.toMatch(/TROUPE_|VITEST|SECRET/)
  })

  test('G16 what cuts lines elsewhere cuts none between caller, agent, model and log, and outlives a resume', async () => {
    const odd = 'a\u0085b\u2028c\u2029d'
    const prompt = (n: number) =>
      scripted(`${odd} ${n}`, [
        { tools: [{ name: 'Bash', input: { command: String.raw`printf 'a\302\205b\342\200\250c\342\200\251d'` } }] },
        { say: `${odd} ${n}` },
      ])
    const session = await run(prompt(1), bypass)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: `${odd} 1` } })
    await server.restart()
    await server.send(session.id, prompt(2))
    expect(await server.idle(session.id)).toMatchObject({ result: { text: `${odd} 2` } })
    const results = (await server.events(session.id)).filter(({ type }) => type === 'agent.tool_result')
    expect(results.map(({ content }) => JSON.stringify(content).includes(odd))).toEqual([true, true])
    const heard = requestsOf(session.uuid!).map(({ lastUserText }) => lastUserText)
    expect(heard.at(-1)).toContain(`${odd} 2`)
    const transcript = await server.request('GET', `/v1/sessions/${session.id}/export?format=claude`)
    expect(transcript.text).toContain(String.raw`a\u0085b\u2028c\u2029d`)
    expect(transcript.text).not.toMatch(/[\u0085\u2028\u2029]/)
  })
})

test('G15 an endpoint that refuses connections fails the turn with a typed error; the demo model does not step in', async () => {
  const server = await testServer(
    { agent_executable: undefined },
    { env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9', CLAUDE_CODE_MAX_RETRIES: '1' } },
  )
  const { id } = await server.create('hello')
  expect(await server.idle(id)).toMatchObject({
    model_source: 'configured',
    stop_reason: { type: 'retries_exhausted' },
    last_error: { type: 'model_request_failed_error' },
  })
  await server.stop()
})
