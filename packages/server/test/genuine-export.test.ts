import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Session } from '@troupe/protocol/session'
import type { Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RecordingModel, recordingModel } from './support/recording-model.ts'
import { type TestServer, testEnv, testServer } from './support/server.ts'

const scripted = (words: string, steps: Step[]) => `${words}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

describe('sessions that leave and come', () => {
  let model: RecordingModel
  let server: TestServer
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'troupe-claude-'))
    model = await recordingModel()
    server = await testServer({ agent_executable: undefined }, { env: model.env })
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
  const text = async (path: string) => {
    const response = await fetch(server.url + path)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  const importOf = (transcript: string, more: object = {}) =>
    server.request('POST', '/v1/sessions/import', { transcript, ...more })

  /** The genuine binary, as a person uses it. */
  async function claude(configDir: string, cwd: string, ...words: string[]): Promise<string> {
    const require = createRequire(import.meta.url)
    const sdk = dirname(require.resolve('@anthropic-ai/claude-agent-sdk'))
    const name = `claude-agent-sdk-${process.platform}-${process.arch}`
    const binary = join(sdk, '..', name, 'claude')
    const env = testEnv({
      ...model.env,
      CLAUDE_CONFIG_DIR: configDir,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    })
    const child = promisify(execFile)(binary, ['-p', '--dangerously-skip-permissions', ...words], {
      cwd,
      env,
      timeout: 60_000,
    })
    child.child.stdin?.end()
    return (await child).stdout
  }
  const transcripts = (configDir: string) =>
    readdirSync(join(configDir, 'projects'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /^[^/]+\/[0-9a-f-]{36}\.jsonl$/.test(name),
    )

  test('IX1 claude --resume goes on with a session of ours on the same machine', async () => {
    const { id } = await server.create(scripted('ALPHA', [{ say: 'alpha done' }]), bypass)
    const session = await server.idle(id)
    const exported = await text(`/v1/sessions/${id}/export?format=claude`)
    const file = join(folder, 'ours', 'projects', session.cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'), `${session.uuid}.jsonl`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, exported.text)
    const said = await claude(
      join(folder, 'ours'),
      session.cwd,
      '--resume',
      session.uuid,
      scripted('BETA', [{ say: 'beta done' }]),
    )
    expect(said).toContain('beta done')
    expect(model.told(session.uuid)).toContain('ALPHA')
    expect(model.told(session.uuid)).toContain('BETA')
    // It has gone on there: what it says is not taken for ours.
    const refused = await importOf(readFileSync(file, 'utf8'))
    expect(refused).toMatchObject({ status: 409, body: { code: 'transcript_conflict' } })
    expect((await importOf(exported.text)).body).toMatchObject({ id, converged: true })
  })

  test('IX2 a conversation of Claude Code goes on with us, under its id, with its history as events', async () => {
    const cwd = join(folder, 'work')
    mkdirSync(cwd)
    const config = join(folder, 'theirs')
    mkdirSync(config)
    const steps: Step[] = [
      { tools: [{ name: 'Bash', input: { command: 'echo from-claude > a; cat a' } }] },
      { say: 'gamma done' },
    ]
    await claude(config, cwd, scripted('GAMMA', steps))
    const [name] = transcripts(config)
    const transcript = readFileSync(join(config, 'projects', name!), 'utf8')
    const imported = (await importOf(transcript, { cwd, title: 'theirs', ...bypass })).body as unknown as Session
    expect(imported).toMatchObject({
      uuid: name!.slice(-42, -6),
      cwd,
      title: 'theirs',
      status: 'idle',
      result: { text: 'gamma done' },
    })
    const events = await server.events(imported.id)
    const shown = events.filter(({ type }) => /^(user|agent)\./.test(type)).map(({ type }) => type)
    expect(shown).toEqual(['user.message', 'agent.tool_use', 'agent.tool_result', 'agent.message'])
    await server.send(imported.id, scripted('DELTA', [{ say: 'delta done' }]))
    expect(await server.idle(imported.id)).toMatchObject({ result: { text: 'delta done' }, last_error: null })
    expect(model.told(imported.uuid)).toContain('GAMMA')
    expect(model.told(imported.uuid)).toContain('DELTA')
    // It can be set back to before it came here, and forked.
    const forked = await server.post<Session>(`/v1/sessions/${imported.id}/fork`, {
      at_event_id: events.find(({ type }) => type === 'agent.message')!.id,
      files: 'share',
    })
    await server.send(forked.id, scripted('OMEGA', [{ say: 'omega done' }]))
    await server.idle(forked.id)
    expect(model.told(forked.uuid)).toContain('GAMMA')
    expect(model.told(forked.uuid)).not.toContain('DELTA')
    // What we went on with is more than they have, and no conflict.
    expect((await importOf(transcript)).body).toMatchObject({ id: imported.id, converged: true })
  })

  test('IX3 a transcript is checked line by line, and nothing in it is taken for a path', async () => {
    const uuid = '11111111-1111-4111-8111-111111111111'
    const line = (more: object) =>
      JSON.stringify({ type: 'user', sessionId: uuid, uuid, message: { content: 'hi' }, ...more })
    const bad = [
      '',
      'no json',
      '[]',
      '{}',
      line({ sessionId: '../../etc' }),
      line({ uuid: '../x' }),
      line({ type: 3 }),
      `${line({})}\n${line({ sessionId: '22222222-2222-4222-8222-222222222222' })}`,
    ]
    for (const transcript of bad)
      expect([transcript, (await importOf(transcript)).body.code]).toEqual([transcript, 'validation_failed'])
    const cwd = '/../../nowhere/to/be/seen'
    const { body } = await importOf(line({ cwd, isSidechain: false }))
    expect(String(body.cwd)).toContain(join(server.folder, 'data', 'sessions'))
    expect(
      (await importOf(line({ sessionId: '44444444-4444-4444-8444-444444444444' }), { cwd: 'relative' })).body.code,
    ).toBe('cwd_not_found')
    const key = { 'idempotency-key': 'import-1' }
    const other = line({ sessionId: '33333333-3333-4333-8333-333333333333' })
    const once = await server.post<Session>('/v1/sessions/import', { transcript: other }, key)
    expect((await server.post<Session>('/v1/sessions/import', { transcript: other }, key)).id).toBe(once.id)
    await server.request('DELETE', `/v1/sessions/${once.id}`)
    const again = (await importOf(other)).body as unknown as Session
    expect(again.id).not.toBe(once.id)
    expect(await server.get(`/v1/sessions/${again.id}`)).toMatchObject({ status: 'idle' })
  })

  test('IX4 what is exported to read is text, whatever was said, and the page runs and fetches nothing', async () => {
    const evil = '<script>alert(1)</script><img src=x onerror=alert(1)>"\'</title>'
    const { id } = await server.create(scripted(evil, [{ say: `${evil}\n\`\`\`\`\n# no heading` }]), {
      ...bypass,
      title: evil,
    })
    await server.idle(id)
    const html = await text(`/v1/sessions/${id}/export?format=html`)
    expect(html.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(html.headers.get('content-disposition')).toBe(`attachment; filename="${id}.html"`)
    expect(html.text).not.toMatch(/<script|<img|onerror=alert\(1\)>"/)
    expect(html.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(html.text.endsWith('</html>\n')).toBe(true)
    const markdown = await text(`/v1/sessions/${id}/export?format=markdown`)
    expect(markdown.text).toContain('## User')
    const jsonl = await text(`/v1/sessions/${id}/export`)
    expect(
      jsonl.text
        .trimEnd()
        .split('\n')
        .map((each) => JSON.parse(each) as unknown),
    ).toEqual(await server.events(id))
    expect((await text(`/v1/sessions/${id}/export?format=pdf`)).status).toBe(400)
  })

  test('IX5 the workdir is downloaded as an archive, whole, and nothing that a link leads to', async () => {
    const { id } = await server.create(
      scripted('WORK', [
        { tools: [{ name: 'Bash', input: { command: 'mkdir -p d/e; printf deep > d/e/f; chmod 750 d/e/f' } }] },
        { say: 'ok' },
      ]),
      bypass,
    )
    const { cwd } = await server.idle(id)
    writeFileSync(join(folder, 'secret'), 'outside')
    symlinkSync(join(folder, 'secret'), join(cwd, 'link'))
    for (const format of ['tar.gz', 'tar']) {
      const response = await fetch(`${server.url}/v1/sessions/${id}/workdir?format=${format}`)
      expect(response.status).toBe(200)
      const bytes = Buffer.from(await response.arrayBuffer())
      const into = join(folder, `into-${format}`)
      mkdirSync(into)
      execFileSync('tar', [format === 'tar' ? '-xf-' : '-xzf-', '-C', into], { input: bytes })
      expect(readFileSync(join(into, 'd/e/f'), 'utf8')).toBe('deep')
      expect(bytes.includes('outside')).toBe(false)
      expect(readdirSync(into).sort()).toEqual(['d', 'link'])
    }
    rmSync(cwd, { recursive: true })
    expect(await server.request('GET', `/v1/sessions/${id}/workdir`)).toMatchObject({ body: { code: 'cwd_not_found' } })
  })
})
