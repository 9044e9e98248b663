import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GENERATIONS } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const custom = (name: string) => ({ type: 'custom', name, description: 'x', input_schema: { type: 'object' } })

describe('the agent of a session that is there', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', live_seconds: 300 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const update = (id: string, agent: unknown) => server.request('POST', `/v1/sessions/${id}`, { agent })

  test('AG32 model, mode, prompt and tools of an idle session are replaced, and the conversation goes on', async () => {
    const saved = await server.post<{ id: string }>('/v1/agents', { name: 'Saved', tools: [custom('first_tool')] })
    const { id, uuid } = await server.create('Remember the blue door', { agent: saved.id })
    await server.idle(id)
    const reply = await update(id, {
      model: 'claude-haiku-4-5',
      permission_mode: 'bypassPermissions',
      system: 'You are a pirate',
      tools: [custom('second_tool')],
    })
    expect([reply.status, reply.body.agent]).toMatchObject([
      200,
      {
        id: saved.id,
        version: 1,
        name: 'Saved',
        model: { id: 'claude-haiku-4-5' },
        permission_mode: 'bypassPermissions',
        system: 'You are a pirate',
        tools: [{ name: 'second_tool' }],
      },
    ])
    await server.send(id, scripted([{ tools: [{ name: 'Bash', input: { command: 'echo ran' } }] }, { say: 'aye' }]))
    expect((await server.idle(id)).result!.text).toBe('aye')
    const last = model.requests.list(uuid).at(-1)!
    expect(last.model).toContain('haiku')
    expect(last.messageCount).toBeGreaterThan(2)
    await server.send(id, scripted([{ tools: [{ name: 'mcp__client__second_tool', input: {} }] }, { say: 'done' }]))
    const { required_actions: asked } = await server.idle(id)
    expect(asked.map(({ tool_name }) => tool_name)).toEqual(['second_tool'])
    expect((await server.events(id)).filter(({ type }) => type === 'session.updated')).toHaveLength(1)
    expect((await server.get<{ tools: { name: string }[] }>(`/v1/agents/${saved.id}`)).tools[0]!.name).toBe(
      'first_tool',
    )
  })

  test('AG33 the same again is no change; one that works or is archived keeps its agent, and what cannot be is refused', async () => {
    const { id } = await server.create(null, {
      agent: { type: 'inline', tools: [custom('a_tool')], allowed_tools: ['Read'] },
    })
    const { last_seq, agent } = await server.idle(id)
    const same = await update(id, { tools: [custom('a_tool')], allowed_tools: ['Read'], permission_mode: 'default' })
    expect([same.body.last_seq, same.body.agent]).toEqual([last_seq, agent])
    const refusals: [unknown, number, string][] = [
      [{ skills: [] }, 400, 'validation_failed'],
      [{ multiagent: null }, 400, 'validation_failed'],
      [{ permission_mode: 'free' }, 400, 'validation_failed'],
      [{ permission_rules: [{ rule: 'Bash(', policy: 'deny' }] }, 400, 'validation_failed'],
      ['agent_default', 400, 'validation_failed'],
    ]
    for (const [given, status, code] of refusals) {
      const reply = await update(id, given)
      expect([given, reply.status, reply.body.code]).toEqual([given, status, code])
    }
    await server.send(id, scripted([{ say: 'x', delay_ms: 60_000 }]))
    await server.event(id, ({ type }) => type === 'turn.started')
    const busy = await update(id, { system: 'Other' })
    expect([busy.status, busy.body.code]).toEqual([409, 'session_running'])
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await server.idle(id)
    await server.post(`/v1/sessions/${id}/archive`)
    const archived = await update(id, { system: 'Other' })
    expect([archived.status, archived.body.code]).toEqual([400, 'session_terminated'])
  })

  test.each(GENERATIONS)('AG34 the official SDK $version replaces tools of an idle session', async ({ Client }) => {
    const sdk = new Client({ baseURL: server.url, apiKey: 'any key' })
    const { id } = await server.create(null)
    const updated = await sdk.beta.sessions.update(id, { agent: { tools: [custom('by_sdk') as never] } } as never)
    expect(updated.agent.tools).toMatchObject([{ type: 'custom', name: 'by_sdk' }])
    const cleared = await sdk.beta.sessions.update(id, { agent: { tools: [] } } as never)
    expect(cleared.agent.tools).toEqual([])
  })
})
