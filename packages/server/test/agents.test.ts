import type { SessionAgent } from '@troupe/protocol/agent'
import type { Agent } from '@troupe/protocol/saved-agent'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { archiveAgent, createAgent, updateAgent } from '../src/agents/saved-agents.ts'
import { agentOfSession } from '../src/agents/agent-of-session.ts'
import { requireAgent } from '../src/agents/find-agent.ts'
import { systemClock } from '../src/lib/clock.ts'
import { type Reply, type TestServer, testServer } from './support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

const save = (fields: object = {}) => server.post<Agent>('/v1/agents', { name: 'Reviewer', model: 'sonnet', ...fields })
const change = (id: string, body: object, headers = {}) =>
  server.request('POST', `/v1/agents/${id}`, body, headers) as Promise<Reply & { body: Reply['body'] & Agent }>
const said = ({ status, body }: Reply) => `${status} ${body.code ?? 'ok'}`

describe('saved agents', () => {
  test('AG5 an agent is kept as it was given, tools written out, and what it shows can be sent back', async () => {
    const agent = await save({
      description: 'Reads',
      system: 'Be brief.',
      tools: [
        { type: 'agent_toolset_20260401', configs: [{ name: 'bash', enabled: false }] },
        { type: 'custom', name: 'lookup', description: 'Looks', input_schema: { type: 'object' } },
      ],
      effort: 'high',
      permission_mode: 'acceptEdits',
      allowed_tools: ['Write', 'Write'],
      metadata: { team: 'docs' },
    })
    expect(agent).toMatchObject({
      type: 'agent',
      version: 1,
      model: { id: 'sonnet', effort: { type: 'high' } },
      system: 'Be brief.',
      allowed_tools: ['Write'],
      disallowed_tools: [],
      permission_mode: 'acceptEdits',
      metadata: { team: 'docs' },
      execution_identity: { type: 'service_account' },
      source: 'api',
      archived_at: null,
    })
    expect(agent.tools).toMatchObject([
      { configs: expect.arrayContaining([expect.objectContaining({ name: 'bash', enabled: false })]) },
      { name: 'lookup' },
    ])
    expect(await server.get(`/v1/agents/${agent.id}`)).toEqual(agent)
    const { id: _id, version: _version, type: _type, ...shown } = agent
    expect((await change(agent.id, shown)).body).toEqual(agent)
    await server.restart()
    expect(await server.get(`/v1/agents/${agent.id}`)).toEqual(agent)
  })

  test('AG6 an update keeps what is absent, clears by null and by [], replaces arrays, and merges metadata', async () => {
    const { id } = await save({
      description: 'Old',
      system: 'Old',
      effort: 'low',
      allowed_tools: ['Write', 'Edit'],
      metadata: { a: '1', b: '2' },
    })
    const second = (await change(id, { model: 'opus', allowed_tools: ['Bash'], metadata: { a: null, c: '3' } })).body
    expect(second).toMatchObject({
      version: 2,
      name: 'Reviewer',
      description: 'Old',
      model: { id: 'opus', effort: { type: 'low' } },
      allowed_tools: ['Bash'],
      metadata: { b: '2', c: '3' },
    })
    const third = (await change(id, { description: null, system: '', effort: null, allowed_tools: [], metadata: null }))
      .body
    expect(third).toMatchObject({ version: 3, description: null, system: null, allowed_tools: [], metadata: {} })
    expect(third.model).toEqual({ id: 'opus' })
    expect(await server.get(`/v1/agents/${id}?version=2`)).toEqual(second)
    expect(await server.get(`/v1/agents/${id}`)).toEqual(third)
    const listed = await server.get<{ data: Agent[] }>(`/v1/agents/${id}/versions`)
    expect(listed.data.map(({ version }) => version)).toEqual([3, 2, 1])
    expect((await server.request('GET', `/v1/agents/${id}?version=4`)).body.detail).toContain('newest is 3')
  })

  test('AG7 an update that changes nothing makes no version', async () => {
    const { id } = await save({ metadata: { a: '1' }, tools: [{ type: 'agent_toolset_20260401' }] })
    for (const body of [
      {},
      { name: 'Reviewer' },
      { model: { id: 'sonnet' } },
      { metadata: { a: '1', gone: null } },
      { description: '' },
      { tools: [{ type: 'agent_toolset_20260401', configs: [] }] },
    ])
      expect((await change(id, body)).body.version).toBe(1)
    expect((await change(id, { name: 'Other' })).body.version).toBe(2)
  })

  test('AG8 of updates at once that name the same version one wins; without it each is merged into the others', async () => {
    const { id } = await save()
    const guarded = await Promise.all(
      Array.from({ length: 8 }, (_, n) => change(id, { version: 1, description: `by ${n}` })),
    )
    expect(guarded.map(said).toSorted()).toEqual(['200 ok', ...Array.from({ length: 7 }, () => '409 version_conflict')])
    const open = await Promise.all(Array.from({ length: 8 }, (_, n) => change(id, { metadata: { [`k${n}`]: 'x' } })))
    expect(new Set(open.map(({ body }) => body.version)).size).toBe(8)
    const now = await server.get<Agent>(`/v1/agents/${id}`)
    expect(now.version).toBe(10)
    expect(Object.keys(now.metadata)).toHaveLength(8)
  })

  test('AG9 an agent is tagged with its version, and If-Match guards an update', async () => {
    const { id } = await save()
    expect((await server.request('GET', `/v1/agents/${id}`)).headers.get('etag')).toBe('"1"')
    const done = await change(id, { name: 'Second' }, { 'if-match': '"1"' })
    expect([said(done), done.headers.get('etag')]).toEqual(['200 ok', '"2"'])
    for (const tag of ['"1"', 'W/"2"', 'nonsense'])
      expect(said(await change(id, { name: 'Third' }, { 'if-match': tag }))).toBe('412 precondition_failed')
    expect(said(await change(id, { name: 'Third' }, { 'if-match': '*' }))).toBe('200 ok')
  })

  test('AG10 an archived agent begins no session and takes no change; archiving twice is one archiving', async () => {
    const { id } = await save()
    const going = await server.create(null, { agent: id })
    const archived = await server.post<Agent>(`/v1/agents/${id}/archive`)
    expect(archived.archived_at).not.toBeNull()
    expect(await server.post(`/v1/agents/${id}/archive`)).toEqual(archived)
    for (const agent of [id, { type: 'agent', id, version: 1 }, { type: 'agent_with_overrides', id }])
      expect(said(await server.request('POST', '/v1/sessions', { agent }))).toBe('400 agent_archived')
    expect(said(await change(id, { name: 'Late' }))).toBe('400 agent_archived')
    const ids = async (query: string) =>
      (await server.get<{ data: Agent[] }>(`/v1/agents${query}`)).data.map((each) => each.id)
    expect(await ids('?limit=1000')).not.toContain(id)
    expect(await ids('?limit=1000&include_archived=true')).toContain(id)
    await server.send(going.id, 'say still here')
    expect((await server.idle(going.id)).result).toMatchObject({ text: 'still here' })
  })

  test('AG11 a session has the agent at the version it named, whole, whatever becomes of the agent', async () => {
    const { id } = await save({
      system: 'First.',
      tools: [{ type: 'agent_toolset_20260401', default_config: { permission_policy: { type: 'always_allow' } } }],
    })
    await change(id, { system: 'Second.' })
    const of = async (agent: unknown) => (await server.create(null, { agent })).agent
    expect(await of(id)).toMatchObject({
      id,
      version: 2,
      system: 'Second.',
      allowed_tools: expect.arrayContaining(['Bash']),
    })
    expect(await of({ type: 'agent', id })).toMatchObject({ version: 2 })
    const session = await server.create(null, { agent: { type: 'agent', id, version: 1 } })
    expect(session.agent).toMatchObject({ version: 1, system: 'First.' })
    await change(id, { system: 'Third.', tools: [] })
    expect((await server.get<typeof session>(`/v1/sessions/${session.id}`)).agent).toEqual(session.agent)
    const listed = await server.get<{ data: { id: string }[] }>(`/v1/sessions?agent_id=${id}`)
    expect(listed.data).toHaveLength(3)
  })

  test('AG12 overrides replace whole fields for one session: null and [] clear, absent keeps', async () => {
    const { id } = await save({
      system: 'Agent.',
      effort: 'high',
      allowed_tools: ['Write'],
      tools: [{ type: 'agent_toolset_20260401', default_config: { permission_policy: { type: 'always_allow' } } }],
    })
    const of = async (fields: object) =>
      (await server.create(null, { agent: { type: 'agent_with_overrides', id, ...fields } })).agent
    expect(await of({ model: 'haiku' })).toMatchObject({
      id,
      version: 1,
      system: 'Agent.',
      model: { id: 'haiku', effort: { type: 'high' } },
    })
    const bare = await of({ system: null, tools: [] })
    expect(bare).toMatchObject({ system: null, tools: [], allowed_tools: ['Write'], model: { id: 'sonnet' } })
    expect(
      (await server.create(null, { agent: { type: 'agent_with_overrides', id: 'agent_default', system: 'Mine.' } }))
        .agent,
    ).toMatchObject({ id: 'agent_default', system: 'Mine.' })
    expect(await server.get(`/v1/agents/${id}`)).toMatchObject({ version: 1, system: 'Agent.' })
  })

  test('AG13 what names no agent of the workspace is 404, and what cannot be kept is refused by name', async () => {
    const { id } = await save()
    for (const agent of ['agent_none', { type: 'agent', id, version: 7 }, { type: 'agent_with_overrides', id: 'x' }])
      expect(said(await server.request('POST', '/v1/sessions', { agent }))).toBe('404 agent_not_found')
    expect(said(await server.request('GET', '/v1/agents/agent_none'))).toBe('404 agent_not_found')
    expect(said(await server.request('GET', '/v1/agents/agent_none/versions'))).toBe('404 agent_not_found')
    expect(said(await change('agent_none', {}))).toBe('404 agent_not_found')
    expect(said(await server.request('POST', '/v1/agents/agent_none/archive'))).toBe('404 agent_not_found')
    for (const [body, code] of [
      [{}, 'validation_failed'],
      [{ name: ' ' }, 'validation_failed'],
      [{ name: 'x', system: 'x'.repeat(100_001) }, 'validation_failed'],
      [{ name: 'x', tools: [{ type: 'nonsense' }] }, 'unsupported_feature'],
      [{ name: 'x', permission_rules: [{ rule: '(((', policy: 'deny' }] }, 'validation_failed'],
      [{ name: 'x', execution_identity: { type: 'aws_role', role_arn: 'arn' } }, 'unsupported_feature'],
      [
        {
          name: 'x',
          tools: [
            {
              type: 'custom',
              name: 'big',
              description: 'x',
              input_schema: { type: 'object', x: 'y'.repeat(1024 * 1024) },
            },
          ],
        },
        'validation_failed',
      ],
      [
        { name: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, ''])) },
        'validation_failed',
      ],
    ] as const)
      expect(said(await server.request('POST', '/v1/agents', body))).toBe(`400 ${code}`)
    for (const body of [{ name: null }, { model: null }, { version: 0 }])
      expect(said(await change(id, body))).toBe('400 validation_failed')
    expect(await server.get(`/v1/agents/${id}`)).toMatchObject({ version: 1 })
  })

  test('AG38 sessions are found by the agent and the version that they run', async () => {
    const { id } = await save()
    const made = async () => ((await server.request('POST', '/v1/sessions', { agent: id })).body as { id: string }).id
    const first = await made()
    await server.request('POST', `/v1/agents/${id}`, { system: 'Otherwise' })
    const second = await made()
    const found = async (query: string) => {
      const { data } = (await server.get(`/v1/sessions?${query}`)) as unknown as { data: { id: string }[] }
      return data.map((each) => each.id)
    }
    expect(await found(`agent_id=${id}`)).toEqual([second, first])
    expect(await found(`agent_id=${id}&agent_version=1`)).toEqual([first])
    expect(await found(`agent_id=${id}&agent_version=2`)).toEqual([second])
    expect(await found(`agent_id=${id}&agent_version=3`)).toEqual([])
    expect((await server.request('GET', '/v1/sessions?agent_version=x')).body.code).toBe('validation_failed')
  })

  test('AG14 nothing of an agent can be seen or changed from another workspace', async () => {
    const { id } = await save()
    const { agents, skills } = server.app.store
    const limits = { allowStdioMcp: false, defaultModel: null }
    const bounded = (agent: SessionAgent) => Promise.resolve(agent)
    const other = { agents, skills, clock: systemClock, workspaceId: 'wrkspc_other', limits, bounded }
    const gone = { code: 'agent_not_found' }
    await expect(requireAgent(agents, other.workspaceId, id)).rejects.toMatchObject(gone)
    await expect(updateAgent(other, id, { name: 'Theirs' }, null, undefined)).rejects.toMatchObject(gone)
    await expect(archiveAgent(other, id, undefined)).rejects.toMatchObject(gone)
    await expect(agentOfSession({ agents, skills }, other.workspaceId, id, limits)).rejects.toMatchObject(gone)
    const theirs = await createAgent(other, { name: 'Theirs' }, () => undefined)
    expect(said(await server.request('GET', `/v1/agents/${theirs.id}`))).toBe('404 agent_not_found')
    expect(said(await server.request('POST', '/v1/sessions', { agent: theirs.id }))).toBe('404 agent_not_found')
  })

  test('AG15 a create, an update and an archive under one idempotency key are done once', async () => {
    const body = { name: 'Once' }
    const key = { 'idempotency-key': 'agent-once' }
    const [first, second] = [
      await server.request('POST', '/v1/agents', body, key),
      await server.request('POST', '/v1/agents', body, key),
    ]
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    const id = String(first.body.id)
    for (let n = 0; n < 2; n++)
      expect((await change(id, { name: 'Twice' }, { 'idempotency-key': 'change' })).body.version).toBe(2)
    expect((await change(id, {})).body.version).toBe(2)
  })

  test('AG16 the built-in agent can be read and begun with, and not changed', async () => {
    const agent = await server.get<Agent>('/v1/agents/agent_default')
    expect(agent).toMatchObject({ version: 1, name: 'Claude', source: 'built_in' })
    expect((await server.get<{ data: Agent[] }>('/v1/agents/agent_default/versions')).data).toEqual([agent])
    expect(said(await change('agent_default', { name: 'Mine' }))).toBe('409 agent_read_only')
    expect(said(await server.request('POST', '/v1/agents/agent_default/archive'))).toBe('409 agent_read_only')
  })
})
