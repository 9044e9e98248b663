import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { SessionEvent } from '@troupe/protocol/event'
import type { FileMetadata } from '@troupe/protocol/file'
import type { Session } from '@troupe/protocol/session'
import type { Turn } from '@troupe/protocol/turn'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collectOutputs } from '../src/files/collect-outputs.ts'
import { systemClock } from '../src/lib/clock.ts'
import { killableServer } from './support/killable-server.ts'
import { all, counted, GENERATIONS } from './support/sdk-clients.ts'
import { FAKE_AGENT, type TestServer, testServer } from './support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

const leave = (session: { cwd: string }, path: string, content: string) => {
  const place = join(session.cwd, 'outputs', path)
  mkdirSync(dirname(place), { recursive: true })
  writeFileSync(place, content)
  return place
}
/** A turn in which what lies there now was left; the turn as it ended. */
async function turn(session: { id: string }, prompt = 'say done'): Promise<Turn> {
  await server.send(session.id, prompt)
  await server.idle(session.id)
  return (await server.turns(session.id)).at(-1)!
}
const filesOf = async (id: string) =>
  (await server.get<{ data: FileMetadata[] }>(`/v1/files?scope_id=${id}&order=asc&limit=1000`)).data
const persisted = async (id: string) =>
  (await server.events(id)).filter(({ type }) => type === 'session.files_persisted') as (SessionEvent & {
    files: { path: string; file_id: string }[]
    failed: { path: string; error: string }[]
  })[]
const content = async (id: string) => (await fetch(`${server.url}/v1/files/${id}/content`)).text()

describe.each(GENERATIONS)('outputs by the official SDK $version', ({ Client }) => {
  test('RS10 what an agent leaves in outputs is listed by scope_id and downloaded when its turn has ended', async () => {
    const { beta } = new Client(counted(server.url).options)
    const session = await server.create(null)
    leave(session, 'report.csv', 'a,b\n')
    leave(session, 'charts/one.png', 'png')
    const ended = await turn(session)
    const found = await all(beta.files.list({ scope_id: session.id, limit: 1 }))
    expect(found.map(({ filename }) => filename).toSorted()).toEqual(['one.png', 'report.csv'])
    const report = found.find(({ filename }) => filename === 'report.csv')!
    expect(report).toMatchObject({
      type: 'file',
      mime_type: 'text/csv',
      size_bytes: 4,
      downloadable: true,
      scope: { type: 'session', id: session.id },
      turn_id: ended.id,
      path: 'report.csv',
    })
    expect(await (await beta.files.download(report.id)).text()).toBe('a,b\n')
    expect(await beta.files.retrieveMetadata(report.id)).toEqual(report)
    expect(ended.files.map(({ path, file_id }) => [path, file_id])).toEqual([
      ['report.csv', report.id],
      ['charts/one.png', found.find(({ filename }) => filename === 'one.png')!.id],
    ])
    const [event] = await persisted(session.id)
    expect(event).toMatchObject({ turn_id: ended.id, files: ended.files, failed: [] })
    const types = (await server.events(session.id)).map(({ type }) => type)
    expect(types.indexOf('session.files_persisted')).toBeLessThan(types.indexOf('turn.completed'))
  })
})

test('RS11 what changed in a later turn is a new file, and what did not is none', async () => {
  const session = await server.create(null)
  const same = leave(session, 'same', 'same')
  const grows = leave(session, 'grows', 'one')
  const first = await turn(session)
  expect((await turn(session)).files).toEqual([])
  // Touched, and written with the same: still the same.
  utimesSync(same, new Date(), new Date())
  appendFileSync(grows, ' two')
  const third = await turn(session)
  expect(third.files).toMatchObject([{ path: 'grows', size_bytes: 7 }])
  // As long as before, and so old that nothing but its content can tell.
  writeFileSync(grows, 'two one')
  utimesSync(grows, new Date(0), new Date(0))
  const fourth = await turn(session)
  expect(
    await Promise.all(
      [first, third, fourth].map(({ files }) => content(files.find(({ path }) => path === 'grows')!.file_id)),
    ),
  ).toEqual(['one', 'one two', 'two one'])
  expect((await filesOf(session.id)).map(({ path }) => path)).toEqual(['grows', 'same', 'grows', 'grows'])
  // Gone from the workdir, or deleted by whoever had it: neither comes back by itself.
  rmSync(same)
  await server.request('DELETE', `/v1/files/${fourth.files[0]!.file_id}`)
  expect((await turn(session)).files).toEqual([])
  expect(await persisted(session.id)).toHaveLength(3)
})

