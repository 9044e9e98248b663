import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Clone, cloneRepository } from '../src/repositories/clone.ts'
import { sourceProblem } from '../src/lib/git-source.ts'
import { repositoryName, repositoryUrl } from '../src/repositories/sources.ts'
import { git, type GitHost, gitHost, makeRepository } from './support/git-host.ts'

const TOKEN = 'ghs_canary-token'
const readable = (path: string): string => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

describe('clones', () => {
  let host: GitHost
  let first: string
  beforeAll(async () => {
    host = await gitHost()
    const place = makeRepository(host.folder, 'acme/tool', { 'README.md': 'one\n', 'src/a.txt': 'a\n' })
    first = git(place, 'rev-parse', 'HEAD')
    git(place, 'checkout', '--quiet', '-b', 'next')
    writeFileSync(join(place, 'README.md'), 'two\n')
    git(place, 'commit', '--quiet', '-am', 'two')
    git(place, 'checkout', '--quiet', 'main')
  })
  afterAll(() => host.close())

  const settings = { path: process.env.PATH, env: {} }
  const never = new AbortController().signal
  const fresh = () => mkdtempSync(join(tmpdir(), 'troupe-clone-'))
  const of = (fields: Partial<Clone> = {}): Clone => ({
    id: 'sesrsc_1',
    url: `${host.url}acme/tool`,
    token: null,
    checkout: null,
    parts: ['tool'],
    ...fields,
  })
  const LIMITS = { fetched: 2 ** 30, bytes: 2 ** 30, files: 1000, ms: 60_000 }
  const problem = async (cwd: string, clone: Clone, limits = LIMITS) => {
    try {
      await cloneRepository(settings, cwd, clone, never, limits)
    } catch (error) {
      return error as Error & { type: string }
    }
    throw new Error('it was cloned')
  }

  test('EN13 the default branch, a branch or a commit is checked out, whole, and nothing that is there is touched', async () => {
    const cwd = fresh()
    expect(await cloneRepository(settings, cwd, of(), never)).toBe(true)
    expect(readFileSync(join(cwd, 'tool', 'README.md'), 'utf8')).toBe('one\n')
    expect(git(join(cwd, 'tool'), 'status', '--porcelain')).toBe('')
    expect(git(join(cwd, 'tool'), 'rev-parse', '--abbrev-ref', 'HEAD')).toBe('main')
    writeFileSync(join(cwd, 'tool', 'README.md'), 'mine\n')
    expect(await cloneRepository(settings, cwd, of(), never)).toBe(false)
    expect(readFileSync(join(cwd, 'tool', 'README.md'), 'utf8')).toBe('mine\n')
    const branch = of({ checkout: { type: 'branch', name: 'next' }, parts: ['deep', 'next'] })
    await cloneRepository(settings, cwd, branch, never)
    expect(readFileSync(join(cwd, 'deep', 'next', 'README.md'), 'utf8')).toBe('two\n')
    await cloneRepository(settings, cwd, of({ checkout: { type: 'commit', sha: first }, parts: ['old'] }), never)
    expect(git(join(cwd, 'old'), 'rev-parse', 'HEAD')).toBe(first)
    // One that no branch has any more.
    const place = join(host.folder, 'acme', 'tool')
    git(place, 'checkout', '--quiet', '-b', 'gone')
    writeFileSync(join(place, 'lost.txt'), 'lost\n')
    git(place, 'add', '-A')
    git(place, 'commit', '--quiet', '-m', 'lost')
    const sha = git(place, 'rev-parse', 'HEAD')
    git(place, 'checkout', '--quiet', 'main')
    git(place, 'branch', '-D', 'gone')
    await cloneRepository(settings, cwd, of({ checkout: { type: 'commit', sha }, parts: ['lost'] }), never)
    expect(existsSync(join(cwd, 'lost', 'lost.txt'))).toBe(true)
    makeRepository(host.folder, 'acme/empty', { x: 'x' })
    git(join(host.folder, 'acme'), 'init', '--quiet', '--bare', 'bare')
    expect(await cloneRepository(settings, cwd, of({ url: `${host.url}acme/bare`, parts: ['bare'] }), never)).toBe(true)
    expect(readdirSync(cwd).toSorted()).toEqual(['bare', 'deep', 'lost', 'old', 'tool'])
  })

  test('EN14 a token is sent to the host of its repository and stands nowhere afterwards; what is wrong is said in a word', async () => {
    const cwd = fresh()
    host.token = TOKEN
    try {
      host.seen.length = 0
      const release = Promise.withResolvers<void>()
      host.hold = release.promise
      const cloning = cloneRepository(settings, cwd, of({ token: TOKEN }), never)
      await expect.poll(() => host.seen.length).toBeGreaterThan(0)
      // What every program of the same user can read of a process.
      const open = readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`)
        .flatMap((pid) => ['cmdline', 'environ'].map((file) => readable(`/proc/${pid}/${file}`)))
      expect(open.join('\n')).toContain('http.lowSpeedLimit')
      expect(open.join('\n')).not.toContain('canary')
      host.hold = null
      release.resolve()
      await cloning
      expect(host.seen.some(({ authorization }) => authorization !== null)).toBe(true)
      expect(git(join(cwd, 'tool'), 'config', '--list')).not.toContain('canary')
      const inside = readdirSync(join(cwd, 'tool'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
      expect(inside.join('')).not.toContain('canary')
      expect((await problem(fresh(), of())).type).toBe('repository_authentication_error')
      const wrong = await problem(fresh(), of({ token: 'ghs_canary-wrong' }))
      expect(wrong.type).toBe('repository_authentication_error')
      expect(wrong.message).not.toContain('canary')
    } finally {
      host.token = null
    }
    expect((await problem(cwd, of({ url: `${host.url}forbidden/x`, parts: ['x'] }))).type).toBe(
      'repository_forbidden_error',
    )
    expect((await problem(cwd, of({ url: `${host.url}acme/none`, parts: ['x'] }))).type).toBe(
      'repository_not_found_error',
    )
    const missing = of({ parts: ['x'], checkout: { type: 'branch', name: 'none' } })
    expect((await problem(cwd, missing)).type).toBe('repository_checkout_error')
    const unknown = of({ parts: ['x'], checkout: { type: 'commit', sha: '1'.repeat(40) } })
    expect((await problem(cwd, unknown)).type).toBe('repository_checkout_error')
    expect((await problem(cwd, of({ url: 'http://127.0.0.1:9/a/b', parts: ['x'] }))).type).toBe(
      'repository_clone_error',
    )
    expect(readdirSync(cwd)).toEqual(['tool'])
  })

  test('EN15 what takes too long, is too large or lays out too much is ended, and leaves nothing', async () => {
    const cwd = fresh()
    expect((await problem(cwd, of(), { ...LIMITS, files: 1 })).message).toContain('2 files')
    expect((await problem(cwd, of(), { ...LIMITS, bytes: 3 })).message).toContain('6 bytes')
    expect((await problem(cwd, of(), { ...LIMITS, fetched: 10 })).message).toContain('10 bytes')
    const release = Promise.withResolvers<void>()
    host.hold = release.promise
    const slow = await problem(cwd, of(), { ...LIMITS, ms: 300 })
    expect(slow.message).toContain('0.3 s')
    const ending = new AbortController()
    const cut = cloneRepository(settings, cwd, of(), ending.signal).catch((error: Error) => error.message)
    ending.abort()
    expect(await cut).toContain('it was stopped')
    host.hold = null
    release.resolve()
    expect(readdirSync(cwd)).toEqual([])
    // What a killed server left is begun anew.
    mkdirSync(join(cwd, '.sesrsc_1.part', '.git'), { recursive: true })
    await cloneRepository(settings, cwd, of(), never)
    expect(readdirSync(cwd)).toEqual(['tool'])
  })

  test('EN16 nothing of a repository runs, and no link leads a clone out of the workdir', async () => {
    const marker = join(fresh(), 'ran')
    const place = makeRepository(host.folder, 'acme/hostile', {
      '.gitattributes': '* filter=evil diff=evil\n',
      '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch ${marker}"\n`,
      '.githooks/post-checkout': `#!/bin/sh\ntouch ${marker}\n`,
      'a.txt': 'a\n',
    })
    git(place, 'update-index', '--add', '--cacheinfo', `160000,${first},x`)
    git(place, 'commit', '--quiet', '-m', 'link')
    // A template of the machine's would bring hooks.
    const cwd = fresh()
    await cloneRepository(settings, cwd, of({ url: `${host.url}acme/hostile`, parts: ['h'] }), never)
    expect(existsSync(marker)).toBe(false)
    expect(existsSync(join(cwd, 'h', '.git', 'hooks'))).toBe(false)
    expect(readdirSync(join(cwd, 'h', 'x'))).toEqual([])
    const outside = fresh()
    symlinkSync(outside, join(cwd, 'way'))
    expect((await problem(cwd, of({ parts: ['way', 'tool'] }))).message).toContain('in the way')
    expect(readdirSync(outside)).toEqual([])
  })

  test('EN17 only what lies below the sources of the operator is cloned, and addresses hold no credentials', async () => {
    const root = fresh()
    makeRepository(root, 'allowed/r', { x: 'x' })
    makeRepository(root, 'other/r', { x: 'x' })
    symlinkSync(join(root, 'other', 'r'), join(root, 'allowed', 'way'))
    const sources = ['https://github.com/', 'https://git.example.org/team/', `file://${root}/allowed/`]
    const code = (url: string) => {
      try {
        return repositoryUrl(url, sources, '/url')
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(code('https://github.com/acme/tool')).toBe('https://github.com/acme/tool')
    expect(code('https://GitHub.com/acme/tool.git/')).toBe('https://github.com/acme/tool.git')
    expect(code('https://git.example.org/team/x')).toBe('https://git.example.org/team/x')
    expect(code(`file://${root}/allowed/r`)).toBe(`file://${root}/allowed/r`)
    for (const url of [
      'https://github.com/',
      'https://github.com.example.org/a/b',
      'https://github.com:8443/a/b',
      'http://github.com/a/b',
      'https://git.example.org/team/../other/x',
      'https://git.example.org/team/%2e%2e/other/x',
      'https://git.example.org/other/x',
      'https://user:secret@github.com/a/b',
      'https://github.com/a/b?x=1',
      'https://github.com/a%2fb',
      'ssh://git@github.com/a/b',
      'git@github.com:a/b',
      'ext::sh -c touch',
      '--upload-pack=touch',
      '/etc',
      `file://${root}/allowed/../other/r`,
      `file://${root}/allowed/way`,
      `file://${root}/other/r`,
    ])
      expect([url, code(url)]).toEqual([url, 'repository_refused'])
    expect(sourceProblem('https://github.com/')).toBe(null)
    for (const source of ['github.com', 'ssh://x/', 'https://a:b@x/', 'https://x/y'])
      expect(sourceProblem(source)).toEqual(expect.any(String))
    expect(repositoryName('https://github.com/acme/tool.git')).toBe('tool')
    const cwd = fresh()
    await cloneRepository(settings, cwd, of({ url: `file://${root}/allowed/r` }), never)
    expect(readFileSync(join(cwd, 'tool', 'x'), 'utf8')).toBe('x')
  })
})
