import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import type { Multiagent } from '@troupe/protocol/multiagent'
import type { Agent } from '@troupe/protocol/saved-agent'
import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { counted, GENERATIONS } from './support/sdk-clients.ts'
import { type Reply, type TestServer, testServer } from './support/server.ts'

const said = ({ status, body }: Reply) => `${status} ${body.code ?? 'ok'}`
const scripted = (...steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const start = (kind: string, ...steps: Step[]): Step => ({
  tools: [{ name: 'Agent', input: { subagent_type: kind, description: 'a part', prompt: scripted(...steps) } }],
})
const ENV = { environment_id: 'env_default' }

let model: DemoModel
let server: TestServer
beforeAll(async () => {
  model = await startDemoModel()
  server = await testServer(
    { agent_executable: undefined, demo_model: 'on', background_seconds: 0 },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
  )
})
afterAll(async () => {
  await server.stop()
  await model.close()
})

const save = (fields: object = {}) => server.post<Agent>('/v1/agents', { name: 'Member', model: 'sonnet', ...fields })
const run = async (agent: unknown, ...steps: Step[]): Promise<Session> => {
  const { id } = await server.create(scripted(...steps), { agent })
  return server.idle(id)
}
/** Requests of the session's subagents. */
const inside = ({ uuid }: Session) => model.requests.list(uuid).filter(({ agentId }) => agentId !== null)

describe('subagents with the genuine agent', () => {
  test('AG27 a subagent has its own prompt, tools and model, and its calls are judged by the policy of its session', async () => {
    const subagents = [
      {
        name: 'Deep reader',
        description: 'Reads',
        system: 'You read deeply.',
        model: 'haiku',
        tools: ['Read', 'Bash'],
      },
    ]
    const agent = { type: 'inline', subagents, permission_rules: [{ rule: 'Bash(rm *)', policy: 'deny' }] }
    const call: Step = { tools: [{ name: 'Bash', input: { command: 'rm -rf ./x' } }] }
    const session = await run(agent, start('Deep reader', call, { say: 'read' }), { say: 'done' })
    expect(session).toMatchObject({ result: { text: 'done' }, agent: { subagents } })
    const requests = inside(session)
    expect(requests.length).toBeGreaterThan(0)
    for (const request of requests) {
      expect(request.model).toContain('haiku')
      expect(request.systemText).toContain('You read deeply.')
      expect(request.toolNames.toSorted()).toEqual(['Bash', 'Read'])
    }
    const events = await server.events(session.id)
    expect(events.find(({ type }) => type === 'session.thread_created')).toMatchObject({ agent_name: 'Deep reader' })
    expect(events.find(({ type }) => type === 'agent.permission_denied')).toMatchObject({ name: 'Bash' })
  })

  test('AG28 a roster names saved agents at versions, and a session keeps them whole', async () => {
    const member = await save({ name: 'Fact checker', system: 'Check facts.', model: 'haiku' })
    const roster = { type: 'coordinator', agents: [member.id] }
    const lead = await save({ name: 'Lead', multiagent: roster })
    expect(lead.multiagent).toEqual({ type: 'coordinator', agents: [{ type: 'agent', id: member.id, version: 1 }] })
    await server.post(`/v1/agents/${member.id}`, { system: 'Check other facts.' })
    await server.post(`/v1/agents/${member.id}/archive`)
    const session = await run(lead.id, start('Fact checker', { say: 'true' }), { say: 'done' })
    expect(session.result).toMatchObject({ text: 'done' })
    const kept = session.agent.multiagent as unknown as Multiagent<Agent> & { type: 'coordinator' }
    expect(kept.agents).toMatchObject([{ id: member.id, version: 1, system: 'Check facts.' }])
    const requests = inside(session)
    expect(requests.length).toBeGreaterThan(0)
    for (const request of requests) expect(request.systemText).toContain('Check facts.')
  })

  test('AG29 a coordinator starts nobody but its roster, and an agent without subagents starts nobody', async () => {
    const member = await save({ name: 'Only one' })
    const closed = await run(
      {
        type: 'inline',
        multiagent: { type: 'coordinator', agents: [member.id] },
        permission_mode: 'bypassPermissions',
      },
      start('general-purpose', { say: 'never' }),
      { say: 'done' },
    )
    expect(inside(closed)).toEqual([])
    const events = await server.events(closed.id)
    expect(events.find(({ type }) => type === 'agent.permission_denied')).toMatchObject({ name: 'Agent' })
    const multiagent = { type: 'multiagent_20261001', subagents: { type: 'disabled' } }
    const alone = await run(
      { type: 'inline', multiagent, permission_mode: 'bypassPermissions' },
      start('general-purpose', { say: 'never' }),
      { say: 'done' },
    )
    expect(inside(alone)).toEqual([])
    expect(model.requests.list(alone.uuid)[0]!.toolNames).not.toContain('Agent')
  })
})

test('AG39 the subagents of an agent are there when it goes on with a call that waited for its answer', async () => {
  const agent = {
    type: 'inline',
    subagents: [{ name: 'helper', description: 'Helps', system: 'You help.' }],
  }
  const helper = start('helper', { say: 'helped' })
  const ask: Step = { tools: [{ name: 'Bash', input: { command: 'touch x' } }] }
  const parked = await server.create(scripted(ask, helper, { say: 'done' }), { agent })
  const [action] = (await server.idle(parked.id)).required_actions
  await server.post(`/v1/approvals/${action!.event_id}`, { result: 'allow' })
  expect((await server.idle(parked.id)).result).toMatchObject({ text: 'done' })
  const events = await server.events(parked.id)
  expect(events.find(({ type }) => type === 'session.thread_created')).toMatchObject({ agent_name: 'helper' })
})

describe('rosters', () => {
  test.each(GENERATIONS)('AG30 the official SDK $version saves both forms of a roster', async ({ Client, version }) => {
    const { agents, sessions } = new Client(counted(server.url).options).beta
    const one = await agents.create({ name: `One ${version}`, model: 'claude-opus-5-5' })
    const lead = await agents.create({
      name: 'Lead',
      model: 'claude-opus-5-5',
      multiagent: { type: 'coordinator', agents: [one.id] },
    })
    expect(lead.multiagent).toEqual({ type: 'coordinator', agents: [{ type: 'agent', id: one.id, version: 1 }] })
    const changed = await agents.update(lead.id, {
      multiagent: {
        type: 'multiagent_20261001',
        subagents: {
          type: 'enabled',
          inline_agents: { type: 'disabled' },
          predefined_agents: [{ type: 'agent', id: one.id, version: 1 }],
        },
      },
    })
    const kept = {
      type: 'multiagent_20261001',
      subagents: {
        type: 'enabled',
        inline_agents: { type: 'disabled' },
        predefined_agents: [{ type: 'agent', id: one.id, version: 1 }],
      },
      workflows: { type: 'disabled' },
      advisor: { type: 'disabled' },
    }
    expect(changed).toMatchObject({ version: 2, multiagent: kept })
    // What is left out of the newer form stays, and what was shown can be sent back.
    const merged = await agents.update(lead.id, {
      multiagent: { type: 'multiagent_20261001', subagents: { type: 'enabled', inline_agents: { type: 'enabled' } } },
    })
    expect(merged).toMatchObject({
      version: 3,
      multiagent: { subagents: { inline_agents: { type: 'enabled' }, predefined_agents: [{ id: one.id }] } },
    })
    expect((await agents.update(lead.id, { multiagent: merged.multiagent })).version).toBe(3)
    const session = await sessions.create({ ...ENV, agent: lead.id })
    expect(session.agent.multiagent).toMatchObject({
      type: 'multiagent_20261001',
      subagents: { predefined_agents: [{ type: 'agent', id: one.id, version: 1, name: `One ${version}` }] },
    })
    expect((await agents.update(lead.id, { multiagent: null })).multiagent).toBeNull()
  })

  test('AG31 a roster that cannot be kept, or whose agents would run without a rule of theirs, is refused', async () => {
    const one = await save({ name: 'One' })
    const twin = await save({ name: 'One' })
    const lead = await save({ name: 'Lead', multiagent: { type: 'coordinator', agents: [one.id] } })
    const gone = await save({ name: 'Gone' })
    await server.post(`/v1/agents/${gone.id}/archive`)
    const strict = await save({ name: 'Strict', permission_rules: [{ rule: 'Bash', policy: 'deny' }] })
    const asking = await save({
      name: 'Asking',
      tools: [{ type: 'agent_toolset_20260401', default_config: { permission_policy: { type: 'always_ask' } } }],
    })
    const roster = async (...agents: unknown[]) =>
      said(await server.request('POST', '/v1/agents', { name: 'x', multiagent: { type: 'coordinator', agents } }))
    expect(await roster()).toBe('400 validation_failed')
    expect(await roster('agent_none')).toBe('404 agent_not_found')
    expect(await roster({ type: 'agent', id: one.id, version: 9 })).toBe('404 agent_not_found')
    expect(await roster(gone.id)).toBe('400 agent_archived')
    expect(await roster(one.id, one.id)).toBe('400 validation_failed')
    expect(await roster(one.id, twin.id)).toBe('400 validation_failed')
    expect(await roster(lead.id)).toBe('400 validation_failed')
    for (const entry of [{ type: 'self' }, { type: 'advisor', model: 'x' }, strict.id, asking.id])
      expect(await roster(entry)).toBe('400 unsupported_feature')
    const body = async (fields: object) => said(await server.request('POST', '/v1/agents', { name: 'x', ...fields }))
    const newer = { type: 'multiagent_20261001' }
    expect(await body({ multiagent: { ...newer, workflows: { type: 'enabled' } } })).toBe('400 unsupported_feature')
    expect(
      await body({ multiagent: { ...newer, subagents: { type: 'enabled', inline_agents: { type: 'disabled' } } } }),
    ).toBe('400 validation_failed')
    const sub = { name: 'a', description: 'b', system: 'c' }
    expect(await body({ subagents: [sub, sub] })).toBe('400 validation_failed')
    expect(await body({ subagents: [{ ...sub, permission_mode: 'bypassPermissions' }] })).toBe('400 validation_failed')
    expect(await body({ subagents: [{ ...sub, name: 'a(b)' }] })).toBe('400 validation_failed')
    const mixed = {
      type: 'inline',
      multiagent: { type: 'coordinator', agents: [one.id] },
      subagents: [{ ...sub, name: 'One' }],
    }
    expect(said(await server.request('POST', '/v1/sessions', { agent: mixed }))).toBe('400 validation_failed')
  })
})