test('RS12 links are not followed, and what is no file, too large or of holes is left out, told once and why', async () => {
  const session = await server.create(null)
  const outside = mkdtempSync(join(tmpdir(), 'troupe-outside-'))
  writeFileSync(join(outside, 'secret'), 'secret')
  const folder = dirname(leave(session, 'good', 'good'))
  symlinkSync(join(outside, 'secret'), join(folder, 'link'))
  symlinkSync(outside, join(folder, 'folder-link'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  writeFileSync(join(folder, 'bad\nname'), 'x')
  writeFileSync(join(folder, 'huge'), '')
  truncateSync(join(folder, 'huge'), 2 ** 40)
  writeFileSync(join(folder, 'holes'), 'x')
  truncateSync(join(folder, 'holes'), 100 * 2 ** 20)
  mkdirSync(join(folder, 'd/'.repeat(17)), { recursive: true })
  writeFileSync(join(folder, 'd/'.repeat(17), 'deep'), 'x')
  const ended = await turn(session)
  expect(ended.files).toMatchObject([{ path: 'good' }])
  const [event] = await persisted(session.id)
  expect(event!.failed.map(({ path, error }) => [path, error]).toSorted()).toEqual(
    [
      ['bad\ufffdname', 'bad_name'],
      ['folder-link', 'link'],
      ['holes', 'sparse'],
      ['huge', 'too_large'],
      ['link', 'link'],
      ['pipe', 'not_a_file'],
      [`${'d/'.repeat(16)}d`, 'too_deep'],
    ].toSorted(),
  )
  expect((await turn(session)).files).toEqual([])
  expect(await persisted(session.id)).toHaveLength(1)

  const other = await server.create(null)
  symlinkSync(outside, join(other.cwd, 'outputs'))
  expect((await turn(other)).files).toEqual([])
  expect((await persisted(other.id))[0]).toMatchObject({ files: [], failed: [{ path: '', error: 'link' }] })
  expect(await filesOf(other.id)).toEqual([])
})

test('RS13 a session and a workspace have no more files than they may, and a turn looks at no more than it can', async () => {
  const session = await server.create(null)
  for (let n = 0; n < 505; n++) leave(session, `f${String(n).padStart(3, '0')}`, `${n}`)
  const ended = await turn(session)
  expect(ended.files).toHaveLength(500)
  const [event] = await persisted(session.id)
  expect(event!.failed).toEqual(
    [500, 501, 502, 503, 504].map((n) => ({ path: `f${n}`, filename: `f${n}`, error: 'session_limit' })),
  )

  const cwd = mkdtempSync(join(tmpdir(), 'troupe-cwd-'))
  for (let n = 0; n < 5_010; n++) {
    if (n === 0) mkdirSync(join(cwd, 'outputs'))
    symlinkSync('x', join(cwd, 'outputs', `l${n}`))
  }
  const context = { store: server.app.store.files, folder: join(cwd, 'files'), clock: systemClock, maxBytes: 10 }
  const place = { workspaceId: 'wrkspc_full', sessionId: 'sesn_none', turnId: 'turn_none', cwd }
  const found = await collectOutputs(context, server.app.store.outputs, place, new AbortController().signal)
  expect(found!.failed).toHaveLength(101)
  expect(found!.failed.filter(({ path }) => path === '')).toEqual([{ path: '', problem: 'too_many_files' }])

  rmSync(join(cwd, 'outputs'), { recursive: true })
  leave({ cwd }, 'a', '0123456789')
  leave({ cwd }, 'b', '0123456789+')
  const full = { ...context, store: { ...context.store, totals: async () => ({ files: 10_000, bytes: 0 }) } }
  const none = await collectOutputs(full, server.app.store.outputs, place, new AbortController().signal)
  expect(none!.failed.map(({ path, problem }) => [path, problem])).toEqual([
    ['a', 'workspace_limit'],
    ['b', 'too_large'],
  ])
  // As long as there is time, and no longer: not even within one file.
  writeFileSync(join(cwd, 'outputs', 'a'), Buffer.alloc(100 * 2 ** 20, 'x'))
  const stop = new AbortController()
  const watching = setInterval(() => existsSync(context.folder) && stop.abort(), 1)
  const cut = await collectOutputs({ ...context, maxBytes: 2 ** 30 }, server.app.store.outputs, place, stop.signal)
  clearInterval(watching)
  expect(cut!.change.files).toEqual([])
  expect(cut!.failed.map(({ problem }) => problem)).toContain('too_slow')
  expect(readdirSync(context.folder)).toEqual([])
  rmSync(context.folder, { recursive: true })
  const late = await collectOutputs(context, server.app.store.outputs, place, AbortSignal.abort())
  expect(late).toMatchObject({ change: { files: [] }, failed: [{ path: '', problem: 'too_slow' }] })
  expect(existsSync(context.folder)).toBe(false)
})

test('RS14 outputs go with their session, stay where another was given them, and are those of their workspace', async () => {
  const session = await server.create(null)
  leave(session, 'one', 'one')
  leave(session, 'two', 'two')
  const [one, two] = (await turn(session)).files.map(({ file_id }) => file_id)
  const given = await server.create(null, { resources: [{ type: 'file', file_id: one, mount_path: 'in' }] })
  expect((await server.app.store.files.list('wrkspc_other', { sessionId: session.id }, 'asc', 10, null)).rows).toEqual(
    [],
  )
  await server.request('DELETE', `/v1/sessions/${session.id}`)
  expect(await filesOf(session.id)).toEqual([])
  for (const id of [one, two]) expect((await server.request('GET', `/v1/files/${id}`)).status).toBe(404)
  const folder = readdirSync(join(server.folder, 'data', 'files'))
  expect([folder.includes(one!), folder.includes(two!)]).toEqual([true, false])
  await turn(given)
  expect(readFileSync(join(given.cwd, 'in'), 'utf8')).toBe('one')
})

test('RS15 a fork knows what it was made with, and lists only what its own turns left', async () => {
  const session = await server.create(null)
  leave(session, 'report', 'one')
  const first = await turn(session)
  const fork = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
  expect((await server.turns(fork.id)).at(-1)!.files).toEqual(first.files)
  expect((await turn(fork)).files).toEqual([])
  leave(fork, 'report', 'two')
  expect((await turn(fork)).files).toMatchObject([{ path: 'report' }])
  expect(await filesOf(fork.id)).toHaveLength(1)
  expect(await filesOf(session.id)).toHaveLength(1)
})

test('RS16 in a folder that the caller named nothing is kept unless it is asked for, and nowhere where it is off', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'troupe-cwd-'))
  leave({ cwd }, 'report', 'x')
  const named = await server.create('say x', { cwd })
  await server.idle(named.id)
  const asked = await server.create('say x', { cwd, outputs: 'on' })
  await server.idle(asked.id)
  const off = await server.create(null, { outputs: 'off' })
  leave(off, 'report', 'x')
  await turn(off)
  expect(await Promise.all([named, asked, off].map(async ({ id }) => (await filesOf(id)).length))).toEqual([0, 1, 0])
})

