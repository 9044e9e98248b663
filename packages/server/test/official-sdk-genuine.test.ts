import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Anthropic } from 'anthropic-sdk-1.12'
import { all, Anthropic088, counted, GENERATIONS, say } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: object[]) => `Go\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const AGENT = { type: 'inline', permission_mode: 'bypassPermissions' }

describe.each(GENERATIONS)('a restart under the official SDK $version', ({ Client }) => {
  let model: DemoModel
  let server: TestServer
  const serverOf = (drain_seconds: number) =>
    testServer(
      { agent_executable: undefined, demo_model: 'on', drain_seconds },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  beforeAll(async () => {
    model = await startDemoModel()
    server = await serverOf(0)
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const restart = (of: TestServer) => of.restart({ port: Number(new URL(of.url).port) })

  test('W19 changes nothing that a client sees but a reconnect: events, pages, and the turn that goes on', async () => {
    const { sessions } = new Client({ ...counted(server.url).options, maxRetries: 5 }).beta
    const steps = [
      bash('echo one'),
      { tools: [{ name: 'Read', input: { file_path: 'none.txt' } }] },
      { say: 'written slowly, word by word, to be cut', stream: { chunk_ms: 400 } },
    ]
    const { id } = await sessions.create({
      agent: AGENT as unknown as string,
      environment_id: 'env_default',
      initial_events: [say(scripted(steps))],
    })
    const seen = new Map<string, string>()
    let requests = 0
    // Read as it comes, until the connection ends with its server.
    const first = await sessions.events.stream(id)
    const cut = (async () => {
      for await (const event of first) {
        if ('id' in event) seen.set(event.id, event.type)
        if (event.type === 'span.model_request_start') requests++
      }
    })().catch(() => undefined)
    await expect.poll(() => requests).toBe(3)
    const transcript = async () => (await server.app.store.loadTranscript(id, '')).join('\n')
    await expect.poll(transcript).toMatch(/tool_result.*\n.*tool_result/s)
    const page = await sessions.events.list(id, { limit: 3 })
    await restart(server)
    await cut
    for await (const event of await sessions.events.stream(id)) {
      if ('id' in event) seen.set(event.id, event.type)
      if (event.type === 'session.status_idle') break
    }
    // A page that was begun on the old server goes on at the new one.
    const listed = [...page.data, ...(await all(await page.getNextPage()))]
    expect(new Set(listed.map((event) => event.id)).size).toBe(listed.length)
    // All but what was there before anybody watched.
    expect(listed.filter((event) => !seen.has(event.id)).map(({ type }) => type)).toEqual(['session.created'])
    expect(listed.filter(({ type }) => type === 'agent.tool_use')).toHaveLength(2)
    expect(listed.at(-1)).toMatchObject({ type: 'session.status_idle', stop_reason: { type: 'end_turn' } })
    expect(JSON.stringify(listed)).toContain('word by word')
  })

  test('W19 the tool runner of the SDK outlives a server that is restarted while its tool works', async () => {
    const working = await serverOf(30)
    onTestFinished(() => working.stop())
    const { sessions } = new Client({ ...counted(working.url).options, maxRetries: 5 }).beta
    let made = 0
    const tool = {
      type: 'custom' as const,
      name: 'get_weather',
      description: 'The weather of a place',
      input_schema: { type: 'object' as const, properties: { place: { type: 'string' } } },
      run: async (input: unknown) => {
        made++
        await restart(working)
        return `Rain in ${(input as { place: string }).place}`
      },
      parse: (input: unknown) => input,
    }
    const { name, description, input_schema } = tool
    const call = { name: 'mcp__client__get_weather', input: { place: 'Oslo' } }
    const agent = { ...AGENT, tools: [{ type: 'custom', name, description, input_schema }] }
    const { id } = await sessions.create({
      agent: agent as unknown as string,
      environment_id: 'env_default',
      initial_events: [say(scripted([{ tools: [call] }, { say: 'an umbrella, then' }]))],
    })
    for await (const _ of sessions.events.toolRunner(id, { tools: [tool as never], maxIdleMs: 500 })) continue
    const session = await working.idle(id)
    expect(session.result!.text).toBe('an umbrella, then')
    expect(made).toBe(1)
    const events = await working.events(id)
    expect(JSON.stringify(events)).toContain('Rain in Oslo')
    expect(events.filter(({ type }) => type === 'agent.custom_tool_use')).toHaveLength(1)
  })
})

test.each([...GENERATIONS, { version: '0.88.0', Client: Anthropic088 as unknown as typeof Anthropic }])(
  'W20 a call that needs a confirmation waits for it and is made, or refused with words, by the SDK $version',
  async ({ Client }) => {
    const model = await startDemoModel()
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
    onTestFinished(async () => {
      await server.stop()
      await model.close()
    })
    const { sessions } = new Client(counted(server.url).options).beta
    const { events } = sessions
    const steps = [bash('echo one > one.txt'), bash('echo two > two.txt'), { say: 'done' }]
    const { id } = await sessions.create({ agent: 'agent_default', environment_id: 'env_default' })
    await events.send(id, { events: [say(scripted(steps))] })
    const verdicts = [{ result: 'allow' as const }, { result: 'deny' as const, deny_message: 'Once is enough.' }]
    const stops: string[] = []
    for await (const event of await events.stream(id)) {
      if (event.type !== 'session.status_idle') continue
      const stop = event.stop_reason as { type: string; event_ids?: string[] }
      stops.push(stop.type)
      if (stop.type !== 'requires_action') break
      const [tool_use_id] = stop.event_ids!
      const verdict = verdicts[stops.length - 1]!
      await events.send(id, { events: [{ type: 'user.tool_confirmation', tool_use_id: tool_use_id!, ...verdict }] })
    }
    expect(stops).toEqual(['requires_action', 'requires_action', 'end_turn'])
    const told = JSON.stringify(await all(events.list(id)))
    expect(told).toContain('Once is enough.')
    const results = (await server.events(id)).filter(({ type }) => type === 'agent.tool_result')
    expect(results.map(({ is_error }) => is_error)).toEqual([false, true])
  },
)
