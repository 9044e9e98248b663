import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Diff } from '@troupe/protocol/branch'
import type { Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: Step[]) => `Go on\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })

describe('the diff of a genuine agent', () => {
  let server: TestServer
  let other: string
  beforeAll(async () => {
    other = mkdtempSync(join(tmpdir(), 'troupe-named-'))
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    rmSync(other, { recursive: true, force: true })
  })

  const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
  const run = async (commands: string[], fields: object = {}) => {
    const { id } = await server.create(null, { ...bypass, ...fields })
    for (const command of commands) {
      await server.send(id, scripted([bash(command), { say: 'done' }]))
      await server.idle(id)
    }
    return id
  }
  const diff = (id: string, turn?: string) =>
    server.get<Diff>(`/v1/sessions/${id}/diff${turn === undefined ? '' : `?turn_id=${turn}`}`)

  test('FK7 what each turn changed is told as soon as it has ended, and what the session did', async () => {
    const id = await run(['printf "one\\ntwo\\n" > a; echo x > gone', 'echo three >> a; rm gone', 'ls'])
    const turns = await server.turns(id)
    const [first, second, third] = await Promise.all(turns.map((turn) => diff(id, turn.id)))
    expect(first!.files).toMatchObject([
      { path: 'a', status: 'added', additions: 2, deletions: 0, before: null, after: { size: 8, mode: '0644' } },
      { path: 'gone', status: 'added' },
    ])
    expect(second!.files).toMatchObject([
      { path: 'a', status: 'modified', patch: '@@ -1,2 +1,3 @@\n one\n two\n+three\n' },
      { path: 'gone', status: 'deleted', after: null },
    ])
    expect(third).toMatchObject({ files: [], files_changed: 0, truncated: false })
    expect(await diff(id)).toMatchObject({ turn_id: null, files: [{ path: 'a', additions: 3 }], files_changed: 1 })
    // Nothing of it is in the workdir.
    const { cwd } = await server.get<{ cwd: string }>(`/v1/sessions/${id}`)
    expect(readdirSync(cwd)).toEqual(['a'])
    await server.restart()
    expect(await diff(id, turns[1]!.id)).toEqual(second)
  })

  test('FK8 a named folder is kept when it is small, or when that is asked for; what was not kept is said', async () => {
    writeFileSync(join(other, 'theirs'), 'before\n')
    const id = await run(['echo more >> theirs'], { cwd: other })
    expect((await diff(id)).files).toMatchObject([{ path: 'theirs', additions: 1, deletions: 0 }])
    const off = await run(['echo again >> theirs'], { cwd: other, snapshots: 'off' })
    const refused = await server.request('GET', `/v1/sessions/${off}/diff`)
    expect(refused).toMatchObject({ status: 404, body: { code: 'snapshot_not_found' } })
    expect(refused.body.detail).toContain('off')
    mkdirSync(join(other, 'big'))
    for (let n = 0; n < 5_001; n++) writeFileSync(join(other, 'big', `${n}`), '')
    const big = await run(['echo big >> theirs'], { cwd: other })
    expect((await server.request('GET', `/v1/sessions/${big}/diff`)).body.detail).toContain('more files')
    const asked = await run(['echo asked >> theirs'], { cwd: other, snapshots: 'on' })
    expect((await diff(asked)).files).toMatchObject([{ path: 'theirs', additions: 1 }])
    expect(readFileSync(join(other, 'theirs'), 'utf8')).toBe('before\nmore\nagain\nbig\nasked\n')
    const missing = await server.request('GET', `/v1/sessions/${asked}/diff?turn_id=turn_none`)
    expect(missing).toMatchObject({ status: 404, body: { code: 'turn_not_found' } })
  })

  test('FK9 without git the session works as ever, and a diff says what is missing', async () => {
    const bare = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { env: { ANTHROPIC_API_KEY: undefined, PATH: noGit() } },
    )
    try {
      const { id } = await bare.create(scripted([bash('echo x > a'), { say: 'done' }]), bypass)
      expect(await bare.idle(id)).toMatchObject({ stop_reason: { type: 'end_turn' }, last_error: null })
      const refused = await bare.request('GET', `/v1/sessions/${id}/diff`)
      expect(refused).toMatchObject({ status: 503, body: { code: 'snapshots_unavailable' } })
      expect(refused.body.detail).toContain('git is not installed')
    } finally {
      await bare.stop()
    }
  })

  /** A search path with what an agent needs, and without git. */
  function noGit(): string {
    const bin = join(other, 'bin')
    mkdirSync(bin, { recursive: true })
    for (const name of ['sh', 'bash', 'env', 'cat', 'ls', 'setpriv', 'unshare'])
      symlinkSync(join('/usr/bin', name), join(bin, name))
    return bin
  }
})
