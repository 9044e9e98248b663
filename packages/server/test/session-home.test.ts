import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome } from '../src/runner/session-home.ts'
import { sandboxProblem } from '../src/environments/sandbox-problem.ts'
import { type TestServer, testServer } from './support/server.ts'

const script = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const FREE = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
const problem = await sandboxProblem(process.env.PATH)

describe('the home of a session', () => {
  let model: DemoModel
  let server: TestServer
  let home: string
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'troupe-home-'))
    writeFileSync(join(home, '.gitconfig'), '[user]\n\tname = The \\"Operator\\"\n[http]\n\textraHeader = canary\n')
    mkdirSync(join(home, '.aws'))
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', session_home: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, HOME: home } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const root = (uuid: string) => join(server.folder, 'data', 'sessions', uuid)
  const played = async (steps: object[], more: object = {}) => {
    const session = await server.create(script([...steps, { say: 'done' }]), { ...FREE, ...more })
    expect((await server.idle(session.id)).result!.text).toBe('done')
    return session
  }

  test('IS6 the agent of each session has a home and a place for temporary files of its own, and both go with the session', async () => {
    const leave =
      'echo mine > ~/.dotfile; echo mine > $TMPDIR/note; mktemp > made; echo $HOME $TMPDIR > where; git config user.name > who'
    const one = await played([bash(leave)])
    const folder = root(one.uuid)
    const tmp = join(readlinkSync(join(server.folder, 'data', 'temporary')), one.uuid)
    expect(readFileSync(join(one.cwd, 'where'), 'utf8')).toBe(`${folder}/home ${tmp}\n`)
    expect(readFileSync(join(one.cwd, 'made'), 'utf8')).toContain(`${tmp}/`)
    // Lent, and changed here alone.
    expect(readFileSync(join(one.cwd, 'who'), 'utf8')).toBe('The "Operator"\n')
    expect(readFileSync(join(folder, 'home', '.gitconfig'), 'utf8')).not.toContain('canary')
    const two = await played([
      bash('ls -A ~ $TMPDIR > seen; git config --global user.name Mine; git config user.name > who'),
    ])
    expect(readFileSync(join(two.cwd, 'seen'), 'utf8')).not.toMatch(/dotfile|note/)
    expect(readFileSync(join(two.cwd, 'who'), 'utf8')).toBe('Mine\n')
    expect(readFileSync(join(home, '.gitconfig'), 'utf8')).not.toContain('Mine')
    expect(readdirSync(home).toSorted()).toEqual(['.aws', '.gitconfig'])
    // As caches of modules are left.
    mkdirSync(join(folder, 'home', 'cache', 'inner'), { recursive: true })
    chmodSync(join(folder, 'home', 'cache'), 0o500)
    expect(lstatSync(join(folder, 'home')).mode & 0o777).toBe(0o700)
    await server.request('DELETE', `/v1/sessions/${one.id}`)
    expect([existsSync(folder), existsSync(tmp)]).toEqual([false, false])
    // Systems sweep such places; what others then make there is not used.
    rmSync(dirname(tmp), { recursive: true })
    const later = await played([bash('mktemp')])
    expect(readdirSync(readlinkSync(join(server.folder, 'data', 'temporary')))).toEqual([later.uuid])
  })

  test('IS7 a session that goes on finds its home as it left it', async () => {
    const session = await played([bash('echo kept > ~/.note')])
    await server.restart()
    await server.send(session.id, script([bash('cp ~/.note seen'), { say: 'again' }]))
    expect((await server.idle(session.id)).result!.text).toBe('again')
    expect(readFileSync(join(session.cwd, 'seen'), 'utf8')).toBe('kept\n')
  })

  test.skipIf(problem !== null && !process.env.CI)(
    'IS8 two sessions in sandboxes share no place that both can write in',
    async () => {
      const { id } = await server.post<{ id: string }>('/v1/environments', { name: 'x', config: { type: 'sandbox' } })
      const one = await played([bash('echo mine > ~/.note && echo mine > $TMPDIR/note && echo $TMPDIR > where')], {
        environment_id: id,
      })
      const there = readFileSync(join(one.cwd, 'where'), 'utf8').trim()
      expect(there).toContain(`/${one.uuid}/`)
      const two = await played(
        [
          bash(
            `cat ${root(one.uuid)}/home/.note ${there}/note > seen 2>&1; echo x > ${there}/planted; echo x > /tmp/planted-${one.uuid}`,
          ),
        ],
        { environment_id: id },
      )
      expect(readFileSync(join(two.cwd, 'seen'), 'utf8')).not.toContain('mine')
      expect(existsSync(join(there, 'planted'))).toBe(false)
      expect(existsSync(`/tmp/planted-${one.uuid}`)).toBe(false)
    },
  )

  test('IS9 what a cloud that serves the model asks for is lent by a link, only where it serves it; without own homes the server lends its own', async () => {
    const at = (name: string) => {
      const folder = join(server.folder, name)
      return { home: join(folder, 'home'), tmp: join(folder, 'tmp') }
    }
    makeHome(at('plain'), { HOME: home }, '')
    expect(existsSync(join(at('plain').home, '.aws'))).toBe(false)
    const variables = makeHome(
      at('bedrock'),
      { HOME: home, CLAUDE_CODE_USE_BEDROCK: '1', CLAUDE_CODE_USE_VERTEX: '1' },
      '',
    )
    expect(lstatSync(join(variables.HOME, '.aws')).isSymbolicLink()).toBe(true)
    expect(existsSync(join(variables.HOME, '.config'))).toBe(false)
    // Again, as each start does.
    expect(makeHome(at('bedrock'), { HOME: home, CLAUDE_CODE_USE_BEDROCK: '1' }, '')).toEqual(variables)

    await server.restart({ session_home: 'off' })
    const session = await played([bash('echo $HOME > where')])
    expect(readFileSync(join(session.cwd, 'where'), 'utf8')).toBe(`${home}\n`)
  })
})
