import type { Policy } from '@troupe/protocol/access'
import type { Environment } from '@troupe/protocol/environment'
import type { Session } from '@troupe/protocol/session'
import { newId } from '@troupe/protocol/ids'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { noteWorktree } from '../src/sessions/worktree.ts'
import { sessionPaths } from '../src/sessions/admission.ts'
import { git, makeRepository } from './support/git-host.ts'
import { killableServer } from './support/killable-server.ts'
import { FAKE_AGENT, type TestServer, testServer } from './support/server.ts'

const ENVIRONMENTS = '/v1/environments'
const COMMIT = 'echo mine > made && git add made && git -c user.name=T -c user.email=t@example.org commit -qm made'
const branches = (repository: string) => git(repository, 'for-each-ref', '--format=%(refname:short)', 'refs/heads')
const worktrees = (repository: string) =>
  git(repository, 'worktree', 'list', '--porcelain').match(/^worktree /gm)!.length

describe('worktrees of sessions', () => {
  let server: TestServer
  let repository: string
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())
  beforeEach(() => {
    repository = makeRepository(mkdtempSync(join(tmpdir(), 'troupe-worktree-')), 'tool', {
      'README.md': 'one\n',
      'src/a.ts': 'a\n',
    })
  })

  const environment = async (worktree: object = {}, more: object = {}) => {
    const config = { type: 'local', worktree: { repository, ...worktree }, ...more }
    return (await server.post<Environment>(ENVIRONMENTS, { name: 'x', config })).id
  }
  const ran = async (environment_id: string, more: object = {}) => {
    const { id } = await server.create('say done', { environment_id, ...more })
    const session = await server.idle(id)
    expect(session.last_error).toBeNull()
    return session
  }
  const head = (cwd: string) => git(cwd, 'rev-parse', '--abbrev-ref', 'HEAD')

  test('EN30 two sessions at once have a worktree each, on a branch of its own, and what one commits is in the repository', async () => {
    const root = join(server.folder, 'trees')
    mkdirSync(root, { recursive: true })
    writeFileSync(join(repository, 'README.md'), 'not committed\n')
    const id = await environment({}, { setup: [COMMIT], cwd_root: root })
    const [one, two] = await Promise.all([ran(id), ran(id)])
    for (const each of [one, two]) {
      expect(readFileSync(join(each.cwd, 'README.md'), 'utf8')).toBe('one\n')
      expect(head(each.cwd)).toBe(`troupe/${each.uuid}`)
      expect(git(each.cwd, 'status', '--porcelain')).toBe('')
      expect(git(repository, 'show', `troupe/${each.uuid}:made`)).toBe('mine')
      const [told] = (await server.events(each.id)).filter(({ type }) => type === 'session.worktree_created')
      expect(told).toMatchObject({
        repository,
        branch: `troupe/${each.uuid}`,
        commit: git(repository, 'rev-parse', 'HEAD'),
      })
    }
    expect(worktrees(repository)).toBe(3)
    expect(readFileSync(join(repository, 'README.md'), 'utf8')).toBe('not committed\n')
    // Nor is it made again, or set back.
    writeFileSync(join(one.cwd, 'README.md'), 'changed\n')
    await server.restart()
    await server.send(one.id, 'say again')
    await server.idle(one.id)
    expect(readFileSync(join(one.cwd, 'README.md'), 'utf8')).toBe('changed\n')
    git(repository, 'branch', 'next')
    const other = await ran(await environment({ base: 'next', branch_prefix: 'agents-' }))
    expect(head(other.cwd)).toBe(`agents-${other.uuid}`)
    const named = await ran(await environment(), { cwd: mkdtempSync(join(tmpdir(), 'troupe-named-')) })
    expect(existsSync(join(named.cwd, '.git'))).toBe(false)
  })

  test('EN31 with its session a worktree goes from its repository, and its branch unless something was committed to it', async () => {
    const [kept, empty] = [await ran(await environment({}, { setup: [COMMIT] })), await ran(await environment())]
    for (const { id, cwd } of [kept, empty]) {
      await server.request('DELETE', `/v1/sessions/${id}`)
      expect(existsSync(cwd)).toBe(false)
    }
    expect(worktrees(repository)).toBe(1)
    expect(branches(repository).split('\n').toSorted()).toEqual(['main', `troupe/${kept.uuid}`])
    // Of a server that died behind the end of the session.
    const third = await ran(await environment())
    const sessions = join(server.folder, 'data', 'sessions')
    const orphan = newId('sesn')
    const commit = git(repository, 'rev-parse', 'HEAD')
    await noteWorktree(sessions, orphan, { common: join(repository, '.git'), branch: 'troupe/orphan', commit })
    git(repository, 'branch', 'troupe/orphan')
    await server.restart()
    await expect.poll(() => existsSync(sessionPaths(sessions, orphan).root)).toBe(false)
    expect(branches(repository)).not.toContain('orphan')
    rmSync(repository, { recursive: true })
    expect((await server.request('DELETE', `/v1/sessions/${third.id}`)).status).toBe(200)
  })

  test('EN32 a fork has a worktree of its own, which begins where the other one stood, with what was not committed', async () => {
    const source = await ran(await environment({}, { setup: [`test -e made || { ${COMMIT}; }`] }))
    writeFileSync(join(source.cwd, 'README.md'), 'changed\n')
    const fork = await server.post<Session>(`/v1/sessions/${source.id}/fork`, {})
    expect(existsSync(join(fork.cwd, '.git'))).toBe(false)
    await server.send(fork.id, 'say forked')
    expect((await server.idle(fork.id)).last_error).toBeNull()
    expect(head(fork.cwd)).toBe(`troupe/${fork.uuid}`)
    expect(git(fork.cwd, 'rev-parse', 'HEAD')).toBe(git(source.cwd, 'rev-parse', 'HEAD'))
    for (const each of [source, fork]) expect(git(each.cwd, 'status', '--porcelain').trim()).toBe('M README.md')
    git(fork.cwd, 'add', '-A')
    git(fork.cwd, 'commit', '-qm', 'fork')
    expect(git(source.cwd, 'status', '--porcelain').trim()).toBe('M README.md')
    expect(head(source.cwd)).toBe(`troupe/${source.uuid}`)
    const shared = await server.post<Session>(`/v1/sessions/${source.id}/fork`, { files: 'share' })
    await server.send(shared.id, 'say shared')
    expect((await server.idle(shared.id)).cwd).toBe(source.cwd)
    expect(head(source.cwd)).toBe(`troupe/${source.uuid}`)
  })

  test('EN33 what is no repository or confined is refused, what cannot be made fails the turn, and nothing that is there is written over', async () => {
    const tried = async (config: object) => {
      const { status, body } = await server.request('POST', ENVIRONMENTS, { name: 'x', config })
      return [status, body.code]
    }
    const local = (worktree: object) => tried({ type: 'local', worktree })
    expect(await local({ repository: server.folder })).toEqual([400, 'validation_failed'])
    expect(await local({ repository: join(repository, 'none') })).toEqual([400, 'cwd_not_found'])
    expect(await local({ repository: 'relative' })).toEqual([400, 'validation_failed'])
    expect(await local({ repository, base: '--upload-pack=x' })).toEqual([400, 'validation_failed'])
    expect(await local({ repository, branch_prefix: '../x' })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'sandbox', worktree: { repository } })).toEqual([400, 'unsupported_feature'])
    const id = await environment({ base: 'later' })
    const session = await server.create('say never', { environment_id: id })
    expect((await server.idle(session.id)).last_error).toMatchObject({ code: 'worktree_failed', repository })
    git(repository, 'branch', 'later')
    writeFileSync(join(session.cwd, 'README.md'), 'was there\n')
    await server.send(session.id, 'say now')
    expect(await server.idle(session.id)).toMatchObject({ result: { text: 'now' }, last_error: null })
    expect(readFileSync(join(session.cwd, 'README.md'), 'utf8')).toBe('was there\n')
    expect(readFileSync(join(session.cwd, 'src', 'a.ts'), 'utf8')).toBe('a\n')
    // No hook of the repository runs.
    writeFileSync(join(repository, '.git', 'hooks', 'post-checkout'), `#!/bin/sh\ntouch ${repository}/ran\n`, {
      mode: 0o755,
    })
    await ran(await environment())
    expect(existsSync(join(repository, 'ran'))).toBe(false)
    // Nor does what the server itself asks git run what its config names, here to fetch a commit that is missing.
    git(repository, 'config', 'extensions.partialClone', 'origin')
    git(repository, 'config', 'remote.origin.promisor', 'true')
    git(repository, 'config', 'remote.origin.url', 'ssh://host.invalid/x')
    git(repository, 'config', 'core.sshCommand', `touch ${repository}/ran;`)
    const none = await server.create('say never', { environment_id: await environment({ base: 'a'.repeat(40) }) })
    expect((await server.idle(none.id)).last_error).toMatchObject({ code: 'worktree_failed' })
    expect(existsSync(join(repository, 'ran'))).toBe(false)
  })
})

