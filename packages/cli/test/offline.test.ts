import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { COMMANDS } from '../src/commands.ts'
import { BIN, runCli, startCli, tempFolder } from './support/cli.ts'
import { fakeServer, json } from './support/server.ts'

/** Makes the command's pauses short. */
const IMPATIENT =
  'const { setTimeout } = globalThis; globalThis.setTimeout = (f, ms, ...r) => setTimeout(f, ms / 100, ...r)'

const NOBODY = 'http://127.0.0.1:9'

test('help names every command and the exit codes, and each command has its own', async () => {
  const help = await runCli(['--help'])
  expect(help).toMatchObject({ code: 0, stderr: '' })
  for (const name of COMMANDS.keys()) expect(help.stdout).toContain(`\n  ${name} `)
  expect(help.stdout).toMatch(/130\s+interrupted/)
  const each = await Promise.all([...COMMANDS.keys()].map((name) => runCli([name, '--help'])))
  for (const { code, stdout, stderr } of each) {
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('--json')
  }
})

test('help is fast because it loads no command, client or server', () => {
  const seen = new Set<string>()
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, from] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?!type )(?:[^'\n]|\n(?!import))*?'([^']+)'/gm,
    )) {
      expect(from, file).not.toMatch(/^@troupe\/|^zod/)
      if (from!.startsWith('.') && from!.endsWith('.ts')) visit(resolve(dirname(file), from!))
    }
  }
  visit(fileURLToPath(new URL('../src/main.ts', import.meta.url)))
  expect([...seen].filter((file) => file.includes('/commands/'))).toEqual([])
  expect(seen.size).toBeGreaterThan(4)
})

test('a command that is wrong is exit code 2 and one plain message', async () => {
  const wrong = [['frobnicate'], ['ls', '--bogus'], ['show'], ['logs', 'a', 'b'], ['ls', '--limit', 'many'], ['run']]
  for (const { code, stdout, stderr } of await Promise.all(wrong.map((args) => runCli(args, { url: NOBODY })))) {
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^✗ .+ See troupe (\w+ )?--help\.\n$/)
  }
})

test('a server that does not answer is exit code 3, and JSON is asked for in JSON', async () => {
  const [plain, asJson] = await Promise.all([
    runCli(['ls'], { url: NOBODY }),
    runCli(['--json', 'ls'], { url: NOBODY }),
  ])
  expect(plain).toMatchObject({ code: 3, stdout: '' })
  expect(plain.stderr).toMatch(/^✗ No answer from http:\/\/127.0.0.1:9: .*troupe serve/)
  expect([asJson.code, JSON.parse(asJson.stderr)]).toMatchObject([3, { error: { code: 'unreachable' } }])
})

test('a refused key is exit code 4, and the key is sent as bearer token', async () => {
  let sent: string | undefined
  await using server = await fakeServer((response) => {
    sent = response.req.headers.authorization
    json(response, 401, { code: 'invalid_api_key', detail: 'No such key.' })
  })
  const refused = await runCli(['ls', '--api-key', 'k1'], { url: server.url, env: { TROUPE_API_KEY: 'k2' } })
  expect([refused.code, refused.stderr, sent]).toEqual([4, '✗ No such key.\n', 'Bearer k1'])
})

