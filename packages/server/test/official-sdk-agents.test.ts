import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { all, Anthropic088, counted, GENERATIONS, say, STREAMING_AGENT, upTo } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer({ agent_executable: STREAMING_AGENT })
})
afterAll(() => server.stop())

const ENV = { environment_id: 'env_default' }

describe.each(GENERATIONS)('agents by the official SDK $version', ({ Client, version: generation }) => {
  const connect = () => new Client(counted(server.url).options)

  test('AG17 an agent is created, changed with its version, read at each, listed and archived', async () => {
    const { agents } = connect().beta
    const made = await agents.create({
      name: `Reviewer ${generation}`,
      model: { id: 'claude-opus-5-5', effort: 'high' },
      system: 'Review.',
      tools: [
        {
          type: 'agent_toolset_20260401',
          default_config: { permission_policy: { type: 'always_ask' } },
          configs: [{ name: 'read', permission_policy: { type: 'always_allow' } }],
        },
      ],
      metadata: { team: 'docs' },
    })
    expect(made).toMatchObject({ type: 'agent', version: 1, model: { effort: { type: 'high' } }, archived_at: null })
    const changed = await agents.update(made.id, { version: 1, description: 'Reads', metadata: { team: null } })
    expect(changed).toMatchObject({ version: 2, description: 'Reads', metadata: {}, system: 'Review.' })
    expect((await agents.update(made.id, { version: 2, name: made.name })).version).toBe(2)
    const late = await agents.update(made.id, { version: 1, name: 'Late' }).catch((error: unknown) => error)
    expect(late).toBeInstanceOf(Client.ConflictError)
    expect(late).toMatchObject({ status: 409, error: { code: 'version_conflict' } })
    expect(await agents.retrieve(made.id, { version: 1 })).toEqual(made)
    expect(await agents.retrieve(made.id)).toEqual(changed)
    expect((await all(agents.versions.list(made.id, { limit: 1 }))).map(({ version }) => version)).toEqual([2, 1])
    const archived = await agents.archive(made.id)
    expect(archived.archived_at).not.toBeNull()
    const found = async (params: Parameters<typeof agents.list>[0]) =>
      (await all(agents.list({ 'created_at[gte]': made.created_at, limit: 1, ...params }))).map(({ id }) => id)
    const other = await agents.create({ name: 'Other', model: 'claude-opus-5-5' })
    expect(await found({})).toEqual([other.id])
    expect(await found({ include_archived: true })).toEqual([other.id, made.id])
    await agents.archive(other.id)
    await expect(agents.retrieve('agent_none')).rejects.toBeInstanceOf(Client.NotFoundError)
  })

  test('AG18 sessions run a saved agent, at a version and with overrides', async () => {
    const client = connect()
    const { agents, sessions } = client.beta
    const agent = await agents.create({ name: 'Runner', model: 'claude-opus-5-5', system: 'First.' })
    await agents.update(agent.id, { version: 1, system: 'Second.' })
    const pinned = await sessions.create({ ...ENV, agent: { type: 'agent', id: agent.id, version: 1 } })
    expect(pinned.agent).toMatchObject({ id: agent.id, version: 1, system: 'First.' })
    const overridden = await sessions.create({
      ...ENV,
      agent: { type: 'agent_with_overrides', id: agent.id, system: null, model: 'claude-haiku-5-5' },
    })
    expect(overridden.agent).toMatchObject({ version: 2, system: null, model: { id: 'claude-haiku-5-5' } })
    const session = await sessions.create({ ...ENV, agent: agent.id, initial_events: [say('write Hel|lo')] })
    const events = await upTo(await sessions.events.stream(session.id), ({ type }) => type === 'session.status_idle')
    expect(events.filter(({ type }) => type === 'agent.message')).toMatchObject([{ content: [{ text: 'Hello' }] }])
    expect((await all(sessions.list({ agent_id: agent.id }))).map(({ id }) => id)).toEqual([
      session.id,
      overridden.id,
      pinned.id,
    ])
  })
})

describe('agents by the official SDK 0.88.0', () => {
  test('AG19 an agent is created, changed with its version, read, listed and run', async () => {
    const { beta } = new Anthropic088(counted(server.url).options)
    const agent = await beta.agents.create({ name: 'Old', model: 'claude-opus-4-6', system: 'First.' })
    const changed = await beta.agents.update(agent.id, { version: 1, system: 'Second.' })
    expect(changed).toMatchObject({ version: 2, system: 'Second.' })
    expect(await beta.agents.retrieve(agent.id, { version: 1 })).toEqual(agent)
    expect((await all(beta.agents.list({ 'created_at[gte]': agent.created_at }))).map(({ id }) => id)).toEqual([
      agent.id,
    ])
    expect((await all(beta.agents.versions.list(agent.id))).map(({ version }) => version)).toEqual([2, 1])
    const session = await beta.sessions.create({ ...ENV, agent: { type: 'agent', id: agent.id, version: 1 } })
    expect(session.agent).toMatchObject({ version: 1, system: 'First.' })
    expect((await beta.agents.archive(agent.id)).archived_at).not.toBeNull()
  })
})
