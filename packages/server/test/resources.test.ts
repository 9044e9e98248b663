import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionResource } from '@troupe/protocol/resource'
import type { Session } from '@troupe/protocol/session'
import { toFile } from 'anthropic-sdk-1.12'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mountFile } from '../src/files/mount-file.ts'
import { killableServer } from './support/killable-server.ts'
import { all, counted, GENERATIONS } from './support/sdk-clients.ts'
import { FAKE_AGENT, type TestServer, testServer } from './support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

async function upload(content: string, name = 'data.csv', url = server.url): Promise<string> {
  const form = new FormData()
  form.append('file', new Blob([content]), name)
  const response = await fetch(`${url}/v1/files`, { method: 'POST', body: form })
  return ((await response.json()) as { id: string }).id
}
const file = (file_id: string, mount_path?: string) => ({ type: 'file', file_id, ...(mount_path && { mount_path }) })
const add = (id: string, body: object) => server.request('POST', `/v1/sessions/${id}/resources`, body)
const listed = async (id: string) =>
  (await server.get<{ data: SessionResource[] }>(`/v1/sessions/${id}/resources?limit=1000`)).data
const read = (session: { cwd: string }, path: string) => readFileSync(join(session.cwd, path), 'utf8')

describe.each(GENERATIONS)('resources by the official SDK $version', ({ Client }) => {
  test('RS1 a session is given files when it is made and while it is idle, lists them, and has them taken away', async () => {
    const client = new Client(counted(server.url).options)
    const { beta } = client
    const uploaded = await beta.files.upload({ file: await toFile(Buffer.from('a,b\n1,2\n'), 'data.csv') })
    const session = await beta.sessions.create({
      agent: 'agent_default',
      environment_id: 'env_default',
      resources: [{ type: 'file', file_id: uploaded.id, mount_path: '/workspace/in/data.csv' }],
    })
    expect(session.resources).toMatchObject([{ type: 'file', file_id: uploaded.id }])
    const { cwd } = await server.get<Session>(`/v1/sessions/${session.id}`)
    const added = await beta.sessions.resources.add(session.id, { type: 'file', file_id: uploaded.id })
    expect(added).toMatchObject({ type: 'file', mount_path: `/mnt/session/uploads/${uploaded.id}` })
    const copy = join(cwd, 'uploads', uploaded.id)
    expect(readFileSync(copy, 'utf8')).toBe('a,b\n1,2\n')
    expect(statSync(copy).mode & 0o777).toBe(0o444)

    await server.send(session.id, 'say done')
    await server.idle(session.id)
    expect(read({ cwd }, 'in/data.csv')).toBe('a,b\n1,2\n')
    const found = await all(beta.sessions.resources.list(session.id, { limit: 1 }))
    expect(found.map((resource) => 'id' in resource && resource.id)).toEqual([
      (session.resources[0] as { id: string }).id,
      added.id,
    ])
    expect(await beta.sessions.resources.retrieve(added.id, { session_id: session.id })).toEqual(added)
    await expect(
      beta.sessions.resources.update(added.id, { session_id: session.id, authorization_token: 'x' }),
    ).rejects.toMatchObject({ status: 400 })
    expect(await beta.sessions.resources.delete(added.id, { session_id: session.id })).toEqual({
      id: added.id,
      type: 'session_resource_deleted',
    })
    expect(existsSync(copy)).toBe(false)
    await expect(beta.sessions.resources.retrieve(added.id, { session_id: session.id })).rejects.toBeInstanceOf(
      Client.NotFoundError,
    )
    const told = (await server.events(session.id)).filter(({ type }) => type === 'session.updated')
    expect(told).toMatchObject([{ resources_added: [{ id: added.id }] }, { resources_removed: [added.id] }])
  })
})

