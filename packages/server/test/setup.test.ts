import type { Policy } from '@troupe/protocol/access'
import type { Environment } from '@troupe/protocol/environment'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gitHost, makeRepository } from './support/git-host.ts'
import { killableServer } from './support/killable-server.ts'
import { FAKE_AGENT, type TestServer, testServer } from './support/server.ts'

const ENVIRONMENTS = '/v1/environments'
const SECRET = 'canary-of-the-environment'

describe('setup of environments', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer(
      {},
      { env: { ANTHROPIC_API_KEY: 'canary-of-the-server', HTTPS_PROXY: 'http://u:canary-of-the-proxy@h' } },
    )
  })
  afterAll(() => server.stop())

  const environment = async (setup: string[], more: object = {}) =>
    (await server.post<Environment>(ENVIRONMENTS, { name: 'x', config: { type: 'local', setup, ...more } })).id
  const setupOf = async (id: string) =>
    (await server.events(id)).filter(({ type }) => type.startsWith('session.setup_')) as (SessionEvent &
      Record<string, unknown>)[]

  test('EN23 the setup runs once in the workdir before the first turn, with what the agent has, and again for a fork', async () => {
    const id = await environment(['echo "$COLOUR" >> made', 'echo "$HOME" > home; cat home >&2; pwd'], {
      env: { COLOUR: 'red' },
    })
    const session = await server.create('env HOME', { environment_id: id })
    const first = await server.idle(session.id)
    await server.send(session.id, 'say two')
    await server.idle(session.id)
    await server.restart()
    await server.send(session.id, 'say three')
    await server.idle(session.id)
    expect(readFileSync(join(session.cwd, 'made'), 'utf8')).toBe('red\n')
    expect(readFileSync(join(session.cwd, 'home'), 'utf8').trim()).toBe(first.result!.text)
    const events = await setupOf(session.id)
    expect(events).toMatchObject([
      { type: 'session.setup_started', commands: 2, timeout_seconds: 600 },
      { number: 1, of: 2, command: 'echo "$COLOUR" >> made', result: 'completed', exit_code: 0, output: '' },
      { number: 2, of: 2, result: 'completed', output: `${first.result!.text}\n${session.cwd}\n`, truncated: false },
    ])
    const fork = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
    await server.send(fork.id, 'say x')
    await server.idle(fork.id)
    expect(readFileSync(join(fork.cwd, 'made'), 'utf8')).toBe('red\nred\n')
  })

  test('EN24 a command that fails or takes too long ends the turn, and the next one runs all of the setup again', async () => {
    const flag = join(server.folder, 'flag')
    const id = await environment([
      'echo begun >> log',
      `test -e ${flag} || { echo not there; exit 3; }`,
      'echo end >> log',
    ])
    const { id: session, cwd } = await server.create('say never', { environment_id: id })
    const failed = await server.idle(session)
    expect(failed.stop_reason).toEqual({ type: 'retries_exhausted' })
    expect(failed.last_error).toMatchObject({ code: 'setup_failed', number: 2, of: 3, exit_code: 3, result: 'failed' })
    expect(failed.last_error!.message).toContain('not there')
    expect(failed.usage.list_cost.amount).toBe('0')
    writeFileSync(flag, '')
    await server.send(session, 'say now')
    expect(await server.idle(session)).toMatchObject({ result: { text: 'now' }, last_error: null })
    expect(readFileSync(join(cwd, 'log'), 'utf8')).toBe('begun\nbegun\nend\n')
    const slow = await environment(['sleep 600 & wait'], { setup_timeout_seconds: 1 })
    const late = await server.create('say never', { environment_id: slow })
    expect((await server.idle(late.id)).last_error).toMatchObject({ code: 'setup_failed', result: 'timed_out' })
    expect(await setupOf(late.id)).toMatchObject([{ timeout_seconds: 1 }, { result: 'timed_out', signal: 'SIGKILL' }])
    const loud = await environment([`yes ${'x'.repeat(99)} | head -c 9000000; echo the end`])
    const { id: much } = await server.create('say heard', { environment_id: loud })
    expect((await server.idle(much)).result!.text).toBe('heard')
    const said = (await setupOf(much))[1]!
    expect([(said.output as string).length, said.truncated]).toEqual([8192, true])
    expect(said.output).toMatch(/the end\n$/)
  })

  test('EN25 an interrupt ends a command of the setup, a clone, and the wait for those of another session', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'troupe-setup-'))
    const id = await environment(['echo begun; sleep 600'])
    const session = await server.create('say never', { environment_id: id, cwd })
    await server.event(session.id, ({ type }) => type === 'session.setup_started')
    const waits = await server.create('say never', { environment_id: id, cwd })
    await server.event(waits.id, ({ type }) => type === 'turn.started')
    const interrupt = (of: string) => server.post(`/v1/sessions/${of}/events`, { events: [{ type: 'user.interrupt' }] })
    for (const each of [waits.id, session.id]) {
      await interrupt(each)
      expect((await server.idle(each)).stop_reason).toEqual({ type: 'interrupted' })
      expect((await server.turns(each)).map(({ status }) => status)).toEqual(['cancelled'])
    }
    expect((await setupOf(waits.id)).length).toBe(0)
    expect((await setupOf(session.id))[1]).toMatchObject({ result: 'interrupted' })
    const host = await gitHost()
    makeRepository(host.folder, 'acme/tool', { 'README.md': 'one\n' })
    const release = Promise.withResolvers<void>()
    host.hold = release.promise
    const cloning = await testServer({ git_sources: [host.url] })
    try {
      const { id: other } = await cloning.create('say never', {
        resources: [{ type: 'github_repository', url: `${host.url}acme/tool` }],
      })
      await expect.poll(() => host.seen.length).toBeGreaterThan(0)
      await cloning.post(`/v1/sessions/${other}/events`, { events: [{ type: 'user.interrupt' }] })
      const idle = await cloning.idle(other)
      expect([idle.stop_reason, idle.last_error]).toEqual([{ type: 'interrupted' }, null])
      host.hold = null
      release.resolve()
      await cloning.send(other, 'say cloned')
      expect((await cloning.idle(other)).result!.text).toBe('cloned')
      expect(existsSync(join(idle.cwd, 'tool', 'README.md'))).toBe(true)
    } finally {
      release.resolve()
      await cloning.stop()
      await host.close()
    }
  })

  test('EN26 a setup has no credential of the server, and no secret of the environment is in an event', async () => {
    const id = await environment(['env', `echo ${SECRET}; test "$TOKEN" = ${SECRET}`, 'exit 1'], {
      env: { TOKEN: SECRET },
    })
    const { id: session } = await server.create('say never', { environment_id: id })
    const failed = await server.idle(session)
    const events = await setupOf(session)
    expect(events[1]!.output).toContain('TOKEN=[hidden]')
    expect(events[1]!.output).not.toMatch(/ANTHROPIC|CLAUDE/)
    expect(events[2]).toMatchObject({ result: 'completed', output: '[hidden]\n' })
    expect(failed.last_error).toMatchObject({ code: 'setup_failed', number: 3 })
    expect(JSON.stringify([events, failed])).not.toContain('canary')
  })

  test('EN27 what confines commands has no setup, and what is no command is refused', async () => {
    const tried = async (config: object) => {
      const { status, body } = await server.request('POST', ENVIRONMENTS, { name: 'x', config })
      return [status, body.code]
    }
    expect(await tried({ type: 'sandbox', setup: ['true'] })).toEqual([400, 'unsupported_feature'])
    expect(await tried({ type: 'local', setup: [''] })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', setup: ['a\0b'] })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', setup: ['x'.repeat(8193)] })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', setup: Array(33).fill('true') })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', setup_timeout_seconds: 3601 })).toEqual([400, 'validation_failed'])
  })
})

