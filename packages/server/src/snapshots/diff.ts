import type { Git } from './git.ts'
import { own } from './manifest.ts'
import { readTree } from './tree.ts'

/** What a file was, or is. */
export interface FileState {
  size: number
  mode: number
  /** Git's name of the content: the SHA-1 of `blob`, its size and itself. */
  oid: string
}

export interface FileChange {
  path: string
  status: 'added' | 'modified' | 'deleted' | 'renamed'
  previousPath: string | null
  before: FileState | null
  after: FileState | null
  /** Null where lines cannot be counted. */
  additions: number | null
  deletions: number | null
  binary: boolean
  /** Unified; null where there is none. */
  patch: string | null
  patchCut: boolean
}

export interface DiffLimits {
  files: number
  patchChars: number
  allChars: number
}

/** What can be shown of a diff. */
export const DIFF_LIMITS: DiffLimits = { files: 1_000, patchChars: 100_000, allChars: 2_000_000 }

export interface Diff {
  files: FileChange[]
  /** Files that changed, those beyond the limit too. */
  changed: number
  additions: number
  deletions: number
  /** Whether something was left out for its number or size. */
  truncated: boolean
}

/** The empty tree: git knows it without having it. */
const EMPTY = '4b825dc642cb6eb9a060e54bf8d69288fbee4904'
const OPTIONS = ['-r', '-M', '-l200', '--relative=files/', '--no-ext-diff', '--no-textconv']