test('RS2 a mount path leads nowhere but into the workdir, whatever it says and whatever links lie there', async () => {
  const session = await server.create(null)
  const id = await upload('x')
  const places = [
    '/etc/passwd',
    '/mnt/other/x',
    '../x',
    'a/../../x',
    '/workspace/../x',
    '/workspace//x',
    'a/./b',
    'a\nb',
    'a\\b',
    'a\u0000b',
    '/workspace/',
    '/workspace',
    '.git/hooks/x',
    'a/.GIT/config',
    '.claude/settings.json',
    'outputs/x',
    '/mnt/session/outputs/x',
    `${'n'.repeat(256)}`,
    `${'a/'.repeat(20)}x`,
    ' /x',
  ]
  for (const place of places) {
    const { status, body } = await add(session.id, file(id, place))
    expect([place, status, body.code]).toEqual([place, 400, 'validation_failed'])
  }
  const outside = mkdtempSync(join(tmpdir(), 'troupe-outside-'))
  symlinkSync(outside, join(session.cwd, 'link'))
  symlinkSync(join(outside, 'new'), join(session.cwd, 'file-link'))
  for (const place of ['link/x', 'link', 'file-link']) {
    const { status, body } = await add(session.id, file(id, place))
    expect([place, status, body.code]).toEqual([place, 409, 'mount_path_taken'])
  }
  expect(readdirSync(outside)).toEqual([])
  expect(readdirSync(session.cwd).toSorted()).toEqual(['file-link', 'link'])
  expect(await listed(session.id)).toEqual([])

  for (const [place, path] of [
    ['/workspace/a/b.txt', 'a/b.txt'],
    ['/mnt/session/uploads/c', 'uploads/c'],
    ['d', 'd'],
  ] as const) {
    const { body } = await add(session.id, file(id, place))
    expect(body).toMatchObject({ mount_path: place, path })
    expect(read(session, path)).toBe('x')
  }
})

test('RS3 what is there is never written over, and a session has no more than it may', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-cwd-'))
  writeFileSync(join(folder, 'mine'), 'mine')
  const id = await upload('theirs')
  const make = (...resources: object[]) => server.request('POST', '/v1/sessions', { cwd: folder, resources })
  expect((await make(file(id, 'mine'))).body.code).toBe('mount_path_taken')
  expect((await make(file(id, 'mine/below'))).body.code).toBe('mount_path_taken')
  expect((await make(file(id, 'a'), file(id, 'a'))).body.code).toBe('mount_path_taken')
  expect((await make(file(id, 'a/b'), file(id, 'a'))).body.code).toBe('mount_path_taken')
  expect(readFileSync(join(folder, 'mine'), 'utf8')).toBe('mine')
  expect(readdirSync(folder)).toEqual(['mine'])

  const many = Array.from({ length: 500 }, (_, n) => file(id, `f/${n}`))
  expect((await make(...many, file(id, 'one-more'))).status).toBe(400)
  const { status, body } = await make(...many)
  expect(status).toBe(200)
  expect((await add(String(body.id), file(id, 'one-more'))).body.code).toBe('resource_limit')
  for (const type of ['git_repository', 'memory_store'])
    expect((await make({ type, url: 'https://example.com/x' })).body.code).toBe('unsupported_feature')
})

test('RS4 resources change only while the session is idle', async () => {
  const id = await upload('x')
  const session = await server.create('hold', { resources: [file(id, 'given')] })
  await server.event(session.id, ({ type }) => type === 'agent.message')
  expect(read(session, 'given')).toBe('x')
  const [given] = await listed(session.id)
  expect((await add(session.id, file(id, 'later'))).body.code).toBe('session_running')
  const remove = () => server.request('DELETE', `/v1/sessions/${session.id}/resources/${given!.id}`)
  expect((await remove()).body.code).toBe('session_running')
  expect(readdirSync(session.cwd)).toEqual(['given'])
  await server.post(`/v1/sessions/${session.id}/events`, { events: [{ type: 'user.interrupt' }] })
  await server.idle(session.id)
  expect((await add(session.id, file(id, 'later'))).status).toBe(200)
  await server.post(`/v1/sessions/${session.id}/archive`)
  expect((await add(session.id, file(id, 'too-late'))).body.code).toBe('session_terminated')
  expect((await remove()).body.code).toBe('session_terminated')
})

