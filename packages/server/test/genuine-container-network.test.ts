import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { Environment } from '@troupe/protocol/environment'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect as connectTo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createServer as createTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { killableServer } from './support/killable-server.ts'
import { mcpServer } from './support/mcp-server.ts'
import { makeRootFileSystem } from './support/root-file-system.ts'
import { type TestServer, testServer } from './support/server.ts'

const missing = spawnSync('runc', ['--version']).status === 0 && process.getuid?.() === 0 ? null : 'runc, as root'
/** Without an OCI runtime, and where the server is not root, these tests are skipped and named; where `CI` is set they fail instead. */
const mustSkip = missing !== null && !process.env.CI

const script = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const FREE = { type: 'inline', permission_mode: 'bypassPermissions' }
const sdk = dirname(createRequire(import.meta.url).resolve('@anthropic-ai/claude-agent-sdk'))
const binary = globSync(join(sdk, '..', 'claude-agent-sdk-linux-*', 'claude'))

/** A part of every Debian that makes sockets of every kind. */
const PERL = '/usr/bin/perl'
/** An address of loopback that a list can name without naming that of the server. */
const LISTED = '127.0.0.2'

/** Sockets of this process that are in another network than its own. */
function socketsElsewhere(): number {
  const tables = ['tcp', 'tcp6', 'udp', 'udp6', 'unix', 'netlink'].map((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8'),
  )
  const known = new Set(tables.join().match(/\b\d+\b/g))
  const open = globSync('/proc/self/fd/*').flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(fd))?.[1] ?? []
    } catch {
      return []
    }
  })
  return open.filter((inode) => !known.has(inode)).length
}

/** What comes back for bytes that are sent somewhere in the container, by the shell alone. */
const sent = (host: string, port: number | string, bytes: string) =>
  `({ exec 9<>/dev/tcp/${host}/${port}; } 2>/dev/null && { printf '${bytes}' >&9; cat <&9; } || echo NO WAY)`
const get = (path: string, host = 'x') => `GET ${path} HTTP/1.1\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n`
const connect = (authority: string, bytes: string, host = 'x') =>
  `CONNECT ${authority} HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n${bytes}`
const proxied = (bytes: string) => sent('127.0.0.1', 808, bytes)

