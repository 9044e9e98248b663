import { startApp } from '@troupe/server/app'
import { loadConfig } from '@troupe/server/config'
import { expect, onTestFinished, test } from 'vitest'
import { runCli, tempFolder } from './support/cli.ts'
import { fakeServer, json } from './support/server.ts'

/** A server that asks for keys, and its first one. */
async function lockedServer() {
  const folder = tempFolder()
  let operator = ''
  const app = await startApp(
    loadConfig({
      flags: { port: 0, data_dir: 'data', auth: 'on', demo_model: 'on', log_level: 'silent' },
      env: { PATH: process.env.PATH, HOME: folder.path },
      cwd: folder.path,
    }),
    { onFirstKey: (secret) => (operator = secret) },
  )
  onTestFinished(async () => {
    await app.stop()
    folder[Symbol.dispose]()
  })
  const as = (key: string) => (args: string[]) => runCli(args, { url: app.url, env: { TROUPE_API_KEY: key } })
  return { operator: as(operator), as }
}

test('CP10 keys are made, listed, rotated and revoked in a shell; a secret is shown once, alone on stdout', async () => {
  const { operator, as } = await lockedServer()
  const made = await operator([
    'keys',
    'create',
    '--name',
    'ci \u001b[31mred',
    '--scope',
    'sessions:read,usage:read',
    '--scope',
    'admin',
  ])
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\S+\n$/) })
  const secret = made.stdout.trim()
  const [id] = /^\S+/.exec(made.stderr)!
  expect(made.stderr).not.toContain(secret)
  expect(made.stderr).not.toContain('\u001b[31m')
  const listed = await as(secret)(['keys', 'list'])
  expect(listed.code).toBe(0)
  expect(listed.stdout).toMatch(new RegExp(`${id} +active +\\S+ +\\S.* sessions:read,usage:read,admin +ci red`))
  expect(listed.stdout).not.toContain(secret)

  const rotated = await operator(['keys', 'rotate', id!, '--grace', '0', '--json'])
  const next = (JSON.parse(rotated.stdout) as { secret: string }).secret
  expect(next).not.toBe(secret)
  expect((await as(secret)(['keys', 'list'])).code).toBe(4)
  expect((await as(next)(['keys', 'list', '--json'])).code).toBe(0)

  expect(await operator(['keys', 'revoke', id!])).toMatchObject({ code: 0, stdout: `revoked ${id}\n` })
  expect((await as(next)(['keys', 'list'])).code).toBe(4)
  const active = JSON.parse((await operator(['keys', 'list', '--json'])).stdout) as { data: { id: string }[] }
  expect(active.data.map((key) => key.id)).not.toContain(id)
  expect((await operator(['keys', 'list', '--all'])).stdout).toContain(`${id}  revoked`)

  const space = await operator(['workspaces', 'create', 'Team B'])
  expect(space).toMatchObject({ code: 0, stdout: expect.stringMatching(/^wrkspc_\S+\n$/) })
  expect((await operator(['workspaces', 'list'])).stdout).toMatch(new RegExp(`${space.stdout.trim()} .*Team B`))
  const theirs = await operator([
    'keys',
    'create',
    '--name',
    'b',
    '--scope',
    'admin',
    '--workspace',
    space.stdout.trim(),
    '--json',
  ])
  expect(JSON.parse(theirs.stdout)).toMatchObject({ workspace_id: space.stdout.trim(), secret: expect.any(String) })
})

test('CP11 what is wrong with a command about keys is said before or by the server, with the exit codes of the others', async () => {
  const { operator } = await lockedServer()
  const wrong: [string[], RegExp][] = [
    [['keys'], /<action>/],
    [['keys', 'drop'], /list, create, rotate, revoke; received "drop"/],
    [['keys', 'rotate'], /needs the id/],
    [['keys', 'list', 'x'], /takes no id/],
    [['keys', 'create', '--scope', 'admin'], /needs a --name/],
    [['keys', 'create', '--name', 'x'], /needs a --scope/],
    [['keys', 'create', '--name', 'x', '--scope', 'everything'], /scopes/],
    [['keys', 'create', '--name', 'x', '--scope', 'admin', '--policy', '{'], /--policy takes JSON/],
    [['keys', 'create', '--name', 'x', '--scope', 'admin', '--policy', '{"max_turns":0}'], /max_turns/],
    [['keys', 'list', '--name', 'x'], /--name is an option of "troupe keys create"/],
    [['keys', 'rotate', 'x', '--grace', '-1'], /--grace/],
    [['keys', 'revoke', 'no-such-key'], /no-such-key|not found|no key/i],
    [['workspaces', 'create'], /needs a name/],
  ]
  for (const [args, why] of wrong) {
    const { code, stdout, stderr } = await operator(args)
    expect([args.join(' '), code, stdout]).toEqual([args.join(' '), 2, ''])
    expect(stderr).toMatch(why)
  }
  await using lossy = await fakeServer((response) => json(response, 200, { id: 'apikey_1', name: 'x', secret: null }))
  const lost = await runCli(['keys', 'create', '--name', 'x', '--scope', 'admin'], lossy)
  expect(lost).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('troupe keys rotate apikey_1') })
})