test('a turn that waits for an approval is exit code 5', async () => {
  const session = { type: 'session', id: 'sesn_1', status: 'idle', cwd: '/w', model_source: 'configured', usage: {} }
  const events = [
    { type: 'user.message', content: 'go' },
    { type: 'turn.started' },
    { type: 'session.status_idle', stop_reason: { type: 'requires_action', event_ids: [] } },
  ].map((event, index) => ({
    id: `e${index}`,
    seq: index + 1,
    turn_id: 'turn_1',
    created_at: '2026-01-01T00:00:00Z',
    ...event,
  }))
  await using server = await fakeServer((response, url) => {
    if (!url.includes('/stream')) return json(response, 200, session)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    return response.write(events.map((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
  })
  const { code, stderr } = await runCli(['run', 'go'], { url: server.url })
  expect([code, stderr]).toEqual([5, expect.stringContaining('waits for an approval')])
})

test('a server that goes away in the middle of a run is exit code 3, and the session is named', async () => {
  const session = { type: 'session', id: 'sesn_1', status: 'running', cwd: '/w', model_source: 'configured' }
  const server = await fakeServer((response, url) => {
    if (!url.includes('/stream')) return json(response, 200, session)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`id: 1\ndata: ${JSON.stringify({ seq: 1, type: 'session.created', turn_id: null })}\n\n`)
    return setImmediate(() => void server[Symbol.asyncDispose]())
  })
  const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(IMPATIENT)}` }
  const { code, stderr } = await runCli(['run', 'go'], { url: server.url, env })
  expect([code, stderr]).toEqual([3, expect.stringMatching(/trying again \(10 of 10\)[^]*troupe logs -f sesn_1\n$/)])
})

test('an old Node is told what is missing, without a stack trace', () => {
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })'
  const run = () =>
    execFileSync(process.execPath, ['--import', `data:text/javascript,${old}`, BIN, 'ls'], { stdio: 'pipe' })
  expect(run).toThrow(/Troupe needs Node 22\.12 or newer; this is 20\.20\.2/)
})

test('everything wrong with the configuration is said at once, with exit code 2', async () => {
  using folder = tempFolder()
  const { code, stderr } = await runCli(['serve', '--port', 'abc', '--demo-model', 'maybe'], {
    cwd: folder.path,
    env: { TROUPE_MAX_RUNNING: '0' },
  })
  expect(code).toBe(2)
  for (const name of ['--port', '--demo-model', 'TROUPE_MAX_RUNNING']) expect(stderr).toContain(`- ${name}: `)
  expect(stderr).not.toMatch(/\n\s+at /)
})

test('a server starts, holds its data folder against a second one, and ends on a signal', async () => {
  using folder = tempFolder()
  const options = { cwd: folder.path, env: { NODE_ENV: 'test' } }
  const server = startCli(['serve', '--port', '0', '--demo-model', 'on'], options)
  await server.says('"serving"')
  expect(existsSync(join(folder.path, '.troupe'))).toBe(true)
  const second = await runCli(['serve', '--port', '0'], options)
  expect([second.code, second.stdout]).toEqual([1, ''])
  expect(second.stderr).toMatch(/^✗ The data folder .* is in use by another Troupe server.*\n$/)
  server.child.kill('SIGTERM')
  expect((await server.finished).code).toBe(0)
})

test('a port that is taken is said plainly', async () => {
  using folder = tempFolder()
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as AddressInfo
  const { code, stderr } = await runCli(['serve', '--demo-model', 'on', '--port', String(port)], { cwd: folder.path })
  taken.close()
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^✗ Port \d+ of 127\.0\.0\.1 is taken\..*\n$/)])
})

test('doctor checks everything a server needs and says what to do', async () => {
  using folder = tempFolder()
  mkdirSync(join(folder.path, 'data'))
  const env = { ANTHROPIC_API_KEY: 'k' }
  const [good, bad] = await Promise.all([
    runCli(['doctor', '--json', '--port', '0', '--data-dir', 'data'], { cwd: folder.path, env }),
    runCli(['doctor', '--port', '0', '--agent-executable', '/nowhere/claude', '--log-level', 'loud'], {
      cwd: folder.path,
      env,
    }),
  ])
  const { ok, checks } = JSON.parse(good.stdout) as { ok: boolean; checks: { name: string; status: string }[] }
  expect([good.code, ok]).toEqual([0, true])
  expect(checks.map(({ name }) => name)).toEqual(
    'configuration|node|agent|containment|data|port|model|permissions|agent user|sandbox|containers'.split('|'),
  )
  expect(bad.code).toBe(1)
  expect(bad.stdout).toMatch(/✗ configuration .*--log-level/)
  expect(bad.stdout).toMatch(/✓ node/)
})

test('doctor tells a missing agent, a folder that cannot be written and a foreign port apart', async () => {
  using folder = tempFolder()
  writeFileSync(join(folder.path, 'file'), '')
  await using other = await fakeServer((response) => json(response, 200, { hello: 'world' }))
  await using troupe = await fakeServer((response) => json(response, 200, { name: 'troupe', version: '9.9.9' }))
  const portOf = ({ url }: { url: string }) => new URL(url).port
  const [bad, there] = await Promise.all([
    runCli(
      [
        'doctor',
        '--port',
        portOf(other),
        '--agent-executable',
        '/nowhere/claude',
        '--data-dir',
        'file/data',
        '--demo-model',
        'off',
        '--container-images',
        'small=/nowhere',
      ],
      { cwd: folder.path },
    ),
    runCli(['doctor', '--port', portOf(troupe)], { cwd: folder.path }),
  ])
  expect(bad.code).toBe(1)
  for (const name of ['agent', 'data', 'port', 'model']) expect(bad.stdout).toMatch(new RegExp(`✗ ${name} `))
  expect(bad.stdout).toMatch(/containers .*image "small" is not there/)
  expect(there.stdout).toMatch(/✓ port .*Troupe 9\.9\.9 already serves/)
})

test('the demo model prints the two variables that point an agent at it', async () => {
  const model = startCli(['demo-model'])
  await model.says('ANTHROPIC_API_KEY')
  model.child.kill('SIGINT')
  const { code, stdout } = await model.finished
  expect(code).toBe(0)
  expect(stdout).toMatch(/^export ANTHROPIC_BASE_URL=http:\/\/127\.0\.0\.1:\d+\nexport ANTHROPIC_API_KEY=demo\n$/)
})
