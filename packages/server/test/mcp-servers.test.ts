import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import type { Session } from '@troupe/protocol/session'
import type { Agent } from '@troupe/protocol/saved-agent'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveAgent } from '../src/agents/resolve-agent.ts'
import { PermissionTable } from '../src/runner/policy.ts'
import { type McpServer, mcpServer } from './support/mcp-server.ts'
import { sessionRow } from './support/rows.ts'
import { type Reply, type TestServer, testServer } from './support/server.ts'

const said = ({ status, body }: Reply) => `${status} ${body.code ?? 'ok'}`
const scripted = (...steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const call = (name: string): Step => ({ tools: [{ name, input: {} }] })
const toolset = (fields: object = {}) => ({ type: 'mcp_toolset', mcp_server_name: 'desk', ...fields })

describe('MCP servers with the genuine agent', () => {
  let model: DemoModel
  let server: TestServer
  let mcp: McpServer
  beforeAll(async () => {
    mcp = await mcpServer()
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    mcp.close()
  })

  const desk = () => ({ type: 'url', name: 'desk', url: mcp.url })
  const run = async (steps: Step[], tools: object[], servers: object[] = [desk()]): Promise<Session> => {
    const agent = { type: 'inline', mcp_servers: servers, tools }
    const { id } = await server.create(scripted(...steps), { agent })
    return server.idle(id)
  }
  const told = async (id: string, ...types: string[]) =>
    (await server.events(id)).filter(({ type }) => types.includes(type))
  /** Tools of MCP servers that the agent began with; the model may have to search for them first. */
  const offered = async ({ uuid }: Session) => {
    const { messages } = await server.get<{ messages: { content: { subtype?: string; data: { tools: string[] } } }[] }>(
      `/status/${uuid}`,
    )
    const init = messages.find(({ content }) => content.subtype === 'init')!
    return init.content.data.tools.filter((name) => name.startsWith('mcp__')).toSorted()
  }

  test('AG20 a call of an MCP tool asks, waits without a process, and runs when it is allowed', async () => {
    const waiting = await run([call('mcp__desk__add'), { say: 'added' }], [toolset()])
    expect(waiting.required_actions).toMatchObject([{ type: 'tool_confirmation', tool_name: 'mcp__desk__add' }])
    expect(mcp.called).toEqual([])
    await server.post(`/v1/approvals/${waiting.required_actions[0]!.event_id}`, { result: 'allow' })
    const done = await server.idle(waiting.id)
    expect(done.result).toMatchObject({ text: 'added', is_error: false })
    expect(mcp.called).toEqual(['add'])
    const [use, result] = await told(waiting.id, 'agent.mcp_tool_use', 'agent.mcp_tool_result')
    expect(use).toMatchObject({ mcp_server_name: 'desk', name: 'add', evaluated_permission: 'ask' })
    expect(result).toMatchObject({
      mcp_tool_use_id: use!.id,
      is_error: false,
      content: [{ type: 'text', text: 'add done' }],
    })
    expect(await told(waiting.id, 'session.error')).toEqual([])
  })

  test('AG21 each tool has its own policy, and one that is off is neither offered nor run', async () => {
    mcp.called.length = 0
    const done = await run(
      [call('mcp__desk__look_up'), call('mcp__desk__erase'), { say: 'done' }],
      [
        toolset({
          configs: [
            { name: 'look.up', permission_policy: { type: 'always_allow' } },
            { name: 'erase', enabled: false },
          ],
        }),
      ],
    )
    expect(done.result).toMatchObject({ text: 'done' })
    expect(mcp.called).toEqual(['look.up'])
    expect(await told(done.id, 'agent.mcp_tool_result')).toMatchObject([{ is_error: false }, { is_error: true }])
    expect(await offered(done)).toEqual(['mcp__desk__add', 'mcp__desk__look_up'])
  })

  test('AG22 a server that is not there is told once, and the agent goes on without it', async () => {
    const gone = { type: 'url', name: 'gone', url: 'http://127.0.0.1:9/mcp' }
    const done = await run([{ say: 'on' }], [toolset({ mcp_server_name: 'gone' })], [gone])
    expect(done).toMatchObject({ stop_reason: { type: 'end_turn' }, result: { text: 'on' } })
    await server.send(done.id, scripted({ say: 'still' }))
    await server.idle(done.id)
    const turns = (await server.turns(done.id)).map(({ id }) => id)
    const errors = await told(done.id, 'session.error')
    expect(errors[0]).toMatchObject({
      error: {
        type: 'mcp_connection_failed_error',
        mcp_server_name: 'gone',
        retry_status: { type: 'retrying' },
      },
    })
    // Once for each process that began.
    expect(new Set(errors.map(({ turn_id }) => turn_id)).size).toBe(errors.length)
    expect(turns).toHaveLength(2)
  })

  test('AG23 no server but those of the agent is reached: a .mcp.json of the workdir is not read', async () => {
    const { id, cwd } = await server.create(null)
    const planted = { mcpServers: { planted: { type: 'http', url: mcp.url } } }
    writeFileSync(join(cwd, '.mcp.json'), JSON.stringify(planted))
    mcp.called.length = 0
    await server.send(id, scripted(call('mcp__planted__add'), { say: 'done' }))
    const session = await server.idle(id)
    if (session.required_actions.length > 0) {
      await server.post(`/v1/approvals/${session.required_actions[0]!.event_id}`, { result: 'allow' })
      await server.idle(id)
    }
    expect(mcp.called).toEqual([])
    expect(await offered(session)).toEqual([])
  })

  test('AG24 a program as an MCP server needs allow_stdio_mcp, when it is saved, begun with and started', async () => {
    const program = join(server.folder, 'desk.mjs')
    writeFileSync(program, STDIO_SERVER)
    const stdio = { type: 'stdio', name: 'desk', command: process.execPath, args: [program] }
    const tools = [toolset({ default_config: { permission_policy: { type: 'always_allow' } } })]
    const body = { name: 'Desk', mcp_servers: [stdio], tools }
    expect(said(await server.request('POST', '/v1/agents', body))).toBe('400 mcp_server_refused')
    await server.restart({ allow_stdio_mcp: true })
    const agent = await server.post<Agent>('/v1/agents', body)
    expect(agent.mcp_servers).toEqual([stdio])
    const { id } = await server.create(scripted(call('mcp__desk__hi'), { say: 'done' }), { agent: agent.id })
    await server.idle(id)
    expect(await told(id, 'agent.mcp_tool_result')).toMatchObject([{ content: [{ text: 'from a program' }] }])
    await server.restart({ allow_stdio_mcp: false })
    expect(said(await server.request('POST', '/v1/sessions', { agent: agent.id }))).toBe('400 mcp_server_refused')
    await server.send(id, scripted({ say: 'without' }))
    expect((await server.idle(id)).result).toMatchObject({ text: 'without' })
    expect(await told(id, 'session.error')).toMatchObject([{ error: { mcp_server_name: 'desk' } }])
  })

  test('AG25 servers and toolsets that do not fit each other, and urls that are no one may use, are refused', async () => {
    const create = async (mcp_servers: object[], tools: object[]) =>
      said(await server.request('POST', '/v1/agents', { name: 'x', mcp_servers, tools }))
    expect(await create([desk()], [])).toBe('400 validation_failed')
    expect(await create([], [toolset()])).toBe('400 validation_failed')
    expect(await create([desk(), desk()], [toolset()])).toBe('400 validation_failed')
    expect(await create([desk()], [toolset(), toolset()])).toBe('400 validation_failed')
    expect(await create([desk()], [toolset({ configs: [{ name: 'a' }, { name: 'a' }] })])).toBe('400 validation_failed')
    for (const name of ['client', 'a__b', '_a', 'a b', ''])
      expect(await create([{ ...desk(), name }], [toolset({ mcp_server_name: name })])).toBe('400 validation_failed')
    for (const url of ['ftp://x', 'x', 'http://user:secret@x/', 'http://x/?key=${ANTHROPIC_API_KEY}'])
      expect(await create([{ ...desk(), url }], [toolset()])).toBe('400 mcp_server_refused')
    const servers = Array.from({ length: 21 }, (_, n) => ({ ...desk(), name: `s${n}` }))
    expect(await create(servers, [])).toBe('400 validation_failed')
    const agent = await server.post<Agent>('/v1/agents', { name: 'x', mcp_servers: [desk()], tools: [toolset()] })
    expect(agent.tools).toEqual([
      { ...toolset(), default_config: { enabled: true, permission_policy: { type: 'always_ask' } }, configs: [] },
    ])
    expect(said(await server.request('POST', `/v1/agents/${agent.id}`, { mcp_servers: null }))).toBe(
      '400 validation_failed',
    )
    const cleared = await server.post<Agent>(`/v1/agents/${agent.id}`, { mcp_servers: null, tools: [] })
    expect(cleared).toMatchObject({ version: 2, mcp_servers: [], tools: [] })
  })
})

test.each([
  [{}, 'mcp__desk__add', 'ask'],
  [{ default_config: { permission_policy: { type: 'always_allow' } } }, 'mcp__desk__add', 'allow'],
  [{ default_config: { enabled: false } }, 'mcp__desk__add', 'deny'],
  [{ default_config: { enabled: false }, configs: [{ name: 'add', enabled: true }] }, 'mcp__desk__add', 'ask'],
  [{ default_config: { enabled: false }, configs: [{ name: 'add', enabled: true }] }, 'mcp__desk__erase', 'deny'],
  [{ configs: [{ name: 'add', permission_policy: { type: 'deny' } }] }, 'mcp__desk__add', 'deny'],
  [
    {
      default_config: { permission_policy: { type: 'always_allow' } },
      configs: [{ name: 'erase', permission_policy: { type: 'always_ask' } }],
    },
    'mcp__desk__erase',
    'ask',
  ],
  [{ default_config: { permission_policy: { type: 'always_allow' } } }, 'mcp__desk2__add', 'ask'],
])('AG26 a toolset %j makes of %s: %s', (fields, name, permission) => {
  const agent = resolveAgent(
    {
      type: 'inline',
      mcp_servers: [{ type: 'url', name: 'desk', url: 'https://desk.example/mcp' }],
      tools: [toolset(fields)],
    },
    null,
  )
  expect(new PermissionTable(sessionRow({ agent }), []).evaluate(name, {}).permission).toBe(permission)
})

const STDIO_SERVER = `
import { createInterface } from 'node:readline'
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) continue
  const result =
    method === 'initialize'
      ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'p', version: '1' } }
      : method === 'tools/list'
        ? { tools: [{ name: 'hi', inputSchema: { type: 'object' } }] }
        : method === 'tools/call'
          ? { content: [{ type: 'text', text: 'from a program' }] }
          : null
  const answer = result ? { result } : { error: { code: -32601, message: 'no such method' } }
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...answer }) + '\\n')
}
`