test('EN28 kill -9 in the midst of a setup ends its commands; the next server runs all of it before the turn', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
  const flags = { agent_executable: FAKE_AGENT }
  let server = await killableServer(folder, flags)
  const pid = join(folder, 'pid')
  const setup = [
    'echo one >> log',
    `test -e ${pid} || { echo 1 > ${pid}; sleep 600; echo late >> log; }`,
    'echo two >> log',
  ]
  const { id: environment_id } = await server.call<Environment>(ENVIRONMENTS, {
    name: 'x',
    config: { type: 'local', setup },
  })
  const { id, cwd } = await server.call<Session>('/v1/sessions', {
    environment_id,
    initial_events: [{ type: 'user.message', content: 'say there' }],
  })
  await expect.poll(() => existsSync(pid)).toBe(true)
  await server.kill()
  server = await killableServer(folder, flags)
  const idle = await server.call<Session>(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
  expect(idle.result!.text).toBe('there')
  expect(readFileSync(join(cwd, 'log'), 'utf8')).toBe('one\none\ntwo\n')
  await server.stop()
})

test('EN42 a server that stops in the midst of a setup leaves the turn to the next one', async () => {
  const server = await testServer({ drain_seconds: 0 })
  const setup = ['touch began; test -e again || { touch again; sleep 600; }']
  const { id } = await server.post<Environment>(ENVIRONMENTS, { name: 'x', config: { type: 'local', setup } })
  const session = await server.create('say there', { environment_id: id })
  await expect.poll(() => existsSync(join(session.cwd, 'again'))).toBe(true)
  await server.restart()
  expect(await server.idle(session.id)).toMatchObject({ result: { text: 'there' }, last_error: null })
  expect((await server.turns(session.id)).map(({ status }) => status)).toEqual(['completed'])
  await server.stop()
})