/** What changed between two snapshots. Throws `NoSnapshot`. */
export async function diffSnapshots(
  git: Git,
  gitDir: string,
  from: string | null,
  to: string | null,
  limits: DiffLimits = DIFF_LIMITS,
): Promise<Diff> {
  if (from === to) return { files: [], changed: 0, additions: 0, deletions: 0, truncated: false }
  const pair = [from ?? EMPTY, to ?? EMPTY]
  const [before, after] = await Promise.all([readTree(git, gitDir, from), readTree(git, gitDir, to)])
  const { output } = await git.run(gitDir, [
    'diff-tree',
    '-z',
    '--raw',
    '--numstat',
    '--no-abbrev',
    ...OPTIONS,
    ...pair,
  ])
  const changes = parseChanges(output.toString())
  for (const [path, file] of after.files) {
    const was = before.files.get(path)
    // Permission bits that git does not know.
    if (was && was.oid === file.oid && was.mode !== file.mode && !changes.has(path))
      changes.set(path, { ...NEW, path, status: 'modified', additions: 0, deletions: 0 })
  }
  const large = new Set([...Object.keys(before.manifest.large), ...Object.keys(after.manifest.large)])
  for (const path of large) {
    const was = own(before.manifest.large, path)
    const is = own(after.manifest.large, path)
    if (was && is && was.oid === is.oid && was.mode === is.mode) continue
    const wasThere = was !== undefined || before.files.has(path)
    const isThere = is !== undefined || after.files.has(path)
    const status = !wasThere ? 'added' : isThere ? 'modified' : 'deleted'
    changes.set(path, { ...NEW, path, status, binary: true })
  }
  const all = [...changes.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  const shown = all.slice(0, limits.files)
  const sizes = await sizesOf(
    git,
    gitDir,
    shown.flatMap(({ path, previousPath }) => [
      ...(before.files.get(previousPath ?? path) ? [before.files.get(previousPath ?? path)!.oid] : []),
      ...(after.files.get(path) ? [after.files.get(path)!.oid] : []),
    ]),
  )
  const stateIn = ({ files, manifest }: typeof before, path: string): FileState | null => {
    const file = files.get(path)
    return file
      ? { size: sizes.get(file.oid) ?? 0, mode: file.mode, oid: file.oid }
      : (own(manifest.large, path) ?? null)
  }
  const patches = await patchesOf(git, gitDir, pair, limits)
  let cut = all.length > shown.length || patches.cut
  const files = shown.map((change): FileChange => {
    const patch = change.binary || large.has(change.path) ? null : (patches.byPath.get(change.path) ?? null)
    const patchCut = patch !== null && patch.length > limits.patchChars
    cut ||= patchCut
    return {
      ...change,
      before: change.status === 'added' ? null : stateIn(before, change.previousPath ?? change.path),
      after: change.status === 'deleted' ? null : stateIn(after, change.path),
      patch: patchCut ? patch.slice(0, patch.lastIndexOf('\n', limits.patchChars - 1) + 1) : patch,
      patchCut,
    }
  })
  const sum = (key: 'additions' | 'deletions') => all.reduce((total, change) => total + (change[key] ?? 0), 0)
  return { files, changed: all.length, additions: sum('additions'), deletions: sum('deletions'), truncated: cut }
}

const NEW: Omit<FileChange, 'path' | 'status'> = {
  previousPath: null,
  before: null,
  after: null,
  additions: null,
  deletions: null,
  binary: false,
  patch: null,
  patchCut: false,
}

const STATUS: Record<string, FileChange['status']> = { A: 'added', D: 'deleted', R: 'renamed' }

/** `--raw --numstat -z`: first every file with its status, then every file with its lines. */
function parseChanges(text: string): Map<string, FileChange> {
  const changes = new Map<string, FileChange>()
  const parts = text.split('\0')
  for (let at = 0; at < parts.length;) {
    const part = parts[at++]!
    const raw = /^:\d{6} \d{6} [0-9a-f]{40} [0-9a-f]{40} ([A-Z])\d*$/.exec(part)
    if (raw) {
      const status = STATUS[raw[1]!] ?? 'modified'
      const previousPath = status === 'renamed' ? parts[at++]! : null
      const path = parts[at++]!
      changes.set(path, { ...NEW, path, previousPath, status })
      continue
    }
    const counts = /^(\d+|-)\t(\d+|-)\t(.*)$/s.exec(part)
    if (!counts) continue
    // A rename has its two names behind.
    const path = counts[3] === '' ? (at++, parts[at++]!) : counts[3]!
    const change = changes.get(path)
    if (!change) continue
    change.binary = counts[1] === '-'
    change.additions = change.binary ? null : Number(counts[1])
    change.deletions = change.binary ? null : Number(counts[2])
  }
  return changes
}

async function sizesOf(git: Git, gitDir: string, oids: string[]): Promise<Map<string, number>> {
  if (oids.length === 0) return new Map()
  const input = `${[...new Set(oids)].join('\n')}\n`
  const { output } = await git.run(gitDir, ['cat-file', '--batch-check=%(objectname) %(objectsize)'], { input })
  return new Map(
    output
      .toString()
      .split('\n')
      .map((line): [string, number] => [line.slice(0, 40), Number(line.slice(41))]),
  )
}

/** Patches by path, as far as the limit goes. A line of a file never begins like a header: it has a sign before it. */
async function patchesOf(git: Git, gitDir: string, pair: string[], limits: DiffLimits) {
  const args = ['diff-tree', '-p', '-z', '--raw', '--no-abbrev', '--no-prefix', ...OPTIONS, ...pair]
  const { output, cut } = await git.run(gitDir, args, { max: limits.allChars })
  const text = output.toString()
  const byPath = new Map<string, string>()
  // The names end with two zeros, which nothing in a name can be.
  const start = text.indexOf('\0\0diff --git ')
  if (start < 0) return { byPath, cut }
  const paths = blockPaths(text.slice(0, start))
  const blocks = text.slice(start + 2).split(/(?<=\n)(?=diff --git )/)
  for (const [at, block] of (cut ? blocks.slice(0, -1) : blocks).entries()) {
    const path = paths[at]
    const hunks = block.indexOf('\n@@ ')
    if (path !== undefined && hunks >= 0) byPath.set(path, (byPath.get(path) ?? '') + block.slice(hunks + 1))
  }
  return { byPath, cut }
}

/** Which file each block of a patch is about: one that became a link, or was one, has two. */
function blockPaths(raw: string): string[] {
  const parts = raw.split('\0')
  const paths: string[] = []
  for (let at = 0; at < parts.length;) {
    const status = /^:\d{6} \d{6} [0-9a-f]{40} [0-9a-f]{40} ([A-Z])\d*$/.exec(parts[at++]!)?.[1]
    if (status === undefined) continue
    if (status === 'R') at++
    const path = parts[at++]!
    paths.push(path)
    if (status === 'T') paths.push(path)
  }
  return paths
}
