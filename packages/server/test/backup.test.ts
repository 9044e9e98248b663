import {
  cpSync,
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
import type { Session } from '@troupe/protocol/session'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import Sqlite from 'better-sqlite3'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApp } from '../src/app.ts'
import { backUp, restore } from '../src/backup.ts'
import { loadConfig } from '../src/config.ts'
import { testEnv, testServer } from './support/server.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'troupe-backup-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

test('OP6 a backup that is taken while agents work goes on elsewhere: history, files and conversation', async () => {
  const model = await startDemoModel()
  const options = { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } }
  const server = await testServer({ agent_executable: undefined, demo_model: 'on' }, options)
  const play = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
  const agent = { type: 'inline', permission_mode: 'bypassPermissions' }
  const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
  const done = await server.create(play([bash('echo kept > file.txt'), { say: 'remember the blue door' }]), { agent })
  await server.idle(done.id)
  symlinkSync('file.txt', join(done.cwd, 'link'))
  const asks = await server.create(play([bash('touch asked')]))
  const [ask] = (await server.idle(asks.id)).required_actions
  const works = await server.create(play([bash('echo x; for n in $(seq 60); do sleep 1; done')]), { agent })
  await server.event(works.id, ({ type }) => type === 'agent.tool_use')
  const before = await server.events(done.id)
  const form = new FormData()
  form.set('file', new File(['kept too'], 'notes.txt', { type: 'text/plain' }))
  const uploaded = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
  const { id: fileId } = (await uploaded.json()) as { id: string }

  const report = await backUp(join(server.folder, 'data'), join(folder, 'backup'))
  expect(report).toMatchObject({ sessions: 3, data_dir: join(server.folder, 'data') })
  // What comes after is not in it.
  await server.create(null)
  await server.stop()

  await restore(join(folder, 'backup'), join(folder, 'data'))
  const app = await startApp(
    loadConfig({
      flags: { port: 0, data_dir: join(folder, 'data'), demo_model: 'on' },
      env: testEnv({ HOME: folder }),
      cwd: folder,
    }),
    { demoModel: model },
  )
  const call = async <T>(path: string, body?: object): Promise<T> => {
    const headers = { 'content-type': 'application/json' }
    const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : {}
    const response = await fetch(app.url + path, init)
    expect([path, response.status]).toEqual([path, 200])
    return (await response.json()) as T
  }
  const idle = (id: string) => call<Session>(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
  expect((await call<{ data: unknown[] }>('/v1/sessions')).data).toHaveLength(3)
  expect((await call<{ data: unknown[] }>(`/v1/sessions/${done.id}/events?limit=1000`)).data).toEqual(before)
  expect(await (await fetch(`${app.url}/v1/files/${fileId}/content`)).text()).toBe('kept too')
  const { cwd } = await idle(done.id)
  expect(cwd).toBe(done.cwd.replace(join(server.folder, 'data'), join(folder, 'data')))
  expect(readFileSync(join(cwd, 'link'), 'utf8')).toBe('kept\n')
  const content = play([bash('pwd'), { say: 'still here' }])
  await call(`/v1/sessions/${done.id}/events`, { events: [{ type: 'user.message', content }] })
  expect((await idle(done.id)).result!.text).toBe('still here')
  // The agent has its whole conversation.
  const last = model.requests.list(done.uuid).at(-1)!
  expect(last.messageCount).toBeGreaterThan(4)
  await call(`/v1/approvals/${ask!.event_id}`, { result: 'allow' })
  await idle(asks.id)
  expect(existsSync(join(asks.cwd.replace(join(server.folder, 'data'), join(folder, 'data')), 'asked'))).toBe(true)
  expect((await idle(works.id)).last_error).toMatchObject({ code: 'server_restarted', side_effect_possible: true })
  await app.stop()
  await model.close()
})

test('OP7 nothing is written over, nothing half is left, and what is not a whole backup is not restored', async () => {
  const server = await testServer()
  await server.create(null)
  const data = join(server.folder, 'data')
  const backup = join(folder, 'backup')
  const refused = async (work: Promise<unknown>) =>
    (
      await work.then(
        () => null,
        (error: Error) => [error.name, error.message],
      )
    )?.join(': ')
  mkdirSync(backup)
  writeFileSync(join(backup, 'mine'), '')
  expect(await refused(backUp(data, backup))).toContain('is there already')
  // What a killed one left goes after a day, and nothing else does.
  for (const [name, days] of [
    ['other.partial-old', 2],
    ['other.partial-new', 0],
    ['another.partial-old', 2],
  ] as const) {
    mkdirSync(join(folder, name))
    const at = Date.now() / 1000 - days * 86_400
    utimesSync(join(folder, name), at, at)
  }
  await backUp(data, join(folder, 'other'))
  expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([
    'another.partial-old',
    'other.partial-new',
  ])
  for (const name of ['other', 'another.partial-old', 'other.partial-new'])
    rmSync(join(folder, name), { recursive: true })
  expect(await refused(backUp(data, join(data, 'inside')))).toContain('copied into itself')
  symlinkSync(data, join(folder, 'elsewhere'))
  expect(await refused(backUp(data, join(folder, 'elsewhere', 'inside')))).toContain('copied into itself')
  expect(await refused(backUp(folder, join(folder, 'other')))).toContain('There is no troupe.db')
  rmSync(backup, { recursive: true })
  await backUp(data, backup)
  expect(await refused(restore(backup, data))).toContain('is there already')
  const fresh = join(folder, 'fresh')
  const spoiled = (name: string, spoil: (path: string) => void) => () => {
    const path = join(folder, name)
    cpSync(backup, path, { recursive: true })
    spoil(path)
    return restore(path, fresh)
  }
  const cases: [() => Promise<unknown>, string][] = [
    [spoiled('no-manifest', (path) => rmSync(join(path, 'backup.json'))), 'not a whole backup'],
    [spoiled('null-manifest', (path) => writeFileSync(join(path, 'backup.json'), 'null')), 'not a whole backup'],
    [spoiled('no-store', (path) => rmSync(join(path, 'troupe.db'))), 'unable to open'],
    [spoiled('cut', (path) => truncateSync(join(path, 'troupe.db'), 5_000)), ''],
    [spoiled('text', (path) => writeFileSync(join(path, 'troupe.db'), 'no database'.repeat(500))), 'not a database'],
    [
      spoiled('newer', (path) => {
        const db = new Sqlite(join(path, 'troupe.db'))
        db.pragma('user_version = 9999')
        db.close()
      }),
      'schema 9999',
    ],
  ]
  for (const [work, words] of cases) expect(await refused(work())).toMatch(new RegExp(`^BackupProblem: .*${words}`))
  expect(readdirSync(folder).filter((name) => /fresh|partial/.test(name))).toEqual([])
  await server.stop()
})