describe.skipIf(mustSkip)('a container with a network of its own', () => {
  let model: DemoModel
  let server: TestServer
  const closing: (() => void)[] = []
  const listen = async (address: string, answer: RequestListener) => {
    const each = createServer(answer)
    await new Promise<void>((resolve) => each.listen(0, address, resolve))
    closing.push(
      () => each.closeAllConnections(),
      () => void each.close(),
    )
    return (each.address() as AddressInfo).port
  }
  beforeAll(async () => {
    model = await startDemoModel()
    const image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), [...binary, PERL])
    cpSync(PERL, join(image, PERL))
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', container_images: [`small=${image}`] },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    for (const close of closing) close()
  })

  const make = async (networking: object, config: object = {}) => {
    const body = { name: 'x', config: { type: 'container', image: 'small', networking, ...config } }
    return (await server.post<Environment>('/v1/environments', body)).id
  }
  const told = async (id: string) => {
    const events = (await server.events(id)).filter(({ type }) => type === 'agent.tool_result')
    return (events as (SessionEvent & { content: unknown })[]).map(({ content }) => JSON.stringify(content))
  }
  const played = async (environment_id: string, commands: string[], more: object = {}) => {
    const prompt = script([...commands.map(bash), { say: 'done' }])
    const { id } = await server.create(prompt, { agent: FREE, environment_id, ...more })
    const session = await server.idle(id)
    expect([session.last_error, session.result?.text]).toEqual([null, 'done'])
    return told(id)
  }

  test('EN44 with a limited network a container reaches its model and the hosts of its list, and nothing else of the machine', async () => {
    const asked: string[] = []
    const other = await listen('127.0.0.1', ({ url }, response) => {
      asked.push(url!)
      response.end('CANARY')
    })
    const held: number[] = []
    const before = socketsElsewhere()
    const listed = await listen(LISTED, ({ url, headers }, response) => {
      held.push(socketsElsewhere())
      response.end(`seen ${url} at ${headers.host}`)
    })
    const troupe = new URL(server.url).port
    const environment = await make({ type: 'limited', allowed_hosts: [LISTED] })
    const [around, ...results] = await played(environment, [
      'ls /sys/class/net; echo "$HTTPS_PROXY $http_proxy $NO_PROXY $ANTHROPIC_BASE_URL"; cat /etc/resolv.conf',
      sent('127.0.0.1', troupe, get('/v1/info')),
      sent('127.0.0.1', other, get('/')),
      sent(LISTED, listed, get('/')),
      sent('127.0.0.1', new URL(model.url).port, get('/v1/models')),
      proxied(get(`http://127.0.0.1:${troupe}/v1/info`)),
      proxied(connect(`127.0.0.1:${other}`, get('/'))),
      proxied(connect('example.org:443', '')),
      proxied(get('http://example.org/')),
      proxied(get('/v1/info')),
      proxied(get(`http://${LISTED}:${listed}/page?q=1`)),
      proxied(connect(`${LISTED}:${listed}`, get('/tunnel'))),
    ])
    const url = 'http://127.0.0.1:808'
    expect(around).toContain(`\\nlo\\n${url} ${url} 127.0.0.1,localhost,::1 ${url}\\ncat: `)
    for (const result of results.slice(0, 4)) expect(result).toContain('"NO WAY"')
    for (const result of results.slice(4, 8)) expect(result).toContain('HTTP/1.1 403 Forbidden')
    expect(results[8]).toContain('HTTP/1.1 404 Not Found')
    expect(results[9]).toContain(`seen /page?q=1 at ${LISTED}:${listed}"`)
    expect(results[10]).toContain('seen /tunnel at x"')
    expect([results.join().includes('CANARY'), asked]).toEqual([false, []])
    // The socket that listened in it has ended with it.
    expect(Math.min(...held)).toBeGreaterThan(before)
    await expect.poll(socketsElsewhere).toBe(before)
    // As before, where nothing is said of the network.
    expect(await played(await make({ type: 'unrestricted' }), [sent('127.0.0.1', other, get('/'))])).toMatchObject([
      expect.stringContaining('CANARY'),
    ])
  })

  test('EN45 the list of a container is not left by spellings, redirects, a Host, names, or what knows no namespaces', async () => {
    const asked: string[] = []
    const other = await listen('127.0.0.1', ({ url }, response) => {
      asked.push(url!)
      response.end('CANARY')
    })
    const listed = await listen(LISTED, ({ headers }, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${other}/moved` }).end(`at ${headers.host}`),
    )
    const environment = await make({ type: 'limited', allowed_hosts: [LISTED, 'localhost', '*.0.0.1'] })
    const away = ['127.0.0.1', '127.1', '2130706433', '0x7f.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', 'localhost']
    const results = await played(environment, [
      ...away.map((host) => proxied(connect(`${host}:${other}`, get('/')))),
      proxied(connect(`${LISTED}@127.0.0.1:${other}`, get('/'))),
      proxied(get(`http://${LISTED}@127.0.0.1:${other}/`)),
      proxied(get(`//127.0.0.1:${other}/`)),
      proxied(connect(`${LISTED}:${listed}`, get('/'), `127.0.0.1:${other}`)),
      proxied(get(`http://${LISTED}:${listed}/`, `127.0.0.1:${other}`)),
      'perl -e \'print socket(my $s, 40, 1, 0) ? "A WAY" : "REFUSED $!"\'',
    ])
    const [tunnelled, redirected, family] = results.splice(-3)
    for (const [index, result] of results.entries())
      expect([index, result]).toEqual([index, expect.stringMatching(/HTTP\/1.1 (400|403|404) /)])
    expect(tunnelled).toContain('HTTP/1.1 302 Found')
    expect(redirected).toMatch(
      new RegExp(`302 Found.*location: http://127.0.0.1:${other}/moved.*at ${LISTED}:${listed}\\\\r`),
    )
    expect(family).toContain('REFUSED Address family not supported')
    expect(asked).toEqual([])
  })

  test('EN46 setup, MCP servers and the tools of the client go by the network of their container', async () => {
    const listed = await listen(LISTED, (_, response) => response.end('reached'))
    const mcp = await mcpServer(LISTED)
    closing.push(() => mcp.close())
    const setup = [
      `${sent('127.0.0.1', new URL(server.url).port, get('/v1/info'))} > troupe`,
      `${proxied(get(`http://${LISTED}:${listed}/`))} > listed`,
      `${proxied('POST /v1/messages HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')} > model`,
    ].map((command) => `bash -c '${command.replaceAll("'", `'\\''`)}'`)
    const environment_id = await make({ type: 'limited', allowed_hosts: [LISTED] }, { setup })
    const weather = { type: 'custom', name: 'get_weather', description: 'x', input_schema: { type: 'object' } }
    const agent = {
      ...FREE,
      mcp_servers: [{ type: 'url', name: 'desk', url: mcp.url }],
      tools: [
        weather,
        {
          type: 'mcp_toolset',
          mcp_server_name: 'desk',
          default_config: { permission_policy: { type: 'always_allow' } },
        },
      ],
    }
    const call = (name: string) => ({ tools: [{ name, input: {} }] })
    const prompt = script([
      bash('cat troupe listed model'),
      call('mcp__desk__add'),
      call('mcp__client__get_weather'),
      { say: 'done' },
    ])
    const { id } = await server.create(prompt, { agent, environment_id })
    const waiting = await server.idle(id)
    expect(waiting.required_actions).toMatchObject([{ type: 'custom_tool_result', tool_name: 'get_weather' }])
    expect(mcp.called).toEqual(['add'])
    const { event_id } = waiting.required_actions[0]!
    const content = [{ type: 'text', text: 'seven degrees' }]
    await server.post(`/v1/sessions/${id}/events`, {
      events: [{ type: 'user.custom_tool_result', custom_tool_use_id: event_id, content }],
    })
    expect((await server.idle(id)).result?.text).toBe('done')
    expect((await told(id))[0]).toMatch(/NO WAY.*200 OK.*reached.*404 Not Found/)
    expect((await server.app.store.loadTranscript(id, '')).join()).toContain('seven degrees')
    // Nobody else's, and nothing else of the server.
    const mine = `/internal/client-tools/${id}`
    const post = (path: string) =>
      `POST ${path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n`
    await server.send(id, script([bash(proxied(post(`${mine}x`))), bash(proxied(get(mine))), { say: 'again' }]))
    expect((await server.idle(id)).result?.text).toBe('again')
    for (const result of (await told(id)).slice(-2)) expect(result).toContain('There is no way')
  })
})

test.skipIf(mustSkip || spawnSync('openssl', ['version']).status !== 0)(
  'EN44 a model that the agent asks by https itself is reached wherever it lies, and no other port of its host',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-tls-'))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const words = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=model.test -addext subjectAltName=IP:${LISTED} -keyout ${key} -out ${cert}`
    expect(spawnSync('openssl', words.split(' ')).status).toBe(0)
    const model = await startDemoModel()
    const models = createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
      const onward = connectTo(Number(new URL(model.url).port), '127.0.0.1')
      socket.pipe(onward).pipe(socket)
      socket.on('error', () => onward.destroy())
      onward.on('error', () => socket.destroy())
    })
    await new Promise<void>((resolve) => models.listen(0, LISTED, resolve))
    const { port } = models.address() as AddressInfo
    const image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), binary)
    const server = await testServer(
      { agent_executable: undefined, credential_proxy: 'off', container_images: [`small=${image}`] },
      { env: { ANTHROPIC_BASE_URL: `https://${LISTED}:${port}`, NODE_EXTRA_CA_CERTS: cert } },
    )
    onTestFinished(async () => {
      await server.stop()
      models.close()
      await model.close()
    })
    const config = { type: 'container', image: 'small', networking: { type: 'limited' } }
    const { id: environment_id } = await server.post<Environment>('/v1/environments', { name: 'x', config })
    const look = bash(proxied(connect(`${LISTED}:${new URL(server.url).port}`, get('/v1/info'))))
    const { id } = await server.create(script([look, { say: 'done' }]), { agent: FREE, environment_id })
    const session = await server.idle(id)
    expect([session.last_error, session.result?.text]).toEqual([null, 'done'])
    const results = (await server.events(id)).filter(({ type }) => type === 'agent.tool_result')
    expect(JSON.stringify(results)).toContain('HTTP/1.1 403 Forbidden')
  },
)

