import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { SessionEvent } from '@troupe/protocol/event'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundledBinary } from '../src/agents/agent-binary.ts'
import { at, NotAFolder, openFolder } from '../src/lib/folder.ts'
import { cloneRepository } from '../src/repositories/clone.ts'
import { gitHost, makeRepository } from './support/git-host.ts'
import { AgentUser, findUser } from '../src/lib/agent-user.ts'
import { chooseAgentUser, rootProblem } from '../src/runner/choose-agent-user.ts'
import { Git } from '../src/snapshots/git.ts'
import { restore } from '../src/snapshots/restore.ts'
import { sandboxProblem } from '../src/environments/sandbox-problem.ts'
import { type TestServer, testServer } from './support/server.ts'

/** Only root starts processes as another user, and that user must reach this checkout: else these tests are skipped. */
const reached = spawnSync('test', ['-r', bundledBinary()!], { uid: 65_534, gid: 65_534 }).status === 0
const mustSkip = process.platform !== 'linux' || process.getuid?.() !== 0 || !reached

const script = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const FREE = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
const sandbox = await sandboxProblem(process.env.PATH)
const SECRET = 'canary-of-root'

describe.skipIf(mustSkip)('agents of another user', () => {
  let model: DemoModel
  let server: TestServer
  let folder: string
  const nobody = Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout)
  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-user-')))
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 })
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', agent_user: 'nobody', data_dir: join(folder, 'data') },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, IS_SANDBOX: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const root = (uuid: string) => join(folder, 'data', 'sessions', uuid)
  const played = async (steps: object[], more: object = {}) => {
    const session = await server.create(script([...steps, { say: 'done' }]), { ...FREE, ...more })
    const end = await server.idle(session.id)
    expect([end.last_error, end.result?.text]).toEqual([null, 'done'])
    return session
  }
  const said = async (id: string) =>
    ((await server.events(id)) as (SessionEvent & { content: unknown })[])
      .filter(({ type }) => type === 'agent.tool_result')
      .map(({ content }) => JSON.stringify(content))

  test('IS10 the agent runs as the user that is named, in a group of its session, without a right of root', async () => {
    const session = await played([
      bash('id; grep -E "^(Cap(Prm|Eff)|NoNewPrivs)" /proc/self/status; echo $HOME; umask'),
      bash('echo mine > file && mkdir d && echo x > ~/dot && echo y > $TMPDIR/t && git init -q . && echo WORKS'),
    ])
    const [who, works] = await said(session.id)
    const group = statSync(root(session.uuid)).gid
    expect(who).toContain(`uid=${nobody}(nobody) gid=${group} groups=${group},`)
    expect(who).not.toContain('(root)')
    expect(who).toMatch(/CapPrm:\\t0+\\nCapEff:\\t0+\\nNoNewPrivs:\\t1/)
    expect(works).toContain('WORKS')
    expect(lstatSync(join(session.cwd, 'file')).uid).toBe(nobody)
  })

  test('IS11 what the server keeps and what is of other sessions cannot be read or changed by it', async () => {
    const one = await played([bash('echo private > note; chmod 777 note .')])
    const data = join(folder, 'data')
    const two = await played([
      bash(
        `cat ${data}/troupe.db ${data}/cursor.key ${folder}/secret 2>&1; ls ${data} ${data}/sessions 2>&1; echo END`,
      ),
      bash(`cat ${one.cwd}/note ${root(one.uuid)}/claude/.claude.json 2>&1; ls ${root(one.uuid)} 2>&1; echo END`),
      bash(
        'for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null; done | tr "\\0" "\\n" | grep -c TROUPE; rmdir ../home; mv ../workdir ../x; echo END',
      ),
    ])
    const [kept, other, rest] = await said(two.id)
    expect(kept!.match(/Permission denied/g)).toHaveLength(5)
    expect(kept).not.toMatch(new RegExp(`${SECRET}|SQLite`))
    expect(other!.match(/Permission denied/g)).toHaveLength(3)
    expect(other).not.toContain('private')
    expect(rest).toContain('Permission denied')
    // One that an earlier version, or somebody else, left open.
    for (const name of readdirSync(data)) {
      const found = lstatSync(join(data, name))
      if (name !== 'sessions' && !found.isSymbolicLink()) expect([name, found.mode & 0o077]).toEqual([name, 0])
    }
  })

  test('IS12 files that a session is given, its outputs, diffs, rewinds, forks and archives work for agents of another user', async () => {
    const upload = new FormData()
    upload.set('file', new File(['given'], 'in.txt', { type: 'text/plain' }))
    const file = (await (await fetch(`${server.url}/v1/files`, { method: 'POST', body: upload })).json()) as {
      id: string
    }
    const session = await played(
      [
        bash(
          'cat deep/in.txt > copy; mkdir outputs sub; echo made > outputs/o.txt; echo 1 > sub/f; ln -s f sub/l; echo ok',
        ),
      ],
      { resources: [{ type: 'file', file_id: file.id, mount_path: '/workspace/deep/in.txt' }] },
    )
    expect(readFileSync(join(session.cwd, 'copy'), 'utf8')).toBe('given')
    const [first] = await server.turns(session.id)
    expect(first!.files).toMatchObject([{ path: 'o.txt' }])
    await server.send(
      session.id,
      script([bash('rm -r sub deep; echo 2 > copy; mkdir new; chmod 700 new'), { say: 'done' }]),
    )
    const second = await server.idle(session.id)
    expect([second.last_error, second.result?.text]).toEqual([null, 'done'])
    const fork = await server.post<{ id: string; uuid: string; cwd: string }>(`/v1/sessions/${session.id}/fork`, {})
    expect([lstatSync(join(fork.cwd, 'copy')).uid, statSync(root(fork.uuid)).gid]).toEqual([
      nobody,
      statSync(fork.cwd).gid,
    ])
    expect(statSync(fork.cwd).gid).not.toBe(statSync(session.cwd).gid)
    const diff = await server.get<{ data: { path: string }[] }>(`/v1/sessions/${session.id}/diff`)
    expect(JSON.stringify(diff)).toContain('outputs/o.txt')
    const event = (await server.events(session.id)).find(({ type }) => type === 'session.status_idle')
    await server.post(`/v1/sessions/${session.id}/rewind`, { to_event_id: event!.id, scope: 'files' })
    expect(readFileSync(join(session.cwd, 'sub/f'), 'utf8')).toBe('1\n')
    for (const name of ['copy', 'sub', 'sub/f', 'sub/l'])
      expect([name, lstatSync(join(session.cwd, name)).uid]).toEqual([name, nobody])
    const packed = await fetch(`${server.url}/v1/sessions/${session.id}/workdir?format=tar`)
    expect(Buffer.from(await packed.arrayBuffer()).toString('latin1')).toContain('sub/f')
    await server.send(session.id, script([bash('echo again >> sub/f && cat sub/f'), { say: 'done' }]))
    await server.idle(session.id)
    expect((await said(session.id)).at(-1)).toContain('again')
    const tmp = join(realpathSync(join(folder, 'data', 'temporary')), session.uuid)
    expect(existsSync(tmp)).toBe(true)
    await server.request('DELETE', `/v1/sessions/${session.id}`)
    const left = () => [existsSync(root(session.uuid)), existsSync(tmp)]
    await expect.poll(left).toEqual([false, false])
  })

  test('IS10 clones are made by the user that is named, in a workdir that is closed to others', async () => {
    const host = await gitHost()
    try {
      makeRepository(host.folder, 'acme/tool', { 'README.md': 'one\n' })
      const session = await played([bash('id')])
      const user = new AgentUser(findUser('nobody')!, join(folder, 'data', 'sessions'))
      const clone = { id: 'sesrsc_1', url: `${host.url}acme/tool`, token: 't', checkout: null, parts: ['deep', 'tool'] }
      const signal = new AbortController().signal
      const git = { path: process.env.PATH, env: {}, user }
      expect(await cloneRepository(git, session.cwd, clone, signal)).toBe(true)
      for (const name of ['deep', 'deep/tool', 'deep/tool/README.md', 'deep/tool/.git/HEAD'])
        expect([name, lstatSync(join(session.cwd, name)).uid]).toEqual([name, nobody])
      await server.send(
        session.id,
        script([bash('cd deep/tool && git status --porcelain && git log --oneline && echo CLEAN'), { say: 'done' }]),
      )
      await server.idle(session.id)
      expect((await said(session.id)).at(-1)).toContain('CLEAN')
    } finally {
      await host.close()
    }
  })

  test('IS13 no link that an agent puts in the way has the server read, write, give away or remove anything elsewhere', async () => {
    const vault = join(folder, 'vault')
    mkdirSync(join(vault, 'outputs'), { recursive: true })
    for (const name of ['outputs/key', 'key']) writeFileSync(join(vault, name), SECRET, { mode: 0o600 })
    const area = join(folder, 'area')
    const cwd = join(area, 'project')
    mkdirSync(join(cwd, 'outputs'), { recursive: true })
    spawnSync('chown', ['-R', 'nobody', area])
    // A file of root's in the very folder that is looked through.
    writeFileSync(join(cwd, 'outputs', 'root-only'), SECRET, { mode: 0o600 })
    const before = statsOf(vault)
    const one = await played([bash(`rm ~/.gitconfig; ln -s ${vault}/key ~/.gitconfig; ls -A . > seen`)], {
      cwd,
      outputs: 'on',
    })
    const told = (await server.events(one.id)).filter(({ type }) => type === 'session.files_persisted')
    expect(told).toMatchObject([{ files: [], failed: [{ path: 'root-only', error: 'unreadable' }] }])
    // The workdir itself becomes a link; whoever works in it next is stopped, and so is everything that the server does there.
    renameSync(cwd, join(area, 'moved'))
    symlinkSync(vault, cwd)
    const upload = new FormData()
    upload.set('file', new File(['planted'], 'x', { type: 'text/plain' }))
    const file = (await (await fetch(`${server.url}/v1/files`, { method: 'POST', body: upload })).json()) as {
      id: string
    }
    const added = await server.request('POST', `/v1/sessions/${one.id}/resources`, {
      type: 'file',
      file_id: file.id,
      mount_path: 'planted',
    })
    expect(added.status).toBeGreaterThanOrEqual(400)
    const packed = await server.request('GET', `/v1/sessions/${one.id}/workdir?format=tar`)
    expect([packed.status, packed.text.includes(SECRET)]).toEqual([400, false])
    // An own workdir full of links, with a config dir that was one too, goes without what they lead to.
    const two = await played([
      bash(
        `ln -s ${vault} outputs; ln -s ${vault} in; rm -rf ../claude/projects; ln -s ${vault} ../claude/projects; ln -sf ${vault}/key ../claude/.claude.json; ln -s ${vault}/key ../claude/settings.json`,
      ),
    ])
    // The agent that is started on the transcript is given a config dir that is made for it.
    await server.send(
      two.id,
      script([
        bash(
          'cat $CLAUDE_CONFIG_DIR/.claude.json $CLAUDE_CONFIG_DIR/settings.json; ls -ld $CLAUDE_CONFIG_DIR; chmod 0 .',
        ),
        { say: 'done' },
      ]),
    )
    const resumed = await server.idle(two.id)
    expect([resumed.last_error, resumed.result?.text]).toEqual([null, 'done'])
    const config = (await said(two.id)).at(-1)!
    expect(config).toMatch(/drwxrwx--- \d+ root \d{10} \d+ .*claude-resume-/)
    expect(config).not.toContain(SECRET)
    await server.request('DELETE', `/v1/sessions/${two.id}`)
    await expect.poll(() => existsSync(root(two.uuid))).toBe(false)
    const lent = /\/\S*claude-resume-[\w-]+/.exec(config)![0]
    await expect.poll(() => existsSync(lent)).toBe(false)
    expect(statsOf(vault)).toEqual(before)
    // Between a look and a deed.
    const owner = { uid: nobody, mayRead: () => true }
    const work = realpathSync(mkdtempSync(join(folder, 'race-')))
    symlinkSync(vault, join(work, 'sub'))
    await expect(at(work, 'sub/key', owner, (path) => Promise.resolve(path))).rejects.toThrow(NotAFolder)
    await expect(openFolder(join(work, 'sub'), [], false, owner)).rejects.toThrow(NotAFolder)
    const plan = {
      write: [],
      remove: ['sub/key'],
      chmod: [{ path: 'sub/key', mode: 0o777 }],
      removeDirs: [],
      dirs: [],
      lost: [],
    }
    await expect(restore(new Git(process.env.PATH), work, work, plan, owner)).rejects.toThrow('could not be set back')
    expect(statsOf(vault)).toEqual(before)
  })

  test.skipIf(sandbox !== null && !process.env.CI)(
    'IS20 a sandbox confines agents of another user, and containers and worktrees are refused',
    async () => {
      const repository = makeRepository(join(folder, 'repositories'), 'acme/tool', { a: 'a' })
      const environment = await server.post<{ id: string }>('/v1/environments', {
        name: 'Confined',
        config: { type: 'sandbox', networking: { type: 'limited', allowed_hosts: [] } },
      })
      const session = await played(
        [bash(`id -u; echo x > mine && cat mine; echo x > ${folder}/beyond; ls ${folder}/data/sessions; echo END`)],
        { environment_id: environment.id },
      )
      const [told] = await said(session.id)
      expect(told).toContain(`"${nobody}\\nx\\n`)
      expect(told).toMatch(/beyond: (Read-only file system|Permission denied)/)
      expect(existsSync(join(folder, 'beyond'))).toBe(false)
      for (const config of [
        { type: 'container', image: 'any' },
        { type: 'local', worktree: { repository } },
      ]) {
        const { status, body } = await server.request('POST', '/v1/environments', { name: 'Refused', config })
        expect([status, body.code]).toEqual([400, 'unsupported_feature'])
      }
    },
  )

  test('IS14 a server that cannot run agents as the user that is named does not start, and says why', () => {
    const usual = {
      agent_user: 'nobody',
      data_dir: join(folder, 'other'),
      session_home: 'auto' as const,
      agent_executable: null,
    }
    const refused = (more: object, login: string | null = null) => {
      try {
        chooseAgentUser({ ...usual, ...more }, login, tmpdir())
        return 'none'
      } catch (error) {
        return (error as Error).message
      }
    }
    mkdirSync(usual.data_dir)
    expect(refused({ agent_user: 'no-such-user' })).toContain('there is no such user')
    expect(refused({ agent_user: 'nobody:no-such-group' })).toContain('there is no such user')
    for (const name of ['root', '0', 'nobody:0', '-x', 'nobody:'])
      expect(refused({ agent_user: name })).not.toBe('none')
    expect(refused({ session_home: 'off' })).toContain('TROUPE_SESSION_HOME is off')
    expect(refused({}, '/root/.claude/.credentials.json')).toContain('ANTHROPIC_API_KEY')
    symlinkSync(usual.data_dir, join(folder, 'link'))
    expect(refused({ data_dir: join(folder, 'link') })).toContain(`TROUPE_DATA_DIR=${usual.data_dir}`)
    chmodSync(join(folder, 'other'), 0o700)
    const closed = join(folder, 'closed')
    mkdirSync(join(closed, 'data'), { recursive: true })
    chmodSync(closed, 0o700)
    expect(refused({ data_dir: join(closed, 'data') })).toContain('cannot reach')
    const module = new URL('../src/runner/choose-agent-user.ts', import.meta.url).href
    const asked = `import(${JSON.stringify(module)}).then((m) => m.chooseAgentUser(${JSON.stringify(usual)}, null, '/tmp')).catch((error) => console.log(error.message))`
    const { stdout } = spawnSync(process.execPath, ['-e', asked], { uid: 1, gid: 1, encoding: 'utf8' })
    expect(stdout).toContain('this server is not root')
    expect([rootProblem(null), rootProblem('nobody')]).toEqual([expect.stringContaining('TROUPE_AGENT_USER'), null])
  })

  test('IS10 agents that are kept or started before their session, and agents with skills, run as the user that is named', async () => {
    const form = new FormData()
    const main = '---\nname: greet\ndescription: Greets.\n---\nSay hello from the skill.\n'
    form.append('files[]', new Blob([main]), 'greet/SKILL.md')
    const made = await fetch(`${server.url}/v1/skills`, { method: 'POST', body: form })
    const skill = (await made.json()) as { id: string }
    // As the unit of systemd has it.
    const mask = process.umask(0o077)
    try {
      await server.restart({ spares: 1, live_seconds: 60 })
      const skilled = await played(
        [
          { tools: [{ name: 'Skill', input: { skill: 'skills:greet' } }] },
          bash('cat ../skills/skills/greet/SKILL.md; echo x >> ../skills/skills/greet/SKILL.md'),
        ],
        { agent: { ...FREE.agent, skills: [{ type: 'custom', skill_id: skill.id }] } },
      )
      expect((await said(skilled.id)).at(-1)).toMatch(/Say hello from the skill.*Permission denied/)
      const first = await played([bash('id -u')])
      await server.send(first.id, script([bash('id -u; id -g'), { say: 'done' }]))
      await server.idle(first.id)
      expect((await said(first.id)).at(-1)).toContain(`${nobody}\\n${statSync(root(first.uuid)).gid}`)
      const figures = async () => (await server.request('GET', '/metrics')).text
      await expect.poll(figures).toMatch(/troupe_spare_agents 1\n/)
      const second = await played([bash('id -u; id -g; echo x > mine; ls -A ../home')])
      expect(await figures()).toMatch(/how="spare"\} 1\n/)
      expect((await said(second.id)).at(-1)).toContain(`${nobody}\\n${statSync(root(second.uuid)).gid}`)
    } finally {
      process.umask(mask)
      await server.restart()
    }
  })

  test('IS15 nothing of an agent of another user outlives its end, nor what left its process group', async () => {
    const session = await played([
      bash('setsid sleep 1021 > /dev/null 2>&1 & setsid -f sleep 1022 > /dev/null 2>&1; echo ok'),
    ])
    const group = statSync(root(session.uuid)).gid
    await server.request('DELETE', `/v1/sessions/${session.id}`)
    const left = () =>
      readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && readStatus(pid).includes(`Gid:\t${group}\t`))
    await expect.poll(left).toEqual([])
  })
})

const readStatus = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}

/** All that is in a folder, and whose. */
const statsOf = (folder: string): string[] =>
  ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })].toSorted().map((name) => {
    const { uid, gid, mode, size, mtimeMs } = lstatSync(join(folder, name))
    return [name, uid, gid, mode, size, mtimeMs].join(' ')
  })
