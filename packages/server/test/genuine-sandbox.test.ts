import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { Environment } from '@troupe/protocol/environment'
import type { SessionEvent } from '@troupe/protocol/event'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sandboxProblem } from '../src/environments/sandbox-problem.ts'
import { type TestServer, testServer } from './support/server.ts'

const problem = await sandboxProblem(process.env.PATH)
/** Without bubblewrap, socat or user namespaces these tests are skipped and named; where `CI` is set they fail instead. */
const mustSkip = problem !== null && !process.env.CI

const script = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const tool = (name: string, input: object) => ({ tools: [{ name, input }] })

describe.skipIf(mustSkip)('the genuine agent in a sandbox', () => {
  let model: DemoModel
  let server: TestServer
  let outside: Server
  let port = 0
  beforeAll(async () => {
    outside = createServer((_, response) => response.end('REACHED'))
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve))
    port = (outside.address() as AddressInfo).port
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, AWS_SECRET_ACCESS_KEY: 'canary-aws' } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    outside.close()
  })

  const make = (config: object) => server.post<Environment>('/v1/environments', { name: 'Confined', config })
  const FREE = { type: 'inline', permission_mode: 'bypassPermissions' }
  /** What each call of a script was answered, in order. */
  const results = async (environment: Environment, steps: object[], more: object = {}) => {
    const { id } = await server.create(script([...steps, { say: 'done' }]), {
      agent: FREE,
      environment_id: environment.id,
      ...more,
    })
    const session = await server.idle(id)
    expect([session.last_error, session.result?.text]).toEqual([null, 'done'])
    const events = await server.events(id)
    const told = events.filter(({ type }) => type === 'agent.tool_result') as (SessionEvent & { content: unknown })[]
    return told.map(({ content }) => JSON.stringify(content))
  }

  test('IS2 a command in a sandbox writes in its workdir and where it may, and connects nowhere that is not allowed', async () => {
    const shared = join(server.folder, 'shared')
    mkdirSync(shared)
    const limited = { type: 'limited', allowed_hosts: ['example.invalid'] }
    const place = await make({ type: 'sandbox', networking: limited, filesystem: { allow_write: [shared] } })
    const beyond = join(server.folder, 'beyond')
    const [own, write, allowed, direct, proxied, nested] = await results(place, [
      bash('echo own > mine && cat mine'),
      bash(`echo x > ${beyond}`),
      bash(`echo x > ${join(shared, 'there')} && echo WRITTEN`),
      bash(`curl -sS -m 5 --noproxy '*' http://127.0.0.1:${port}/`),
      bash('curl -sS -m 5 http://example.org/'),
      tool('Bash', { command: `echo x > ${beyond}`, dangerouslyDisableSandbox: true }),
    ])
    expect(own).toContain('own')
    expect(write).toContain('Read-only file system')
    expect(allowed).toContain('WRITTEN')
    expect(direct).not.toContain('REACHED')
    expect(proxied).toContain('blocked')
    expect(nested).toContain('Read-only file system')
    expect([existsSync(beyond), existsSync(join(shared, 'there'))]).toEqual([false, true])
    // The same without a sandbox reaches both: it was the sandbox that kept them.
    const { id } = await server.create(
      script([bash(`echo x > ${beyond}; curl -sS -m 5 --noproxy '*' http://127.0.0.1:${port}/`), { say: 'done' }]),
      { agent: FREE },
    )
    await server.idle(id)
    expect(JSON.stringify(await server.events(id))).toContain('REACHED')
    expect(existsSync(beyond)).toBe(true)
  })

  test('IS3 what the server keeps, other sessions and credentials are out of reach in a sandbox, for commands and for tools on files', async () => {
    const secret = join(server.folder, 'secret')
    mkdirSync(secret)
    writeFileSync(join(secret, 'file'), 'canary-denied')
    const other = await server.create(null)
    writeFileSync(join(other.cwd, 'file'), 'canary-other')
    const place = await make({ type: 'sandbox', filesystem: { deny_read: [secret] } })
    const data = join(server.folder, 'data')
    const answers = await results(place, [
      bash(`cat ${join(data, 'troupe.db')} ${join(data, 'cursor.key')}; ls ${data}`),
      bash(`cat ${join(other.cwd, 'file')} ${join(secret, 'file')}`),
      bash('env'),
      tool('Read', { file_path: join(other.cwd, 'file') }),
      tool('Read', { file_path: join(secret, 'file') }),
      tool('Write', { file_path: join(server.folder, 'by-tool'), content: 'x' }),
      tool('Write', { file_path: 'inside', content: 'by-tool' }),
      bash('cat inside && ln -s / way-out'),
      tool('Read', { file_path: `way-out${join(other.cwd, 'file')}` }),
    ])
    const whole = answers.join('\n')
    expect(whole).not.toMatch(/canary-|SQLite format|troupe\.db"/)
    expect(answers[2]).not.toMatch(/ANTHROPIC_API_KEY|ANTHROPIC_BASE_URL/)
    expect(answers[2]).toContain('PATH=')
    expect(answers[4]).toContain('off limits')
    expect(existsSync(join(server.folder, 'by-tool'))).toBe(false)
    expect(answers[7]).toContain('by-tool')
    // Nor is a workdir within it, by whatever name.
    symlinkSync(data, join(server.folder, 'way-in'))
    for (const cwd of [data, other.cwd, join(data, 'sessions'), join(server.folder, 'way-in')]) {
      const named = await server.request('POST', '/v1/sessions', { environment_id: place.id, cwd })
      expect([cwd, named.status, named.body.code]).toEqual([cwd, 403, 'cwd_not_allowed'])
    }
    // A workdir around the data folder is no way into it.
    const around = await results(
      place,
      [
        bash(`cat ${join(data, 'cursor.key')} ${join(other.cwd, 'file')}; echo x > ${join(data, 'planted')}`),
        tool('Read', { file_path: join(other.cwd, 'file') }),
        tool('Write', { file_path: join(data, 'planted'), content: 'x' }),
      ],
      { cwd: server.folder },
    )
    expect(around.join('\n')).not.toContain('canary-')
    expect(existsSync(join(data, 'planted'))).toBe(false)
  })

  test('IS4 the network rule of a cloud environment holds for what the agent fetches itself, and for its MCP servers', async () => {
    const networking = { type: 'limited', allowed_hosts: ['*.example.invalid'] }
    const place = await make({ type: 'cloud', networking })
    const [fetched, connected] = await results(place, [
      tool('WebFetch', { url: `http://127.0.0.1:${port}/`, prompt: 'x' }),
      bash(`curl -sS -m 5 --noproxy '*' http://127.0.0.1:${port}/`),
    ])
    expect(fetched).toContain('lets nothing connect to 127.0.0.1')
    expect(connected).not.toContain('REACHED')
    const agentOf = (server_: object) => ({
      agent: {
        type: 'inline',
        mcp_servers: [{ name: 'x', ...server_ }],
        tools: [{ type: 'mcp_toolset', mcp_server_name: 'x' }],
      },
    })
    const refusal = async (environment: Environment, body: object) =>
      (await server.request('POST', '/v1/sessions', { environment_id: environment.id, ...body })).body.code ?? null
    const url = (host: string) => agentOf({ type: 'url', url: `https://${host}/mcp` })
    expect(await refusal(place, url('example.org'))).toBe('mcp_server_refused')
    expect(await refusal(place, url('mcp.example.invalid'))).toBe(null)
    const open = await make({ type: 'cloud', networking: { ...networking, allow_mcp_servers: true } })
    expect(await refusal(open, url('example.org'))).toBe(null)
    const session = await server.create(null, { environment_id: place.id })
    const changed = await server.request('POST', `/v1/sessions/${session.id}`, {
      agent: {
        mcp_servers: [{ name: 'x', type: 'url', url: 'https://example.org/mcp' }],
        tools: [{ type: 'mcp_toolset', mcp_server_name: 'x' }],
      },
    })
    expect(changed.body.code).toBe('mcp_server_refused')
  })
})

