import { createClient } from '@troupe/client/client'
import type { Session } from '@troupe/protocol/session'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jsonLines, runCli, startCli } from './support/cli.ts'
import { realServer, script } from './support/server.ts'

let server: Awaited<ReturnType<typeof realServer>>
const options = () => ({ url: server.url })
const client = () => createClient({ baseUrl: server.url })
const idIn = (text: string) => /sesn_\w+/.exec(text)![0]

beforeAll(async () => {
  server = await realServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** A session that has done its one turn. */
async function session(prompt: string, more: object = {}): Promise<Session> {
  const { id } = await client().sessions.create({
    initial_events: [{ type: 'user.message', content: prompt }],
    ...more,
  })
  return client().sessions.retrieve(id, { wait: 30 })
}

test("the agent's words go to stdout, everything about them to stderr, and no colour to either", async () => {
  const { code, stdout, stderr } = await runCli(['run', script({ say: 'Just this.' })], options())
  expect([code, stdout]).toEqual([0, 'Just this.\n'])
  expect(stderr).toMatch(/^✓ end_turn · [\d.]+ s · [\d,]+ in, [\d,]+ out tokens · \$[\d.]+ · demo model · sesn_\w+\n$/)
})

test('a prompt comes from the arguments, from a pipe, or from both', async () => {
  const [piped, both] = await Promise.all([
    runCli(['run', '--json'], { ...options(), stdin: script({ say: 'Piped.' }) }),
    runCli(['send', (await session('hi')).id, '--json', 'some', 'words'], options()),
  ])
  expect(jsonLines(piped.stdout).at(-1)).toMatchObject({ type: 'session', result: { text: 'Piped.' } })
  expect(JSON.parse(both.stdout)).toMatchObject({ data: [{ content: [{ type: 'text', text: 'some words' }] }] })
})

test('each tool call is one line: verb, target, time, and whether it went well', async () => {
  const bash = (command: string) => ({ name: 'Bash', input: { command, description: 'x' } })
  const prompt = script(
    { tools: [bash('echo hello')] },
    { tools: [bash('exit 3')] },
    { tools: [{ name: 'Write', input: { file_path: '/tmp/troupe-denied', content: 'x' } }] },
    { say: 'Done.' },
  )
  const { code, stdout, stderr } = await runCli(
    ['run', prompt, '--permission-mode', 'dontAsk', '--allowed-tools', 'Bash'],
    options(),
  )
  expect([code, stdout]).toEqual([0, 'Done.\n'])
  expect(stderr.split('\n').slice(0, 4)).toEqual([
    expect.stringMatching(/^ {2}✓ run {2}echo hello {2}[\d.]+ s$/),
    expect.stringMatching(/^ {2}✗ run {2}exit 3 {2}[\d.]+ s {2}failed$/),
    '  ⊘ write  /tmp/troupe-denied  denied',
    expect.stringMatching(/1 tool call was denied/),
  ])
})

test('escape sequences of the agent do not reach the terminal', async () => {
  const { stdout } = await runCli(['run', script({ say: '\x1b]0;owned\x07\x1b[31mred\x1b[0m \x9b2Jend' })], options())
  expect(stdout).toBe('red end\n')
})

test('the options of a new session arrive, and wrong ones are refused before anything is created', async () => {
  const { stdout } = await runCli(
    ['run', '--json', script({ say: 'x' }), '--title', 'A title', '--metadata', 'a=1', '--metadata=b=2=3', '--cwd', '.', '--model', 'haiku', '--system', 'Be brief.', '--permission-mode', 'plan', '--max-turns', '3', '--allowed-tools', 'Read,Bash(ls:*)'], // prettier-ignore
    { ...options(), env: {} },
  )
  expect(jsonLines(stdout).at(-1)).toMatchObject({
    title: 'A title',
    metadata: { a: '1', b: '2=3' },
    agent: {
      model: { id: 'haiku' },
      system: 'Be brief.',
      permission_mode: 'plan',
      allowed_tools: ['Read', 'Bash(ls:*)'],
    },
  })
  const wrong = [['--metadata', 'x'], ['--max-turns', '0'], ['--permission-mode', 'yolo'], ['--session', 'x', '--cwd', '.'], ['--cwd', '/nowhere/at/all']] // prettier-ignore
  for (const { code } of await Promise.all(wrong.map((args) => runCli(['run', 'x', ...args], options()))))
    expect(code).toBe(2)
})

test('SO7 with a schema the value that fits it goes to stdout, and everything else to stderr', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-schema-'))
  const file = join(folder, 'schema.json')
  writeFileSync(file, JSON.stringify({ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }))
  const steps = [{ say: 'On my way.', tools: [{ name: 'StructuredOutput', input: { n: 42 } }] }]
  const { code, stdout, stderr } = await runCli(['run', '--schema', file, script(...steps)], options())
  expect([code, JSON.parse(stdout)]).toEqual([0, { n: 42 }])
  expect(stderr).toContain('On my way.')
  const failed = await runCli(['run', '--schema', file, script({ say: 'No.' })], options())
  expect([failed.code, failed.stdout]).toEqual([1, ''])
  expect(failed.stderr).toContain('structured_output_failed')
  writeFileSync(file, '[]')
  for (const wrong of [file, join(folder, 'none.json')])
    expect((await runCli(['run', '--schema', wrong, 'x'], options())).code).toBe(2)
  rmSync(folder, { recursive: true })
})

test('a session is gone on with, and only the new turn is shown', async () => {
  const { id } = await session(script({ say: 'First.' }))
  const { code, stdout, stderr } = await runCli(['run', '--session', id, script({ say: 'Second.' })], options())
  expect([code, stdout]).toEqual([0, 'Second.\n'])
  expect(stderr).toContain(id)
})

test('JSON of a run is a line for each event of the turn and the session at the end', async () => {
  const { code, stdout, stderr } = await runCli(['run', '--json', script({ say: 'Hello.' })], options())
  const lines = jsonLines(stdout)
  expect([code, stderr]).toEqual([0, ''])
  expect(lines.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['user.message', 'agent.message', 'turn.completed']),
  )
  expect(lines.at(-1)).toMatchObject({ type: 'session', status: 'idle', result: { text: 'Hello.' } })
})

