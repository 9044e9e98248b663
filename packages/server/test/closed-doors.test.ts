import { request as rawRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentEnv } from '../src/runner/agent-env.ts'
import { chooseModelSource } from '../src/agents/model-source.ts'
import { bypassProblem } from '../src/agents/agent-binary.ts'
import { ConfigError, loadConfig } from '../src/config.ts'
import { startApp } from '../src/app.ts'
import { type TestServer, testEnv, testServer } from './support/server.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `fetch` does not let a caller set Host. */
function ask(url: string, headers: Record<string, string>, method = 'GET', path = '/v1/info') {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }>((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const sent = rawRequest({ hostname, port, path, method, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('closed doors', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  test('K1 a name that was rebound to this machine is refused; the names of this machine are not', async () => {
    for (const host of [
      'evil.example',
      'evil.example:8000',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
    ])
      expect([host, (await ask(server.url, { host })).status]).toEqual([host, 421])
    for (const host of ['localhost', 'localhost:8000', 'LOCALHOST', '127.0.0.1', '127.9.9.9:1', '[::1]:8000'])
      expect([host, (await ask(server.url, { host })).status]).toEqual([host, 200])
  })

  test('K2 a page of another site cannot read, write or preflight; a page of our own can', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1'])
      for (const method of ['GET', 'POST', 'OPTIONS'])
        expect([origin, method, (await ask(server.url, { origin }, method)).status]).toEqual([origin, method, 403])
    const { host } = new URL(server.url)
    const own = await ask(server.url, { host, origin: `http://${host}` })
    expect([own.status, own.headers['access-control-allow-origin']]).toEqual([200, undefined])
  })

  test('K3 a body that a foreign form can send is 415 everywhere', async () => {
    for (const path of ['/v1/sessions', '/execute/', '/v1/sessions/prune'])
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])
        expect([path, type, (await server.request('POST', path, '{}', { 'content-type': type })).status]).toEqual([
          path,
          type,
          415,
        ])
  })
})

test('K4 configured origins may use the server, and never with credentials', async () => {
  const server = await testServer({ cors_origins: 'https://app.example,null' })
  for (const origin of ['https://app.example', 'null']) {
    const { status, headers } = await ask(server.url, { origin })
    expect([status, headers['access-control-allow-origin'], headers.vary]).toEqual([200, origin, 'origin'])
    expect(headers['access-control-allow-credentials']).toBeUndefined()
  }
  const preflight = await ask(
    server.url,
    {
      origin: 'https://app.example',
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'content-type',
    },
    'OPTIONS',
  )
  expect(preflight).toMatchObject({
    status: 204,
    headers: { 'access-control-allow-methods': 'GET, POST, DELETE', 'access-control-allow-headers': 'content-type' },
  })
  expect((await ask(server.url, { origin: 'https://other.example' })).status).toBe(403)
  await server.stop()
  const open = await testServer({ cors_origins: '*' })
  expect((await ask(open.url, { origin: 'https://any.example' })).headers['access-control-allow-origin']).toBe('*')
  await open.stop()
})

