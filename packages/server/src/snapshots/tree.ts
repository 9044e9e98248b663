import type { Git } from './git.ts'
import { type Manifest, own, readManifest } from './manifest.ts'

export interface TreeFile {
  kind: 'file' | 'link'
  /** Permission bits. */
  mode: number
  oid: string
}

/** A snapshot, without contents. */
export interface Tree {
  files: Map<string, TreeFile>
  /** Permission bits of every folder. */
  dirs: Map<string, number>
  manifest: Manifest
}

/** What a snapshot holds; nothing for `null`. Throws `NoSnapshot`. */
export async function readTree(git: Git, gitDir: string, commit: string | null): Promise<Tree> {
  const manifest = await readManifest(git, gitDir, commit)
  const tree: Tree = { files: new Map(), dirs: new Map(), manifest }
  if (commit === null) return tree
  const { output } = await git.run(gitDir, ['ls-tree', '-r', '-z', '--full-tree', commit, 'files/'])
  for (const line of output.toString().split('\0')) {
    const match = /^(\d{6}) blob ([0-9a-f]{40})\tfiles\/(.+)$/s.exec(line)
    if (!match) continue
    const [, gitMode, oid, path] = match as unknown as [string, string, string, string]
    const kind = gitMode === '120000' ? 'link' : 'file'
    tree.files.set(path, { kind, oid, mode: own(manifest.modes, path) ?? (gitMode === '100755' ? 0o755 : 0o644) })
  }
  const add = (dir: string) => {
    for (let at = dir; at !== '' && !tree.dirs.has(at); at = parentOf(at))
      tree.dirs.set(at, own(manifest.dirs, at) ?? 0o755)
  }
  for (const path of [...tree.files.keys(), ...Object.keys(manifest.large)]) add(parentOf(path))
  for (const path of Object.keys(manifest.dirs)) add(path)
  return tree
}

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))