test('a turn that fails is exit code 1 and says why', async () => {
  const { code, stdout, stderr } = await runCli(['run', script({ fail: { status: 400 } })], options())
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/ {2}! .*400/)
  expect(stderr).toMatch(/✗ retries_exhausted/)
})

test('Ctrl+C interrupts the turn once and waits for its end', async () => {
  const run = startCli(['run', script({ say: 'I begin to speak and then I hang.', hang: 'mid' })], options())
  await run.says('I begin')
  run.child.kill('SIGINT')
  const { code, stderr } = await run.finished
  expect(code).toBe(130)
  expect(stderr).toMatch(/■ interrupted/)
  const id = idIn(stderr)
  const interrupts = await client().events.list(id, { types: ['user.interrupt'] })
  expect(interrupts.data).toHaveLength(1)
  expect(await client().sessions.retrieve(id)).toMatchObject({ status: 'idle', stop_reason: { type: 'interrupted' } })
})

test('Ctrl+C twice leaves at once', async () => {
  const run = startCli(['run', script({ say: 'I begin to speak and then I hang.', hang: 'mid' })], options())
  await run.says('I begin')
  run.child.kill('SIGINT')
  await run.says('Interrupting')
  run.child.kill('SIGINT')
  expect((await run.finished).code).toBe(130)
})

test('Ctrl+C stops a turn that still waits, and not the one before it', async () => {
  const { id } = await client().sessions.create({
    initial_events: [{ type: 'user.message', content: script({ hang: true }) }],
  })
  const run = startCli(['run', '--session', id, '--json', 'Later.'], options())
  await run.says('session.queued')
  run.child.kill('SIGINT')
  expect((await run.finished).code).toBe(130)
  const { data } = await client().turns.list(id)
  expect(data.map(({ status }) => status)).toEqual([expect.stringMatching(/queued|in_progress/), 'cancelled'])
  expect((await runCli(['cancel', id, '--now'], options())).stdout).toMatch(/^cancelled turn_/)
})

test('a list shows id, status, age, cost and the title or the first words', async () => {
  const titled = await session(script({ say: 'x' }), { title: 'With a\ttitle\x1b[31m' })
  const untitled = await session('hi there')
  const { code, stdout } = await runCli(['ls', '--limit', '2'], options())
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^ID +STATUS +AGE +COST +TITLE$/),
    expect.stringMatching(new RegExp(`^${untitled.id} {2}✓ end_turn .* \\$[\\d.]+ {2}hi there$`)),
    expect.stringMatching(new RegExp(`^${titled.id} {2}✓ end_turn .* \\$[\\d.]+ {2}With a title$`)),
    '',
  ])
  const idle = JSON.parse((await runCli(['ls', '--status', 'idle', '-n', '1', '--json'], options())).stdout) as object
  expect(idle).toMatchObject({ data: [{ status: 'idle' }] })
})

test('usage is a table by day, or by what one likes, with a line for all', async () => {
  const { id } = await session('hi')
  const { code, stdout } = await runCli(['usage', '--by', 'model,session', '--session', id], options())
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^MODEL +SESSION +TURNS +REQUESTS +TOKENS +CACHED +COST$/),
    expect.stringMatching(new RegExp(`^\\S+ +${id} +1 +1 .* \\$[\\d.]+$`)),
    expect.stringMatching(/^all +1 +1 .* \$[\d.]+$/),
    '',
  ])
  const json = await runCli(['usage', '--since', '2026-01-01', '--json'], options())
  expect(JSON.parse(json.stdout)).toMatchObject({ totals: { type: 'usage_totals' } })
  expect((await runCli(['usage', '--since', 'soon'], options())).code).toBe(2)
})