test.skipIf(mustSkip)(
  'EN47 after kill -9 of the server nothing is left of the network of a container, nor of what listened there',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
    const image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), [])
    const flags = { container_images: [`small=${image}`] }
    let server = await killableServer(folder, flags)
    const setup = ['touch began; sleep 987653; touch late']
    const networking = { type: 'limited' }
    const config = { type: 'container', image: 'small', setup, networking }
    const { id: environment_id } = await server.call<Environment>('/v1/environments', { name: 'x', config })
    const initial_events = [{ type: 'user.message', content: 'say never' }]
    const { id, cwd } = await server.call<Session>('/v1/sessions', { environment_id, initial_events })
    await expect.poll(() => existsSync(join(cwd, 'began'))).toBe(true)
    const [name = ''] = readdirSync(join(folder, 'data', 'containers'))
    /** Processes of the container, and of what made it: their words and their networks. */
    const processes = () =>
      globSync('/proc/[0-9]*').flatMap((place) => {
        try {
          const words = readFileSync(join(place, 'cmdline'), 'utf8').replaceAll('\0', ' ')
          return [{ words, network: readlinkSync(join(place, 'ns', 'net')) }]
        } catch {
          return []
        }
      })
    const own = readlinkSync('/proc/self/ns/net')
    const network = processes().find(({ words }) => words === 'sleep 987653 ')!.network
    expect(network).not.toBe(own)
    // Nothing of ours stays in it: what listens there is held by the server, from outside.
    const within = processes().filter((each) => each.network === network)
    expect(within.filter(({ words }) => !/^(\/bin\/sh|sh|sleep) /.test(words))).toEqual([])
    await server.kill()
    const left = () => processes().filter((each) => each.network === network || each.words.includes(name))
    await expect.poll(left).toEqual([])
    server = await killableServer(folder, flags)
    await expect.poll(() => readdirSync(join(folder, 'data', 'containers')).includes(name)).toBe(false)
    await server.call(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    await server.call(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
    await server.stop()
  },
)

