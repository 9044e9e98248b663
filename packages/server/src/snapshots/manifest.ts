import type { Git } from './git.ts'
import type { Scan } from './scan.ts'
import type { KnownFile } from './stamp-cache.ts'

/** What of a workdir a git tree cannot say. */
export interface Manifest {
  /** Permission bits of files, where they are not 644, or 755 of one that can be run. */
  modes: Record<string, number>
  /** Permission bits of folders that are empty, or where they are not 755. */
  dirs: Record<string, number>
  /** Files too large to be kept. */
  large: Record<string, { size: number; oid: string; mode: number }>
}

export const NOTHING: Manifest = { modes: {}, dirs: {}, large: {} }

export const plainMode = (mode: number): number => (mode & 0o100 ? 0o755 : 0o644)

export function manifestOf(files: ReadonlyMap<string, KnownFile>, { dirs }: Pick<Scan, 'dirs'>): Manifest {
  const full = new Set<string>()
  for (const path of [...files.keys(), ...dirs.keys()]) {
    const end = path.lastIndexOf('/')
    if (end > 0) full.add(path.slice(0, end))
  }
  const each = [...files].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    modes: Object.fromEntries(
      each.flatMap(([path, { kind, mode, large }]) =>
        kind === 'file' && !large && mode !== plainMode(mode) ? [[path, mode]] : [],
      ),
    ),
    dirs: Object.fromEntries(
      [...dirs].filter(([path, mode]) => mode !== 0o755 || !full.has(path)).sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    large: Object.fromEntries(
      each.flatMap(([path, { size, oid, mode, large }]) => (large ? [[path, { size, oid, mode }]] : [])),
    ),
  }
}

/** The manifest of a snapshot. Names are looked up in it with `own`. */
export async function readManifest(git: Git, gitDir: string, commit: string | null): Promise<Manifest> {
  if (commit === null) return NOTHING
  const { output } = await git.run(gitDir, ['cat-file', 'blob', `${commit}:manifest`])
  return JSON.parse(output.toString()) as Manifest
}

/** Files may have any name, also those that objects have. */
export const own = <T>(record: Record<string, T>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined
