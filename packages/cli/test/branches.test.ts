import { createClient } from '@troupe/client/client'
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync, appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from './support/cli.ts'
import { realServer, script } from './support/server.ts'

let server: Awaited<ReturnType<typeof realServer>>
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-cli-'))
  server = await realServer()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

test('IX6 sessions are compared, forked, set back, taken out and brought in by the CLI', async () => {
  const { sessions, events } = createClient({ baseUrl: server.url })
  const options = { url: server.url, cwd: folder, env: { CLAUDE_CONFIG_DIR: join(folder, 'claude') } }
  const run = (...args: string[]) => runCli(args, options)
  const write = (words: string, command: string) =>
    script({ say: words, tools: [{ name: 'Bash', input: { command } }] }, { say: 'ok' })
  const { id } = await sessions.create({
    agent: { type: 'inline', permission_mode: 'acceptEdits', allowed_tools: ['Bash'] },
    initial_events: [{ type: 'user.message', content: write('one', 'echo one > a') }],
  })
  await sessions.retrieve(id, { wait: 60 })
  await events.send(id, [{ type: 'user.message', content: write('two', 'echo two > a') }])
  const session = await sessions.retrieve(id, { wait: 60 })

  const diff = await run('diff', id)
  expect([diff.code, diff.stdout]).toEqual([0, 'added a  +1 -0\n@@ -0,0 +1 @@\n+two\n1 file changed, +1 -0\n'])
  const forked = await run('fork', id, '--title', 'again')
  expect([forked.code, forked.stdout]).toEqual([0, expect.stringMatching(/^sesn_\w+\n$/)])
  const { data } = await events.list(id, { types: ['turn.completed'] })
  const to = ['rewind', id, '--to', data[0]!.id]
  expect(await run(...to, '--dry-run')).toMatchObject({ code: 0, stdout: 'would undo 1 turn\nrestored a\n' })
  expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('two\n')
  expect(await run(...to)).toMatchObject({ code: 0, stdout: 'undid 1 turn\nrestored a\n' })
  expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('one\n')
  expect((await run('rewind', id)).code).toBe(2)

  const html = join(folder, 'session.html')
  expect((await run('export', id, '--format', 'html', '-o', html)).code).toBe(0)
  expect(readFileSync(html, 'utf8')).toContain('<!doctype html>')
  const lines = (await run('export', id)).stdout.trimEnd().split('\n')
  expect(JSON.parse(lines[0]!)).toMatchObject({ type: 'session.created', seq: 1 })

  const installed = await run('export', id, '--install', '--json')
  const { file } = JSON.parse(installed.stdout) as { file: string }
  expect(file).toBe(
    join(folder, 'claude', 'projects', session.cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'), `${session.uuid}.jsonl`),
  )
  // Somebody may be writing to it; after a while it is ours.
  expect((await run('import', session.uuid)).stderr).toContain('a moment ago')
  utimesSync(file, 1, 1)
  expect(await run('import', session.uuid)).toMatchObject({ code: 0, stdout: `${id}\n` })
  // Gone on elsewhere: neither taken in nor written over.
  const entry = {
    type: 'user',
    sessionId: session.uuid,
    uuid: '99999999-9999-4999-8999-999999999999',
    message: { content: 'x' },
  }
  appendFileSync(file, `${JSON.stringify(entry)}\n`)
  expect((await run('import', '--force', session.uuid)).stderr).toContain('gone on with it')
  expect((await run('export', id, '--install')).stderr).toContain('gone on by itself')
  writeFileSync(file, 'no transcript')
  expect((await run('import', '--force', file)).code).not.toBe(0)
})
