import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assertRoom } from '../src/snapshots/copy.ts'
import { diffSnapshots } from '../src/snapshots/diff.ts'
import { Git } from '../src/snapshots/git.ts'
import { LIMITS, NoSnapshot } from '../src/snapshots/limits.ts'
import { changesNothing, planRestore, restore } from '../src/snapshots/restore.ts'
import { takeSnapshot } from '../src/snapshots/take.ts'

/** Everything of a tree that a rewind promises: names, kinds, permission bits and contents. */
function treeOf(root: string, dir = ''): Record<string, string> {
  const all: Record<string, string> = {}
  for (const name of readdirSync(join(root, dir))) {
    if (name === '.git' || name === 'node_modules') continue
    const path = dir === '' ? name : `${dir}/${name}`
    const stat = lstatSync(join(root, path))
    const mode = (stat.mode & 0o7777).toString(8)
    if (stat.isDirectory()) Object.assign(all, { [path]: `dir ${mode}` }, treeOf(root, path))
    else if (stat.isSymbolicLink()) all[path] = `link ${readlinkSync(join(root, path))}`
    else all[path] = `${mode} ${readFileSync(join(root, path)).toString('base64')}`
  }
  return all
}

/** Numbers that look random and are the same for a seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}

describe('snapshots of a workdir', () => {
  let folder: string
  let workdir: string
  let gitDir: string
  const git = new Git(process.env.PATH)
  const quiet = new AbortController().signal
  const take = async (parent: string | null) => (await takeSnapshot(git, gitDir, workdir, parent, LIMITS, quiet)).commit
  const put = (path: string, content: string | Buffer, mode = 0o644) => {
    mkdirSync(join(workdir, path, '..'), { recursive: true })
    writeFileSync(join(workdir, path), content)
    chmodSync(join(workdir, path), mode)
  }
  const goBack = async (from: string | null, to: string | null) => {
    const plan = await planRestore(git, gitDir, from, to)
    await restore(git, gitDir, workdir, plan)
    return plan
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'troupe-snapshots-'))
    workdir = join(folder, 'workdir')
    gitDir = join(folder, 'session', 'snapshots')
    mkdirSync(workdir)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('FK1 a tree that was changed in every way is again, byte for byte, what it was', async () => {
    put('src/a.txt', 'one\r\ntwo\n')
    put('src/deep/run.sh', '#!/bin/sh\n', 0o750)
    put('secret', 'x', 0o600)
    put('binary', Buffer.from([0, 255, 1, 254, 10, 13]))
    put('.gitattributes', '* text=auto eol=crlf ident filter=evil\n$Id$\n')
    put('name\nwith "all" \\ of ünïcode\t', 'odd')
    put('__proto__', 'own')
    put('was-a-file', 'file')
    put('was-a-folder/inside', 'inside')
    mkdirSync(join(workdir, 'empty'), { mode: 0o700 })
    symlinkSync('../outside', join(workdir, 'link'))
    const before = treeOf(workdir)
    const first = await take(null)
    put('src/a.txt', 'changed')
    chmodSync(join(workdir, 'src/deep/run.sh'), 0o644)
    chmodSync(join(workdir, 'secret'), 0o666)
    rmSync(join(workdir, 'binary'))
    rmSync(join(workdir, 'was-a-file'))
    put('was-a-file/now', 'a folder')
    rmSync(join(workdir, 'was-a-folder'), { recursive: true })
    put('was-a-folder', 'a file')
    rmSync(join(workdir, 'empty'), { recursive: true })
    rmSync(join(workdir, 'link'))
    symlinkSync('/etc', join(workdir, 'link'))
    put('new/file', 'new')
    mkdirSync(join(workdir, 'new/empty'))
    const changed = treeOf(workdir)
    const second = await take(first)
    await goBack(second, first)
    expect(treeOf(workdir)).toEqual(before)
    const third = await take(second)
    expect(changesNothing(await planRestore(git, gitDir, third, first))).toBe(true)
    await goBack(third, second)
    expect(treeOf(workdir)).toEqual(changed)
  })

  test.each([1, 2, 3, 4])('FK1 also after a thousand chance changes (seed %i)', async (seed) => {
    const random = randomOf(seed)
    const trees: [string | null, Record<string, string>][] = []
    let commit: string | null = null
    for (let round = 0; round < 10; round++) {
      for (let change = 0; change < 100; change++) {
        const path = ['a', 'b', 'c', 'd'].slice(0, 1 + random(4)).join(`${random(3)}/`) + random(3)
        const target = join(workdir, path)
        try {
          const kind = random(8)
          if (kind < 2) rmSync(target, { recursive: true, force: true })
          else if (kind === 2) symlinkSync(`to${random(5)}`, target)
          else if (kind === 3) mkdirSync(target, { recursive: true })
          else put(path, 'x'.repeat(random(3)) + random(3), [0o644, 0o755, 0o600][random(3)]!)
        } catch {
          // A file stands where a folder would be, or the other way round.
        }
      }
      commit = await take(commit)
      trees.push([commit, treeOf(workdir)])
    }
    for (const index of [3, 0, 9, 5]) {
      const [wanted, tree] = trees[index]!
      await goBack(commit, wanted)
      commit = await take(commit)
      expect([seed, index, treeOf(workdir)]).toEqual([seed, index, tree])
    }
  })

  test('FK2 the repository of the user, its index and its attributes are never touched; what it leaves out stays', async () => {
    const run = (...args: string[]) => execFileSync('git', ['-C', workdir, ...args], { encoding: 'utf8' })
    run('init', '--quiet')
    put('tracked', 'one')
    run('add', 'tracked')
    put('node_modules/pkg/index.js', 'module')
    put('nested/.git/HEAD', 'ref: refs/heads/x')
    put('nested/file', 'in a repository of its own')
    const index = readFileSync(join(workdir, '.git/index'))
    const refs = readdirSync(join(workdir, '.git'), { recursive: true }).sort()
    const first = await take(null)
    put('tracked', 'two')
    put('node_modules/pkg/index.js', 'changed')
    put('nested/file', 'changed')
    const second = await take(first)
    await goBack(second, first)
    expect(readFileSync(join(workdir, 'tracked'), 'utf8')).toBe('one')
    expect(readFileSync(join(workdir, 'nested/file'), 'utf8')).toBe('in a repository of its own')
    expect(readFileSync(join(workdir, 'node_modules/pkg/index.js'), 'utf8')).toBe('changed')
    expect(readFileSync(join(workdir, '.git/index')).equals(index)).toBe(true)
    expect(readdirSync(join(workdir, '.git'), { recursive: true }).sort()).toEqual(refs)
  })

  test('FK3 a snapshot that is killed at any moment leaves the one before it whole, and the next one is taken', async () => {
    put('kept', 'one')
    const first = await take(null)
    for (let n = 0; n < 300; n++) put(`many/${n}`, `${n}`.repeat(2_000))
    for (const delay of [0, 3, 8, 20]) {
      const killed = AbortSignal.timeout(delay)
      await takeSnapshot(git, gitDir, workdir, first, LIMITS, killed).catch((error: unknown) =>
        expect(error).toBeInstanceOf(NoSnapshot),
      )
    }
    const second = await take(first)
    const files = await planRestore(git, gitDir, second, first)
    expect(files.remove.length).toBe(300)
    await goBack(second, first)
    expect(Object.keys(treeOf(workdir))).toEqual(['kept'])
    expect(readdirSync(join(gitDir, 'objects/pack')).filter((name) => name.startsWith('tmp_'))).toEqual([])
  })

  test('FK4 only what changed is read, and a file that keeps size and time is seen to have changed', async () => {
    put('same', 'aaaa')
    put('sly', 'aaaa')
    const long = new Date(Date.now() - 60_000)
    for (const name of ['same', 'sly']) utimesSync(join(workdir, name), long, long)
    const first = await take(null)
    expect(await take(first)).toBe(first)
    put('other', 'bbbb')
    utimesSync(join(workdir, 'other'), long, long)
    renameSync(join(workdir, 'other'), join(workdir, 'sly'))
    const second = await take(first)
    const { files } = await diffSnapshots(git, gitDir, first, second)
    expect(files.map(({ path, status }) => [path, status])).toEqual([['sly', 'modified']])
  })

  test('FK5 more files or bytes than may be kept, and a machine without git, are said; an empty workdir needs none', async () => {
    const without = new Git(join(folder, 'no-such-path'))
    expect((await takeSnapshot(without, gitDir, workdir, null, LIMITS, quiet)).commit).toBe(null)
    expect(existsSync(gitDir)).toBe(false)
    for (let n = 0; n < 20; n++) put(`${n}`, 'x'.repeat(100))
    const problem = async (limits: typeof LIMITS, by = git) =>
      takeSnapshot(by, gitDir, workdir, null, limits, quiet).then(
        () => null,
        (error: unknown) => (error as NoSnapshot).problem,
      )
    expect(await problem({ entries: 19, bytes: 10_000 })).toBe('too_many_files')
    expect(await problem({ entries: 20, bytes: 1_999 })).toBe('too_many_bytes')
    expect(await problem(LIMITS, without)).toBe('git_missing')
    expect(await problem(LIMITS)).toBe(null)
  })

  test('FK18 what is too large to be copied is not begun: a sparse file counts as large as it says it is', async () => {
    mkdirSync(join(workdir, 'node_modules'))
    writeFileSync(join(workdir, 'node_modules', 'sparse'), '')
    await assertRoom(workdir, folder)
    truncateSync(join(workdir, 'node_modules', 'sparse'), 21 * 2 ** 30)
    await expect(assertRoom(workdir, folder)).rejects.toMatchObject({ problem: 'too_many_bytes' })
  })

  test('FK6 a diff has lines of text, modes, renames, size and hash of binary and large files, and says what it left out', async () => {
    put('text', 'one\ntwo\nthree\n')
    put('moved', 'a long enough text\nto be known again\nunder another name\n')
    put('mode', 'same', 0o600)
    put('binary', Buffer.from([0, 1, 2]))
    put('to-link', 'was a file')
    put('diff --git x', 'evil name\n')
    const first = await take(null)
    put('text', 'one\n2\nthree\n\rdiff --git a b\n')
    renameSync(join(workdir, 'moved'), join(workdir, 'renamed'))
    chmodSync(join(workdir, 'mode'), 0o640)
    put('binary', Buffer.from([0, 1, 2, 3]))
    rmSync(join(workdir, 'to-link'))
    symlinkSync('text', join(workdir, 'to-link'))
    put('diff --git x', 'changed\n')
    put('zz', 'last\n')
    put('large', Buffer.alloc(33 * 2 ** 20, 'l'))
    const second = await take(first)
    const { files, ...sums } = await diffSnapshots(git, gitDir, first, second)
    const by = new Map(files.map((file) => [file.path, file]))
    expect([...by.keys()]).toEqual(['binary', 'diff --git x', 'large', 'mode', 'renamed', 'text', 'to-link', 'zz'])
    expect(by.get('text')).toMatchObject({ status: 'modified', additions: 2, deletions: 1, binary: false })
    expect(by.get('text')!.patch).toBe('@@ -1,3 +1,4 @@\n one\n-two\n+2\n three\n+\rdiff --git a b\n')
    expect(by.get('diff --git x')!.patch).toBe('@@ -1 +1 @@\n-evil name\n+changed\n')
    expect(by.get('zz')!.patch).toBe('@@ -0,0 +1 @@\n+last\n')
    expect(by.get('to-link')!.patch).toContain('-was a file')
    expect(by.get('to-link')!.patch).toContain('+text')
    expect(by.get('renamed')).toMatchObject({ status: 'renamed', previousPath: 'moved', additions: 0, deletions: 0 })
    expect(by.get('mode')).toMatchObject({ status: 'modified', before: { mode: 0o600 }, after: { mode: 0o640 } })
    expect(by.get('binary')).toMatchObject({ binary: true, patch: null, before: { size: 3 }, after: { size: 4 } })
    expect(by.get('large')).toMatchObject({ status: 'added', binary: true, before: null, patch: null })
    const oid = execFileSync('git', ['hash-object', '--no-filters', join(workdir, 'large')], { encoding: 'utf8' })
    expect(by.get('large')!.after).toMatchObject({ size: 33 * 2 ** 20, oid: oid.trim() })
    expect(sums).toMatchObject({ changed: 8, truncated: false })
    const limits = { files: 6, patchChars: 20, allChars: 100_000 }
    const cut = await diffSnapshots(git, gitDir, first, second, limits)
    expect(cut).toMatchObject({ changed: 8, truncated: true })
    expect(cut.files.length).toBe(6)
    expect(cut.files[5]).toMatchObject({ path: 'text', patch: '@@ -1,3 +1,4 @@\n', patchCut: true })
    const third = await take(second)
    expect(third).toBe(second)
    rmSync(join(workdir, 'large'))
    const fourth = await take(third)
    const plan = await planRestore(git, gitDir, fourth, second)
    expect(plan.lost).toEqual(['large'])
  })
})