test.skipIf(mustSkip)('EN48 a network that cannot be limited here, and a list that is none, are refused', async () => {
  const image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), [])
  // As a machine whose kernel has no such namespaces.
  const runtime = join(image, '..', `${basename(image)}-runtime`)
  const words = 'grep -q \'"type":"network"\' config.json && { echo no network here >&2; exit 1; }'
  writeFileSync(runtime, `#!/bin/sh\n${words}\nexec runc "$@"\n`, { mode: 0o755 })
  const server = await testServer({ container_images: [`small=${image}`], container_runtime: runtime })
  onTestFinished(() => server.stop())
  const save = (networking: object | null, path = '') =>
    server.request('POST', `/v1/environments${path}`, {
      ...(path === '' && { name: 'x' }),
      config: { type: 'container', image: 'small', networking },
    })
  const tried = async (allowed_hosts: unknown, more: object = {}) => {
    const { status, body } = await save({ type: 'limited', allowed_hosts, ...more })
    return [status, body.code]
  }
  const refused = [400, 'validation_failed']
  for (const host of ['', 'https://example.org', 'example.org:443', '*', '*.', 'a b', 'x'.repeat(254), '::1', 7])
    expect([host, ...(await tried([host]))]).toEqual([host, ...refused])
  expect(await tried(Array.from({ length: 257 }, (_, index) => `h${index}.example.org`))).toEqual(refused)
  expect(await tried('example.org')).toEqual(refused)
  expect(await tried([], { hosts: [] })).toEqual(refused)
  const { status, body } = await save({ type: 'limited' })
  expect([status, body.code]).toEqual([503, 'container_unavailable'])
  expect(body.detail).toContain('no network here')
  const saved = await save(null)
  expect([saved.status, (saved.body.config as Environment['config']).networking]).toEqual([
    200,
    { type: 'unrestricted' },
  ])
  expect((await save({ type: 'limited' }, `/${String(saved.body.id)}`)).status).toBe(503)
  await server.restart({ container_runtime: 'runc' })
  const limited = await save({ type: 'limited', allowed_hosts: ['example.org'] }, `/${String(saved.body.id)}`)
  expect([limited.status, (limited.body.config as Environment['config']).networking]).toEqual([
    200,
    {
      type: 'limited',
      allowed_hosts: ['example.org'],
      allow_mcp_servers: false,
      allow_package_managers: false,
    },
  ])
  // A machine that cannot do it any more begins no session there.
  await server.restart({ container_runtime: runtime })
  const begun = await server.request('POST', '/v1/sessions', { environment_id: saved.body.id })
  expect([begun.status, begun.body.code]).toEqual([503, 'container_unavailable'])
  const mcp_servers = [{ type: 'url', name: 'desk', url: 'https://elsewhere.example/mcp' }]
  const tools = [{ type: 'mcp_toolset', mcp_server_name: 'desk' }]
  const agent = { type: 'inline', mcp_servers, tools }
  await server.restart({ container_runtime: 'runc' })
  const beyond = await server.request('POST', '/v1/sessions', { environment_id: saved.body.id, agent })
  expect([beyond.status, beyond.body.code]).toEqual([400, 'mcp_server_refused'])
})
