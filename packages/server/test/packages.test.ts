import type { Environment } from '@troupe/protocol/environment'
import type { SessionEvent } from '@troupe/protocol/event'
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { counted, GENERATIONS } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

/** Package managers that only note what they are asked for: no registry is needed. */
function managers(): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-managers-'))
  for (const name of ['npm', 'python3']) {
    const script = `#!/bin/sh\necho "${name} $*" >> "$HOME/asked"\ncase "$*" in *broken*) exit 1;; esac\n`
    writeFileSync(join(folder, name), script)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}

describe('packages of cloud environments', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer({}, { env: { PATH: `${managers()}:${process.env.PATH}` } })
  })
  afterAll(() => server.stop())

  test.each(GENERATIONS)(
    'EN40 with the official SDK $version packages of npm and pip are installed into the home of each session before its first turn',
    async ({ Client }) => {
      const { environments, sessions } = new Client(counted(server.url).options).beta
      const packages = { npm: ['@scope/tool@^1.2.0', 'cowsay'], pip: ['numpy==1.26.4', 'requests[socks]>=2,<3'] }
      const made = await environments.create({ name: 'x', config: { type: 'cloud', packages } as never })
      expect(made.config).toMatchObject({ packages: { type: 'packages', ...packages, apt: [] } })
      expect((await environments.update(made.id, { name: 'y' })).config).toEqual(made.config)
      const { id } = await sessions.create({ agent: 'agent_default', environment_id: made.id })
      await server.send(id, 'env PATH')
      const { result, cwd } = await server.idle(id)
      const home = join(cwd, '..', 'home')
      expect(result!.text!.split(':')[0]).toBe(join(home, '.local', 'bin'))
      expect(readFileSync(join(home, 'asked'), 'utf8').trim().split('\n')).toEqual([
        `npm install --global --no-audit --no-fund --prefix ${home}/.local -- @scope/tool@^1.2.0 cowsay`,
        'python3 -m pip install --user --no-input --disable-pip-version-check -- numpy==1.26.4 requests[socks]>=2,<3',
      ])
      await server.send(id, 'say two')
      await server.idle(id)
      expect(readFileSync(join(home, 'asked'), 'utf8').trim().split('\n').length).toBe(2)
      const cleared = await environments.update(made.id, { config: { type: 'cloud', packages: { npm: [] } } as never })
      expect(cleared.config).toMatchObject({ packages: { npm: [], pip: packages.pip } })
    },
  )

  test('EN41 packages that cannot be installed fail the turn, and what is no package, or would go round bounds, is refused', async () => {
    const make = (config: object) =>
      server.request('POST', '/v1/environments', { name: 'x', config: { type: 'cloud', ...config } })
    const tried = async (config: object) => {
      const { status, body } = await make(config)
      return [status, body.code]
    }
    const bad = [
      '--registry=x',
      'a b',
      "a';touch x;'",
      '../x',
      'https://x/y.tgz',
      'a/b',
      'git+ssh://x',
      '$(x)',
      'a\nb',
      '',
    ]
    for (const name of bad)
      for (const manager of ['npm', 'pip'])
        expect([name, manager, ...(await tried({ packages: { [manager]: [name] } }))]).toEqual([
          name,
          manager,
          400,
          'validation_failed',
        ])
    for (const manager of ['apt', 'cargo', 'gem', 'go'])
      expect(await tried({ packages: { [manager]: ['x'] } })).toEqual([400, 'unsupported_feature'])
    const limited = { networking: { type: 'limited', allow_package_managers: true } }
    expect(await tried({ ...limited, packages: { npm: ['x'] } })).toEqual([400, 'unsupported_feature'])
    const open = (await make({ packages: { npm: ['broken'] } })).body as unknown as Environment
    const narrowed = await server.request('POST', `/v1/environments/${open.id}`, {
      config: { type: 'cloud', ...limited },
    })
    expect([narrowed.status, narrowed.body.code]).toEqual([400, 'unsupported_feature'])
    const { id } = await server.create('say never', { environment_id: open.id })
    expect((await server.idle(id)).last_error).toMatchObject({ code: 'setup_failed', number: 1 })
    const ended = (await server.events(id)).find(({ type }) => type === 'session.setup_command') as SessionEvent
    expect(ended).toMatchObject({ result: 'failed', exit_code: 1 })
    await server.restart({ session_home: 'off' })
    const shared = await server.create('say never', { environment_id: open.id })
    expect((await server.idle(shared.id)).last_error!.message).toContain('session_home')
  })
})