test('EN29 a key whose agents are bounded saves no setup unless its policy says so, and uses those of others', async () => {
  let operator = ''
  const server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  const call = (key: string, path: string, body: unknown) => server.request('POST', path, body, { 'x-api-key': key })
  const scopes = ['sessions:write', 'sessions:read', 'environments:write']
  const keyOf = async (policy: Policy) =>
    (await call(operator, '/v1/api_keys', { name: 'k', scopes, policy })).body.secret as string
  const config = { type: 'local', setup: ['touch made'] }
  const tried = async (policy: Policy, saved: object = config) => {
    const { status, body } = await call(await keyOf(policy), ENVIRONMENTS, { name: 'x', config: saved })
    return status === 200 ? 'saved' : body.code
  }
  expect(await tried({})).toBe('saved')
  expect(await tried({ max_turns: 3 })).toBe('saved')
  expect(await tried({ setup: false })).toBe('environment_not_allowed')
  for (const bound of [{ disallowed_tools: ['Bash'] }, { cwd_roots: [] }, { permission_modes: ['plan'] }] as Policy[]) {
    expect(await tried(bound)).toBe('environment_not_allowed')
    expect(await tried({ ...bound, setup: true })).toBe('saved')
  }
  const packages = { type: 'cloud', packages: { npm: ['x'] } }
  expect(await tried({ disallowed_tools: ['Bash'] }, packages)).toBe('environment_not_allowed')
  expect(await tried({ disallowed_tools: ['Bash'] }, { type: 'cloud', packages: { npm: [] } })).toBe('saved')
  const theirs = (await call(operator, ENVIRONMENTS, { name: 'x', config })).body as unknown as Environment
  const key = await keyOf({ disallowed_tools: ['Bash'] })
  expect((await call(key, `${ENVIRONMENTS}/${theirs.id}`, { name: 'mine' })).body.code).toBe('environment_not_allowed')
  expect((await call(key, '/v1/sessions', { environment_id: theirs.id })).status).toBe(200)
  await server.stop()
})