test('RS17 exports list what was left', async () => {
  const session = await server.create(null)
  leave(session, 'report', 'one')
  const [file] = (await turn(session)).files
  for (const format of ['jsonl', 'markdown', 'html']) {
    const text = await (await fetch(`${server.url}/v1/sessions/${session.id}/export?format=${format}`)).text()
    expect([format, text.includes(file!.file_id)]).toEqual([format, true])
  }
})

test.each([
  ['goes on', 'auto'],
  ['ends', 'fail'],
])('RS18 a kill -9 while outputs are collected: the turn %s, and they are kept once', async (_what, recovery) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-outputs-'))
  const flags = { agent_executable: FAKE_AGENT, spares: 0, live_seconds: 0 }
  const killed = await killableServer(folder, flags)
  const call = async <T>(url: string, path: string, body?: object): Promise<T> => {
    const json = body && { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return (await (await fetch(url + path, json)).json()) as T
  }
  const session = await call<Session>(killed.url, '/v1/sessions', { recovery })
  leave(session, 'a', 'small')
  leave(session, 'b', 'x'.repeat(48 * 2 ** 20))
  const events = [{ type: 'user.message', content: 'say x' }]
  await call(killed.url, `/v1/sessions/${session.id}/events`, { events })
  const kept = join(folder, 'data', 'files')
  const names = () => (existsSync(kept) ? readdirSync(kept) : [])
  await expect
    .poll(() => names().some((name) => name.endsWith('.part')) && names().length === 2, {
      timeout: 60_000,
      interval: 2,
    })
    .toBe(true)
  await killed.kill()
  expect(names().length).toBeGreaterThanOrEqual(2)

  const next = await killableServer(folder, flags)
  const idle = await call<Session>(next.url, `/v1/sessions/${session.id}?wait_for=idle&timeout=60`)
  expect(idle.status).toBe('idle')
  const { data } = await call<{ data: FileMetadata[] }>(next.url, `/v1/files?scope_id=${session.id}&order=asc`)
  expect(data.map(({ path, size_bytes }) => [path, size_bytes])).toEqual([
    ['a', 5],
    ['b', 48 * 2 ** 20],
  ])
  const turns = await call<{ data: Turn[] }>(next.url, `/v1/sessions/${session.id}/turns`)
  expect(turns.data.map(({ status, files }) => [status, files.length])).toEqual([
    [recovery === 'fail' ? 'failed' : 'completed', 2],
  ])
  expect(names().toSorted()).toEqual(data.map(({ id }) => id).toSorted())
  await next.stop()
})
