import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { Environment } from '@troupe/protocol/environment'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { killableServer } from './support/killable-server.ts'
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

describe.skipIf(mustSkip)('the genuine agent in a container', () => {
  let model: DemoModel
  let server: TestServer
  let image = ''
  beforeAll(async () => {
    model = await startDemoModel()
    image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), binary)
    server = await testServer(
      {
        agent_executable: undefined,
        demo_model: 'on',
        container_images: [`small=${image}`, `broken=${tmpdir()}/none`],
      },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })

  const make = async (config: object = {}) =>
    (
      await server.post<Environment>('/v1/environments', {
        name: 'x',
        config: { type: 'container', image: 'small', ...config },
      })
    ).id
  const told = async (id: string) => {
    const events = (await server.events(id)).filter(({ type }) => type === 'agent.tool_result')
    return (events as (SessionEvent & { content: unknown })[]).map(({ content }) => JSON.stringify(content))
  }
  const played = async (environment_id: string, commands: string[], more: object = {}) => {
    const prompt = script([...commands.map(bash), { say: 'done' }])
    const { id } = await server.create(prompt, { agent: FREE, environment_id, ...more })
    const session = await server.idle(id)
    expect([session.last_error, session.result?.text]).toEqual([null, 'done'])
    return { session, results: await told(id) }
  }

  test('EN36 an agent in a container sees its image, its workdir and its home, and nothing else of the machine', async () => {
    const secret = join(server.folder, 'secret')
    writeFileSync(secret, 'CANARY')
    const { session, results } = await played(await make({ env: { COLOUR: 'red' } }), [
      `cat ${secret} || echo HIDDEN`,
      `ls ${join(server.folder, 'data')} ${join(server.folder, 'data', 'sessions')} | sort`,
      'echo "$COLOUR $(id -u)" > made; ls /; touch /etc/x || echo READ-ONLY',
      'echo kept > "$HOME/kept"; echo kept > "$TMPDIR/kept"; cat /proc/self/status',
      'ls -d /proc/[0-9]* | head -n 40',
      `ln -s ${secret} "$CLAUDE_CONFIG_DIR/settings.json"; mkdir -p "$HOME/.config"`,
    ])
    expect(results[0]).toContain('HIDDEN')
    expect(results[1]).toContain('sessions')
    expect(results[1]).not.toMatch(/troupe\.db/)
    expect(results[2]).toContain('READ-ONLY')
    expect(readFileSync(join(session.cwd, 'made'), 'utf8')).toBe('red 0\n')
    expect(readFileSync(join(session.cwd, '..', 'home', 'kept'), 'utf8')).toBe('kept\n')
    expect(results[3]).toMatch(/CapEff:\\t0000000000000000.*CapBnd:\\t0000000000000000.*NoNewPrivs:\\t1/)
    expect(results[4]!.match(/proc/g)!.length).toBeLessThan(12)
    expect(JSON.stringify(results)).not.toContain('CANARY')
    expect(readdirSync(image).toSorted()).toEqual(
      ['bin', 'etc', 'lib', 'lib64', 'opt', 'usr'].filter((name) => existsSync(join(image, name))),
    )
    // The conversation goes on in another container, on what was kept.
    await server.restart()
    const before = model.requests.list().at(-1)!.messageCount
    const look = 'cat made "$HOME/kept"; for f in "$CLAUDE_CONFIG_DIR"/*.json; do cat "$f"; done'
    await server.send(session.id, script([bash(look), { say: 'again' }]))
    expect((await server.idle(session.id)).result!.text).toBe('again')
    expect((await told(session.id)).at(-1)).toContain('red 0')
    expect((await told(session.id)).at(-1)).not.toContain('CANARY')
    expect(model.requests.list().at(-1)!.messageCount).toBeGreaterThan(before)
    await server.app.stop()
    expect(readdirSync(join(server.folder, 'data', 'containers'))).toEqual([])
    await server.restart()
  })

  test('EN37 what a container may have is bounded, and its setup runs in it', async () => {
    const setup = [
      'ls /usr/bin > programs; touch began; while ! test -e go; do sleep 0.1; done',
      'for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 2 & done',
    ]
    const little = await make({ resources: { pids: 16, memory_mb: 256, cpus: 1.5 }, setup })
    const { id, cwd } = await server.create('say never', { environment_id: little })
    await expect.poll(() => existsSync(join(cwd, 'began'))).toBe(true)
    const [quota] = globSync('/sys/fs/cgroup/**/troupe-*/{cpu.cfs_quota_us,cpu.max}')
    expect(readFileSync(quota!, 'utf8')).toMatch(/^150000\b/)
    writeFileSync(join(cwd, 'go'), '')
    const failed = await server.idle(id)
    expect(failed.last_error).toMatchObject({ code: 'setup_failed', number: 2 })
    expect(failed.last_error!.message).toMatch(/fork/i)
    expect(readFileSync(join(cwd, 'programs'), 'utf8')).toContain('cat')
    expect(readFileSync(join(cwd, 'programs'), 'utf8')).not.toContain('apt')
    const narrow = await make({
      resources: { memory_mb: 64 },
      setup: ['head -c 300000000 /dev/zero | sort > /dev/null'],
    })
    const large = await server.create('say never', { environment_id: narrow })
    expect((await server.idle(large.id)).last_error).toMatchObject({ code: 'setup_failed', number: 1 })
  })

  test('EN38 an image that there is not, a worktree and a folder around the data are refused', async () => {
    const tried = async (config: object) => {
      const { status, body } = await server.request('POST', '/v1/environments', {
        name: 'x',
        config: { type: 'container', ...config },
      })
      return [status, body.code]
    }
    expect(await tried({ image: 'other' })).toEqual([503, 'container_unavailable'])
    expect(await tried({ image: 'broken' })).toEqual([503, 'container_unavailable'])
    expect(await tried({})).toEqual([400, 'validation_failed'])
    expect(await tried({ image: 'small', worktree: { repository: server.folder } })).toEqual([
      400,
      'unsupported_feature',
    ])
    expect(await tried({ image: 'small', resources: { memory_mb: 1 } })).toEqual([400, 'validation_failed'])
    const environment_id = await make()
    for (const cwd of ['/', server.folder, join(server.folder, 'data'), '/proc', '/tmp']) {
      const { status, body } = await server.request('POST', '/v1/sessions', { environment_id, cwd })
      expect([cwd, status, body.code]).toEqual([cwd, 403, 'cwd_not_allowed'])
    }
    const named = join(mkdtempSync(join(tmpdir(), 'troupe-named-')), 'in')
    mkdirSync(named)
    const link = `${named}-link`
    symlinkSync(named, link)
    const { status, body } = await server.request('POST', '/v1/sessions', { environment_id, cwd: link })
    expect([status, body.code]).toEqual([403, 'cwd_not_allowed'])
    const { session } = await played(environment_id, ['echo here > made'], { cwd: named })
    expect(readFileSync(join(named, 'made'), 'utf8')).toBe('here\n')
    // As an agent whose workdir is around this one could.
    renameSync(named, `${named}-moved`)
    symlinkSync(server.folder, named)
    await server.send(session.id, script([bash('ls'), { say: 'never' }]))
    const failed = await server.idle(session.id)
    expect([failed.stop_reason, failed.last_error?.code]).toEqual([{ type: 'retries_exhausted' }, 'agent_unavailable'])
    expect(failed.last_error!.message).toContain('link')
  })
})

