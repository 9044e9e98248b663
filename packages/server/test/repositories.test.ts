import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { git, type GitHost, gitHost, makeRepository } from './support/git-host.ts'
import { killableServer } from './support/killable-server.ts'
import { all, counted, GENERATIONS } from './support/sdk-clients.ts'
import { FAKE_AGENT, type TestServer, testServer } from './support/server.ts'

const TOKEN = 'ghs_canary-token'
const say = (text: string) => ({ type: 'user.message', content: text })

describe('repositories of sessions', () => {
  let server: TestServer
  let host: GitHost
  let log = ''
  beforeAll(async () => {
    host = await gitHost()
    host.token = TOKEN
    const place = makeRepository(host.folder, 'acme/tool', { 'README.md': 'one\n' })
    git(place, 'branch', 'next')
    const note = (...said: unknown[]) =>
      void (log += JSON.stringify(said, (_, value) => (value instanceof Error ? value.stack : value)))
    const logger = { debug: note, info: note, warn: note, error: note } as never
    server = await testServer({ git_sources: host.url }, { logger })
  })
  afterAll(async () => {
    await server.stop()
    await host.close()
  })
  const repository = (fields: object = {}) => ({ type: 'github_repository', url: `${host.url}acme/tool`, ...fields })
  const refused = async (method: string, path: string, body?: unknown) => {
    const reply = await server.request(method, path, body)
    return [reply.status, reply.body.code]
  }

  test.each(GENERATIONS)(
    'EN18 with the official SDK $version a session is given a repository, which is there before its first turn',
    async ({ Client }) => {
      const { sessions } = new Client(counted(server.url).options).beta
      const session = await sessions.create({
        agent: 'agent_default',
        environment_id: 'env_default',
        resources: [
          {
            type: 'github_repository',
            url: `${host.url}acme/tool`,
            authorization_token: TOKEN,
            checkout: { type: 'branch', name: 'next' },
          },
        ],
        initial_events: [say('say done')] as never,
      })
      const [resource] = session.resources
      expect(resource).toMatchObject({
        type: 'github_repository',
        url: `${host.url}acme/tool`,
        mount_path: '/workspace/tool',
        checkout: { type: 'branch', name: 'next' },
      })
      const idle = await server.idle(session.id)
      expect(idle.result!.text).toBe('done')
      expect(readFileSync(join(idle.cwd, 'tool', 'README.md'), 'utf8')).toBe('one\n')
      expect(git(join(idle.cwd, 'tool'), 'rev-parse', '--abbrev-ref', 'HEAD')).toBe('next')
      const id = (resource as { id: string }).id
      expect(await sessions.resources.retrieve(id, { session_id: session.id })).toEqual(resource)
      expect(await all(sessions.resources.list(session.id))).toEqual([resource])
      // A fork has what was cloned, and what it is cloned with.
      const fork = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
      expect(existsSync(join(fork.cwd, 'tool', 'README.md'))).toBe(true)
      expect(fork.resources).toMatchObject([{ type: 'github_repository', path: 'tool' }])
      await sessions.resources.delete(id, { session_id: session.id })
      expect(await all(sessions.resources.list(session.id))).toEqual([])
      expect(existsSync(join(idle.cwd, 'tool'))).toBe(true)
    },
  )

  test('EN19 a repository that cannot be cloned fails the turn in a word of the hosted API; with another token the session goes on', async () => {
    const created = await server.create('say never', {
      resources: [repository({ authorization_token: 'ghs_canary-old' })],
    })
    const failed = await server.idle(created.id)
    const id = created.resources[0]!.id
    expect(failed.last_error).toMatchObject({ type: 'repository_authentication_error', resource_id: id })
    expect(failed.stop_reason).toEqual({ type: 'retries_exhausted' })
    expect(readdirSync(failed.cwd)).toEqual([])
    const path = `/v1/sessions/${created.id}/resources/${id}`
    const rotated = await server.post(path, { authorization_token: TOKEN })
    expect(rotated).toMatchObject({ id, type: 'github_repository' })
    await server.send(created.id, 'say now')
    expect(await server.idle(created.id)).toMatchObject({ result: { text: 'now' }, last_error: null })
    expect(existsSync(join(failed.cwd, 'tool', 'README.md'))).toBe(true)
    expect(await refused('POST', path, {})).toEqual([400, 'validation_failed'])
    // Given to a session that is there already; what was taken away is cloned again.
    const later = await server.create('say x')
    await server.idle(later.id)
    const added = await server.post<{ id: string }>(
      `/v1/sessions/${later.id}/resources`,
      repository({ authorization_token: TOKEN, mount_path: 'code/tool' }),
    )
    await server.send(later.id, 'say y')
    await server.idle(later.id)
    expect(existsSync(join(later.cwd, 'code', 'tool', 'README.md'))).toBe(true)
    expect(await refused('POST', `/v1/sessions/${later.id}/resources`, repository({ mount_path: 'code' }))).toEqual([
      409,
      'mount_path_taken',
    ])
    expect(added.id).toMatch(/^sesrsc_/)
  })

  test('EN20 a token is in no answer, no event and no line of the log, nor in the agent, its workdir and what a fork has', async () => {
    const { id } = await server.create('env GITHUB_TOKEN', {
      resources: [repository({ authorization_token: TOKEN })],
      snapshots: 'on',
    })
    await server.idle(id)
    const shown = await Promise.all(
      ['', '/events?limit=1000', '/resources', '/export?format=jsonl', '/turns'].map(async (rest) =>
        (await fetch(`${server.url}/v1/sessions/${id}${rest}`)).text(),
      ),
    )
    for (const text of shown) expect(text).not.toContain('canary')
    const { cwd, result } = await server.get<Session>(`/v1/sessions/${id}`)
    expect(result!.text).toBe('unset')
    const inside = readdirSync(join(cwd, '..'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    expect(inside.join('')).not.toContain('canary')
    expect(log).toContain('a workdir could not be prepared')
    expect(log).not.toContain('canary')
    const bad = await server.request('POST', '/v1/sessions', {
      resources: [
        repository({ url: `http://x:${TOKEN}@127.0.0.1/a/b` }),
        repository({ authorization_token: `${TOKEN}\n` }),
      ],
    })
    expect(bad.status).toBe(400)
    expect(bad.text).not.toContain('canary')
  })

  test('EN21 what may not be cloned, places that meet, and names that are no branch are refused before anything is made', async () => {
    const tried = (...resources: object[]) => refused('POST', '/v1/sessions', { resources })
    expect(await tried(repository({ url: 'https://github.com/acme/tool' }))).toEqual([400, 'repository_refused'])
    expect(await tried(repository({ url: 'ssh://git@github.com/a/b' }))).toEqual([400, 'repository_refused'])
    expect(await tried(repository({ mount_path: '/etc' }))).toEqual([400, 'validation_failed'])
    expect(await tried(repository({ mount_path: '../x' }))).toEqual([400, 'validation_failed'])
    expect(await tried(repository({ mount_path: '.git' }))).toEqual([400, 'validation_failed'])
    expect(await tried(repository(), repository())).toEqual([409, 'mount_path_taken'])
    expect(await tried(repository(), repository({ mount_path: 'tool/inner' }))).toEqual([409, 'mount_path_taken'])
    for (const name of ['-x', 'a b', '--upload-pack=x', 'a..b', 'x.lock', '@{u}', 'HEAD', 'a\nb'])
      expect([name, ...(await tried(repository({ checkout: { type: 'branch', name } })))]).toEqual([
        name,
        400,
        'validation_failed',
      ])
    expect(await tried(repository({ checkout: { type: 'commit', sha: 'HEAD' } }))).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'memory_store' })).toEqual([400, 'unsupported_feature'])
    const many = Array.from({ length: 21 }, (_, n) => repository({ mount_path: `r${n}` }))
    expect(await tried(...many)).toEqual([409, 'resource_limit'])
    const cwd = mkdtempSync(join(tmpdir(), 'troupe-taken-'))
    writeFileSync(join(cwd, 'tool'), '')
    expect(await refused('POST', '/v1/sessions', { cwd, resources: [repository()] })).toEqual([409, 'mount_path_taken'])
  })
})

test('EN22 kill -9 while a repository is cloned leaves no part of it; the next server clones it whole', async () => {
  const host = await gitHost()
  makeRepository(host.folder, 'acme/tool', { 'README.md': 'one\n' })
  const release = Promise.withResolvers<void>()
  host.hold = release.promise
  const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
  const flags = { git_sources: [host.url], agent_executable: FAKE_AGENT }
  let server = await killableServer(folder, flags)
  const post = async (path: string, body: unknown) =>
    (await (
      await fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    ).json()) as Session
  const { id, cwd } = await post('/v1/sessions', {
    resources: [{ type: 'github_repository', url: `${host.url}acme/tool` }],
    initial_events: [say('say there')],
  })
  await expect.poll(() => host.seen.length).toBeGreaterThan(0)
  await server.kill()
  host.hold = null
  release.resolve()
  server = await killableServer(folder, flags)
  const idle = (await (await fetch(`${server.url}/v1/sessions/${id}?wait_for=idle&timeout=60`)).json()) as Session
  expect(idle.result!.text).toBe('there')
  expect(readdirSync(cwd)).toEqual(['tool'])
  expect(readFileSync(join(cwd, 'tool', 'README.md'), 'utf8')).toBe('one\n')
  await server.stop()
  await host.close()
})