test('RS5 a file of another workspace, or one that the key may not read, is not given to a session', async () => {
  const session = await server.create(null)
  const { files } = server.app.store
  const row = {
    id: 'file_other',
    workspaceId: 'wrkspc_other',
    filename: 'a',
    mimeType: 'a/b',
    sizeBytes: 1,
    createdAt: 1,
  }
  await files.create(row, { files: 9, bytes: 9 })
  expect((await add(session.id, file('file_other'))).body.code).toBe('file_not_found')
  const create = await server.request('POST', '/v1/sessions', { resources: [file('file_other')] })
  expect([create.status, create.body.code]).toEqual([404, 'file_not_found'])

  let operator = ''
  const guarded = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  try {
    const headers = { 'x-api-key': operator }
    const key = await guarded.post<{ secret: string }>(
      '/v1/api_keys',
      { name: 'k', scopes: ['sessions:write'] },
      headers,
    )
    const narrow = { 'x-api-key': key.secret }
    const own = await guarded.post<Session>('/v1/sessions', {}, narrow)
    const refused = await guarded.request('POST', `/v1/sessions/${own.id}/resources`, file('file_x'), narrow)
    expect([refused.status, refused.body.code]).toEqual([403, 'scope_missing'])
  } finally {
    await guarded.stop()
  }
})

test('RS6 what the rows say is put in before a turn: behind a kill in the middle, and behind what the agent removed', async () => {
  const id = await upload('x')
  const session = await server.create('say one', { resources: [file(id, 'in/given')] })
  await server.idle(session.id)
  const [given] = await listed(session.id)
  // As a server leaves it that dies between the row and the copy, or while it copies.
  rmSync(join(session.cwd, 'in'), { recursive: true })
  mkdirSync(join(session.cwd, 'in'))
  writeFileSync(join(session.cwd, 'in', `.${given!.id}.part`), 'hal')
  await server.restart()
  await server.send(session.id, 'say two')
  await server.idle(session.id)
  expect(readdirSync(join(session.cwd, 'in'))).toEqual(['given'])
  expect(read(session, 'in/given')).toBe('x')
  // What stands there instead is the agent's.
  rmSync(join(session.cwd, 'in/given'))
  writeFileSync(join(session.cwd, 'in/given'), 'other')
  await server.send(session.id, 'say three')
  await server.idle(session.id)
  expect(read(session, 'in/given')).toBe('other')
  await server.request('DELETE', `/v1/sessions/${session.id}/resources/${given!.id}`)
  expect(read(session, 'in/given')).toBe('other')
})

test('RS6 a kill -9 while files are given and taken leaves rows with copies, and no copy without its row', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-resources-'))
  const flags = { agent_executable: FAKE_AGENT, spares: 0, live_seconds: 0 }
  let running = await killableServer(folder, flags)
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return (await (await fetch(running.url + path, { method, ...json })).json()) as T
  }
  const id = await upload('x'.repeat(100_000), 'x', running.url)
  const session = await call<Session>('POST', '/v1/sessions', {})
  const path = `/v1/sessions/${session.id}/resources`
  for (let round = 0; round < 5; round++) {
    let answered = 0
    const half = Promise.withResolvers<void>()
    const working = (async () => {
      for (let n = 0; n < 1_000; n++) {
        const made = await call<SessionResource>('POST', path, file(id, `r${round}/${n}`))
        if (n % 2 === 1) await call('DELETE', `${path}/${made.id}`)
        if (++answered === 5 + round) half.resolve()
      }
    })().catch(() => undefined)
    await half.promise
    await running.kill()
    await working
    running = await killableServer(folder, flags)
    await call('POST', `/v1/sessions/${session.id}/events`, { events: [{ type: 'user.message', content: 'say x' }] })
    await call('GET', `/v1/sessions/${session.id}?wait_for=idle&timeout=60`)
    const rows = await call<{ data: { path: string }[] }>('GET', `${path}?limit=1000`)
    const there = readdirSync(session.cwd, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(session.cwd.length + 1))
    expect(there.toSorted()).toEqual(rows.data.map((row) => row.path).toSorted())
    expect(rows.data.length).toBeGreaterThanOrEqual(1)
  }
  await running.stop()
})