test.skipIf(mustSkip)(
  'EN39 kill -9 of the server ends its containers, and the next one takes away what is left of them',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
    const image = makeRootFileSystem(mkdtempSync(join(tmpdir(), 'troupe-image-')), [])
    const flags = { container_images: [`small=${image}`] }
    let server = await killableServer(folder, flags)
    const config = { type: 'container', image: 'small', setup: ['touch began; sleep 987654; touch late'] }
    const { id: environment_id } = await server.call<Environment>('/v1/environments', { name: 'x', config })
    const initial_events = [{ type: 'user.message', content: 'say never' }]
    const { id, cwd } = await server.call<Session>('/v1/sessions', { environment_id, initial_events })
    await expect.poll(() => existsSync(join(cwd, 'began'))).toBe(true)
    const running = () =>
      spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter((line) => line.endsWith('sleep 987654'))
    expect(running().length).toBeGreaterThan(0)
    const containers = join(folder, 'data', 'containers')
    const [name] = readdirSync(containers)
    await server.kill()
    await expect.poll(() => running().length).toBe(0)
    expect(readdirSync(containers)).toEqual([name])
    // Of one whose runtime died while it made it there are groups, and no word of them.
    const half = 'troupe-half-made'
    mkdirSync(join(containers, half, 'layers'), { recursive: true })
    const [, mount = '', path = ''] = /^\d+:(pids|):(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))!
    const group = join('/sys/fs/cgroup', mount, path, half)
    mkdirSync(group)
    server = await killableServer(folder, flags)
    for (const gone of [name, half]) expect(readdirSync(containers)).not.toContain(gone)
    expect(existsSync(group)).toBe(false)
    expect(globSync(`/sys/fs/cgroup/**/${name}`)).toEqual([])
    await server.call(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    await server.call(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
    await server.stop()
  },
)