describe('configuration', () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-config-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const problems = (sources: Parameters<typeof loadConfig>[0]): string[] => {
    try {
      loadConfig({ env: {}, cwd: folder, ...sources })
      return []
    } catch (error) {
      if (error instanceof ConfigError) return error.problems
      throw error
    }
  }

  test('K5 flags win over the environment, that over .env, that over the file, that over the default', () => {
    writeFileSync(
      join(folder, 'troupe.config.json'),
      JSON.stringify({ port: 1001, drain_seconds: 1, max_running: 1, log_level: 'warn' }),
    )
    writeFileSync(join(folder, '.env'), 'TROUPE_PORT=1002\nTROUPE_DRAIN_SECONDS=2\nTROUPE_MAX_RUNNING=2\n')
    const env = { TROUPE_PORT: '1003', TROUPE_DRAIN_SECONDS: '3' }
    const config = loadConfig({ flags: { port: '1004' }, env, cwd: folder })
    expect(config).toMatchObject({
      port: 1004,
      drain_seconds: 3,
      max_running: 2,
      log_level: 'warn',
      host: '127.0.0.1',
      data_dir: join(folder, '.troupe'),
    })
    rmSync(join(folder, 'troupe.config.json'))
    rmSync(join(folder, '.env'))
  })

  test('K6 everything that is wrong is said at once, with where it came from and what was received', () => {
    writeFileSync(join(folder, 'troupe.config.json'), JSON.stringify({ nonsense: 1, log_level: 'loud' }))
    const found = problems({
      flags: { port: 'x' },
      env: { TROUPE_PROT: '1', TROUPE_DEMO_MODEL: 'maybe', TROUPE_URL: 'http://x' },
    })
    rmSync(join(folder, 'troupe.config.json'))
    expect(found).toHaveLength(5)
    for (const said of ['nonsense', 'TROUPE_PROT', '--port', 'TROUPE_DEMO_MODEL', 'log_level'])
      expect(found.filter((problem) => problem.includes(said))).not.toEqual([])
    expect(found.find((problem) => problem.startsWith('--port'))).toContain('received "x"')
  })

  test('K7 an address beyond loopback is refused without keys', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.com'])
      expect(problems({ env: { TROUPE_HOST: host, TROUPE_AUTH: 'off' } })[0]).toMatch(/not a loopback address/)
    for (const host of ['127.0.0.1', 'localhost', '::1']) expect(problems({ env: { TROUPE_HOST: host } })).toEqual([])
  })

  test('K8 a second server on the same data folder says who holds it', async () => {
    const server = await testServer()
    const second = startApp(
      loadConfig({ flags: { port: 0, data_dir: join(server.folder, 'data') }, env: testEnv(), cwd: folder }),
    )
    await expect(second).rejects.toThrow(new RegExp(`in use by another Troupe server \\(process ${process.pid} on `))
    await server.stop()
  })

  test('K9 the demo model plays only without a credential and outside production, unless it is asked for', () => {
    const home = { HOME: folder }
    expect(chooseModelSource(home, 'auto').source).toBe('demo')
    expect(chooseModelSource({ ...home, NODE_ENV: 'production' }, 'auto').source).toBe('none')
    expect(chooseModelSource(home, 'off').source).toBe('none')
    for (const name of [
      'ANTHROPIC_API_KEY',
      'ANTHROPIC_AUTH_TOKEN',
      'CLAUDE_CODE_OAUTH_TOKEN',
      'ANTHROPIC_BASE_URL',
      'CLAUDE_CODE_USE_BEDROCK',
      'CLAUDE_CODE_USE_VERTEX',
    ])
      expect([name, chooseModelSource({ ...home, [name]: '1' }, 'auto').source]).toEqual([name, 'configured'])
    expect(chooseModelSource({ ...home, ANTHROPIC_API_KEY: '1' }, 'on').source).toBe('demo')
    const login = join(folder, '.credentials.json')
    writeFileSync(login, '{}')
    expect(chooseModelSource({ ...home, CLAUDE_CONFIG_DIR: folder }, 'auto')).toMatchObject({
      source: 'configured',
      storedLogin: login,
    })
  })
})

test('K10 without a model the server starts, says why it is not ready, and refuses new work', async () => {
  const server = await testServer(
    { demo_model: 'off' },
    { env: { ANTHROPIC_API_KEY: undefined, HOME: '/nonexistent' } },
  )
  expect(await server.request('GET', '/ready')).toMatchObject({ status: 503, body: { status: 'not_ready' } })
  expect((await server.request('GET', '/health')).status).toBe(200)
  expect(await server.request('POST', '/v1/sessions', {})).toMatchObject({
    status: 503,
    body: { code: 'model_unreachable' },
  })
  await server.stop()
})

test('K11 bypassed permissions that the binary would refuse are refused before the turn, with what to do', async () => {
  expect(bypassProblem({ IS_SANDBOX: '1' })).toBeNull()
  if (process.getuid?.() !== 0) return
  const server = await testServer({}, { env: { IS_SANDBOX: undefined } })
  const native = await server.request('POST', '/v1/sessions', {
    agent: { type: 'inline', permission_mode: 'bypassPermissions' },
  })
  const origin = await server.request('POST', '/execute/', { prompt: 'x', permission_mode: 'bypassPermissions' })
  for (const { status, body } of [native, origin]) {
    expect([status, body.code]).toEqual([400, 'permission_mode_refused'])
    expect(body.detail).toContain('IS_SANDBOX=1')
  }
  expect(await server.get('/sessions/')).toEqual([])
  await server.stop()
})

test('K12 of the server environment the agent gets what it needs, and nothing else', () => {
  const secret = 'canary'
  const server = {
    PATH: '/bin',
    HOME: '/home/x',
    LC_ALL: 'C',
    HTTPS_PROXY: 'http://proxy',
    ANTHROPIC_API_KEY: 'key',
    AWS_REGION: 'eu',
    CLAUDE_CODE_USE_BEDROCK: '1',
    IS_SANDBOX: '1',
    DATABASE_URL: secret,
    TROUPE_DATA_DIR: secret,
    GITHUB_TOKEN: secret,
    NODE_OPTIONS: secret,
    LD_PRELOAD: secret,
    CLAUDE_CODE_SSE_PORT: secret,
  }
  const env = agentEnv({
    background: true,
    server,
    caller: { MINE: 'yes' },
    configDir: '/config',
    home: null,
    model: {},
    version: '0',
  })
  expect(JSON.stringify(env)).not.toContain(secret)
  expect(env).toMatchObject({
    PATH: '/bin',
    ANTHROPIC_API_KEY: 'key',
    AWS_REGION: 'eu',
    IS_SANDBOX: '1',
    MINE: 'yes',
    CLAUDE_CONFIG_DIR: '/config',
  })
})