test('an archived session is listed only among all', async () => {
  const { id } = await session('hi')
  await client().sessions.archive(id)
  const [some, all] = await Promise.all([
    runCli(['ls', '--json'], options()),
    runCli(['ls', '--json', '-a'], options()),
  ])
  expect([some.stdout.includes(id), all.stdout.includes(id)]).toEqual([false, true])
})

test('a log is printed as a transcript, event by event, or as JSON, and from where one likes', async () => {
  const { id, last_seq: last } = await session(script({ say: 'Words.' }))
  const [plain, raw, asJson] = await Promise.all([
    runCli(['logs', id], options()),
    runCli(['logs', id, '--raw', '--after', '4'], options()),
    runCli(['logs', id, '--json'], options()),
  ])
  expect(plain.stdout).toMatch(/^› Play this:\n(› .*\n)+Words\.\n✓ end_turn .*\n$/)
  expect(raw.stdout).toMatch(/^ +5 {2}[\d:.]+ {2}turn\.started {2}\{.*\}\n/)
  expect(jsonLines(asJson.stdout).at(-1)).toMatchObject({ seq: last, type: 'session.status_idle' })
})

test('a log that is followed goes on with what comes, until the session is deleted', async () => {
  const { id } = await session(script({ say: 'Before.' }))
  const logs = startCli(['logs', id, '-f'], options())
  await logs.says('Before.')
  const sent = await runCli(['send', id, '--wait', script({ say: 'After.' })], options())
  expect([sent.code, sent.stdout]).toEqual([0, 'After.\n'])
  await logs.says('After.')
  await client().sessions.delete(id)
  const { code, stderr } = await logs.finished
  expect([code, stderr]).toEqual([0, 'The session was deleted.\n'])
})

test('a message is sent, waited for, and its outcome is the exit code', async () => {
  const { id } = await session('hi')
  expect((await runCli(['send', id, script({ fail: { status: 400 } })], options())).stdout).toMatch(/^turn_\w+\n$/)
  const waited = await runCli(['wait', id], options())
  expect([waited.code, waited.stdout]).toEqual([1, expect.stringMatching(/^✗ retries_exhausted .*400/)])
  await runCli(['send', id, script({ hang: true })], options())
  expect(await runCli(['wait', id, '--timeout', '0'], options())).toMatchObject({ code: 1 })
  expect(await runCli(['rm', id], options())).toMatchObject({ code: 1, stderr: expect.stringContaining('is running') })
  expect((await runCli(['cancel', id, '--now'], options())).stdout).toMatch(/^cancelled turn_/)
  expect(await runCli(['cancel', id], options())).toMatchObject({ code: 0, stdout: 'Nothing was running.\n' })
})

test('a session is shown, and deleted for good', async () => {
  const { id, cwd } = await session(script({ say: 'The answer.' }))
  const shown = await runCli(['show', id], options())
  expect(shown.stdout).toMatch(
    new RegExp(`^id +${id}\n[^]*status +✓ end_turn\n[^]*workdir +${cwd}\n[^]*\n\nThe answer\\.\n$`),
  )
  expect(JSON.parse((await runCli(['show', id, '--json'], options())).stdout)).toMatchObject({ id, type: 'session' })
  const removed = await runCli(['rm', id, 'nonsense', '--json'], options())
  expect([removed.code, JSON.parse(removed.stdout)]).toMatchObject([2, { deleted: [id], failed: [{ id: 'nonsense' }] }])
  expect(await runCli(['show', id], options())).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('was deleted'),
  })
})

test('OP6 a backup is made beside the running server, and restored once', async () => {
  await session('hi')
  const folder = mkdtempSync(join(tmpdir(), 'troupe-backup-'))
  const [backup, data] = [join(folder, 'backup'), join(folder, 'data')]
  const made = await runCli(['backup', '--data-dir', server.dataDir, backup], options())
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+ sessions, \d+ files → /), stderr: '' })
  const restored = await runCli(['restore', '--data-dir', data, backup, '--json'], options())
  expect([restored.code, JSON.parse(restored.stdout)]).toMatchObject([
    0,
    { folder: data, sessions: expect.any(Number) },
  ])
  const again = await runCli(['restore', '--data-dir', data, backup], options())
  expect([again.code, again.stdout]).toEqual([1, ''])
  expect(again.stderr).toContain('is there already')
  rmSync(folder, { recursive: true })
})