test('RS7 what a session was given stays when the file is deleted, and goes with the session', async () => {
  const id = await upload('kept')
  const content = join(server.folder, 'data', 'files', id)
  const session = await server.create(null, { resources: [file(id, 'given')] })
  await server.request('DELETE', `/v1/files/${id}`)
  expect((await server.request('GET', `/v1/files/${id}`)).status).toBe(404)
  expect((await add(session.id, file(id, 'again'))).body.code).toBe('file_not_found')
  await server.restart()
  await server.send(session.id, 'say x')
  await server.idle(session.id)
  expect(read(session, 'given')).toBe('kept')
  expect(existsSync(content)).toBe(true)
  await server.request('DELETE', `/v1/sessions/${session.id}`)
  expect(existsSync(content)).toBe(false)
})

test('RS8 a fork is given what its source has, and a rewind of files takes nothing that was given', async () => {
  const id = await upload('x')
  const session = await server.create('say one')
  await server.idle(session.id)
  const [turn] = await server.turns(session.id)
  const ended = await server.event(session.id, (event) => event.type === 'turn.completed' && event.turn_id === turn!.id)
  expect((await add(session.id, file(id, 'given'))).status).toBe(200)
  await server.send(session.id, 'say two')
  await server.idle(session.id)
  const rewind = await server.request('POST', `/v1/sessions/${session.id}/rewind`, { to_event_id: ended.id })
  expect(rewind.status).toBe(200)
  await server.send(session.id, 'say three')
  await server.idle(session.id)
  expect(read(session, 'given')).toBe('x')

  const fork = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
  expect(fork.resources).toMatchObject([{ file_id: id, path: 'given' }])
  await server.request('DELETE', `/v1/sessions/${session.id}`)
  rmSync(join(fork.cwd, 'given'), { force: true })
  await server.send(fork.id, 'say x')
  await server.idle(fork.id)
  expect(read(fork, 'given')).toBe('x')
})

test('RS9 a file is given once under an idempotency key, and a copy that cannot be written leaves nothing', async () => {
  const id = await upload('x')
  const session = await server.create(null)
  const key = { 'idempotency-key': 'give-once' }
  const first = await server.request('POST', `/v1/sessions/${session.id}/resources`, file(id, 'given'), key)
  const again = await server.request('POST', `/v1/sessions/${session.id}/resources`, file(id, 'given'), key)
  expect([first.status, again.body]).toEqual([200, first.body])
  expect(await listed(session.id)).toHaveLength(1)
  const cwd = mkdtempSync(join(tmpdir(), 'troupe-cwd-'))
  await expect(mountFile(cwd, cwd, { id: 'r', fileId: 'missing', parts: ['a', 'b'] })).rejects.toThrow('ENOENT')
  expect(readdirSync(join(cwd, 'a'))).toEqual([])

  // A workdir that has gone: nothing more is given, the turn says why it cannot begin, and what was given can be let go.
  const named = await server.create(null, { cwd, resources: [file(id, 'given')] })
  rmSync(cwd, { recursive: true })
  const gone = await add(named.id, file(id, 'more'))
  expect([gone.status, gone.body.code]).toEqual([409, 'mount_path_taken'])
  await server.send(named.id, 'say x')
  expect((await server.idle(named.id)).last_error?.message).toContain(
    '"given" could not be put into the workdir: ENOENT',
  )
  const [left] = await listed(named.id)
  expect((await server.request('DELETE', `/v1/sessions/${named.id}/resources/${left!.id}`)).status).toBe(200)
  expect(await listed(named.id)).toEqual([])
})