test('IS5 where commands cannot be confined, an environment that asks for it is refused, and so is a session in one', async () => {
  const folder = { PATH: '/nowhere' }
  const server = await testServer({}, { env: folder })
  const networking = { type: 'limited', allowed_hosts: [] }
  for (const config of [{ type: 'sandbox' }, { type: 'cloud', networking }]) {
    const refused = await server.request('POST', '/v1/environments', { name: 'x', config })
    expect([refused.status, refused.body.code]).toEqual([503, 'sandbox_unavailable'])
    expect(refused.body.detail).toContain('apt-get install -y bubblewrap socat')
  }
  // What was saved while it could be is not begun without.
  const row = {
    id: 'env_saved',
    workspaceId: 'wrkspc_default',
    name: 'Saved',
    description: null,
    config: {
      type: 'cloud',
      networking: { ...networking, allow_mcp_servers: false, allow_package_managers: false },
      packages: {},
    },
    metadata: {},
    version: 1,
    createdAt: 1,
    updatedAt: 1,
    archivedAt: null,
  } as const
  await server.app.store.environments.create(row as never, 10)
  const begun = await server.request('POST', '/v1/sessions', { environment_id: 'env_saved' })
  expect([begun.status, begun.body.code]).toEqual([503, 'sandbox_unavailable'])
  expect((await server.get<{ data: unknown[] }>('/v1/sessions')).data).toEqual([])
  await server.stop()
  expect(await sandboxProblem('/nowhere', 'win32')).toContain('win32')
  expect(await sandboxProblem('/nowhere', 'darwin')).toBe(null)
})