test('EN34 kill -9 while a worktree is made leaves nothing of it; the next server makes it whole', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
  const repository = makeRepository(folder, 'tool', {
    '.gitattributes': '*.txt filter=slow\n',
    'a.txt': 'a\n',
    z: 'z\n',
  })
  const began = join(folder, 'began')
  git(repository, 'config', 'filter.slow.smudge', `test -e ${began} || { touch ${began}; sleep 600; }; cat`)
  const flags = { agent_executable: FAKE_AGENT }
  let server = await killableServer(folder, flags)
  const config = { type: 'local', worktree: { repository } }
  const { id: environment_id } = await server.call<Environment>(ENVIRONMENTS, { name: 'x', config })
  const initial_events = [{ type: 'user.message', content: 'say there' }]
  const { id, cwd, uuid } = await server.call<Session>('/v1/sessions', { environment_id, initial_events })
  await expect.poll(() => existsSync(began)).toBe(true)
  await server.kill()
  server = await killableServer(folder, flags)
  const idle = await server.call<Session>(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
  expect([idle.result?.text, idle.last_error]).toEqual(['there', null])
  expect(readdirSync(cwd).toSorted()).toEqual(['.git', '.gitattributes', 'a.txt', 'z'])
  expect(git(cwd, 'status', '--porcelain')).toBe('')
  expect(branches(repository).split('\n').toSorted()).toEqual(['main', `troupe/${uuid}`])
  expect(worktrees(repository)).toBe(2)
  await server.stop()
})

test('EN35 a key that is bounded in folders saves no worktree of a repository outside of them', async () => {
  let operator = ''
  const server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  const root = mkdtempSync(join(tmpdir(), 'troupe-root-'))
  const [inside, outside] = [makeRepository(root, 'in', { a: '' }), makeRepository(server.folder, 'out', { a: '' })]
  const call = (key: string, path: string, body: unknown) => server.request('POST', path, body, { 'x-api-key': key })
  const policy: Policy = { cwd_roots: [root] }
  const scopes = ['sessions:write', 'environments:write']
  const { secret } = (await call(operator, '/v1/api_keys', { name: 'k', scopes, policy })).body as {
    secret: string
  } & object
  const tried = async (repository: string) => {
    const { status, body } = await call(secret, ENVIRONMENTS, {
      name: 'x',
      config: { type: 'local', worktree: { repository } },
    })
    return status === 200 ? 'saved' : body.code
  }
  expect(await tried(outside)).toBe('cwd_not_allowed')
  expect(await tried(inside)).toBe('saved')
  await server.stop()
})
