import { constants } from 'node:fs'
import { chmod, lchown, lstat, mkdir, open, rename, rm, rmdir, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { at, giveMade, type Owner } from '../lib/folder.ts'
import { readContents } from './contents.ts'
import type { Git } from './git.ts'
import { NoSnapshot } from './limits.ts'
import { own } from './manifest.ts'
import { readTree, type TreeFile } from './tree.ts'

/** What root sets of a file that was an agent's: never that it runs as its owner. */
const PERMISSIONS = 0o777

/** What has to be done to a workdir so that it is again as it was. */
export interface RestorePlan {
  write: (TreeFile & { path: string; isNew: boolean })[]
  remove: string[]
  chmod: { path: string; mode: number }[]
  removeDirs: string[]
  /** Every folder as it was; `present`: permission bits now, null when it is not there. */
  dirs: { path: string; mode: number; present: number | null }[]
  /** Files that were too large to be kept, and are not what they were. */
  lost: string[]
}

/** From what stands there now (`from`) to what stood there then. Throws `NoSnapshot`. */
export async function planRestore(
  git: Git,
  gitDir: string,
  from: string | null,
  to: string | null,
): Promise<RestorePlan> {
  const [now, then] = await Promise.all([readTree(git, gitDir, from), readTree(git, gitDir, to)])
  const plan: RestorePlan = { write: [], remove: [], chmod: [], removeDirs: [], dirs: [], lost: [] }
  for (const [path, file] of then.files) {
    const present = now.files.get(path)
    if (present?.oid !== file.oid || present.kind !== file.kind)
      plan.write.push({ ...file, path, isNew: !present && !own(now.manifest.large, path) })
    else if (present.mode !== file.mode && file.kind === 'file') plan.chmod.push({ path, mode: file.mode })
  }
  for (const [path, large] of Object.entries(then.manifest.large)) {
    const present = own(now.manifest.large, path)
    if (present?.oid !== large.oid) plan.lost.push(path)
    else if (present.mode !== large.mode) plan.chmod.push({ path, mode: large.mode })
  }
  const kept = (path: string) => then.files.has(path) || own(then.manifest.large, path) !== undefined
  for (const path of [...now.files.keys(), ...Object.keys(now.manifest.large)]) if (!kept(path)) plan.remove.push(path)
  const deepestFirst = (a: string, b: string) => b.split('/').length - a.split('/').length
  plan.removeDirs = [...now.dirs.keys()].filter((path) => !then.dirs.has(path)).sort(deepestFirst)
  plan.dirs = [...then.dirs]
    .map(([path, mode]) => ({ path, mode, present: now.dirs.get(path) ?? null }))
    .sort((a, b) => deepestFirst(b.path, a.path))
  return plan
}

export const changesNothing = (plan: RestorePlan): boolean =>
  plan.write.length + plan.remove.length + plan.chmod.length + plan.removeDirs.length === 0 &&
  plan.dirs.every(({ mode, present }) => mode === present)

/**
 * Does what is planned. Each file is whole at every moment; broken off, it is planned anew and goes on. Writes through
 * no link. Throws `NoSnapshot`: before anything is changed where a content is missing, in the middle where the disk
 * refuses.
 */
export async function restore(
  git: Git,
  gitDir: string,
  workdir: string,
  plan: RestorePlan,
  owner: Owner | null = null,
): Promise<void> {
  try {
    await assertContents(git, gitDir, plan)
    await carryOut(git, gitDir, workdir, plan, owner)
  } catch (error) {
    if (error instanceof NoSnapshot) throw error
    const { code, path } = error as NodeJS.ErrnoException
    throw new NoSnapshot(
      'failed',
      `${path ?? workdir} could not be set back: ${code ?? (error as Error).message}.`,
      error,
    )
  }
}

async function carryOut(
  git: Git,
  gitDir: string,
  workdir: string,
  plan: RestorePlan,
  owner: Owner | null,
): Promise<void> {
  const its = (path: string, work: (path: string) => Promise<void>) => at(workdir, path, owner, work)
  const setMode = (path: string, mode: number) => its(path, (place) => changeMode(place, mode, owner))
  // What may not be written into now is opened for as long as this takes.
  for (const { path, present } of plan.dirs)
    if (present !== null && (present & 0o700) !== 0o700) await setMode(path, present | 0o700)
  for (const path of plan.remove) await its(path, (place) => rm(place, { force: true }))
  for (const path of plan.removeDirs) await its(path, removeDir)
  for (const { path } of plan.dirs) await its(path, (place) => ensureDir(place, owner))
  let n = 0
  const contents = readContents(
    git,
    gitDir,
    plan.write.map(({ oid }) => oid),
  )
  for await (const data of contents) {
    const file = plan.write[n++]!
    await its(file.path, (path) => place(path, file, data, owner))
  }
  for (const { path, mode } of plan.chmod) await setMode(path, mode)
  for (const { path, mode } of plan.dirs.toReversed()) await setMode(path, mode)
}

/** Nothing is removed before everything that is to be written is known to be there. */
async function assertContents(git: Git, gitDir: string, plan: RestorePlan): Promise<void> {
  if (plan.write.length === 0) return
  const input = `${plan.write.map(({ oid }) => oid).join('\n')}\n`
  const { output } = await git.run(gitDir, ['cat-file', '--batch-check'], { input })
  const missing = output
    .toString()
    .split('\n')
    .filter((line) => line.endsWith(' missing'))
  if (missing.length > 0) throw new NoSnapshot('failed', `${missing.length} contents of the snapshot are missing.`)
}

async function place(path: string, { kind, mode }: TreeFile, data: Buffer, owner: Owner | null): Promise<void> {
  const found = await lstat(path).catch(() => null)
  // A folder that was removed above but for what is never looked at stands in the way.
  if (found?.isDirectory()) throw new NoSnapshot('failed', `${path} is a folder with files that are never restored.`)
  const temporary = join(dirname(path), `.troupe-restore-${process.pid}`)
  await rm(temporary, { force: true })
  if (kind === 'link') {
    await symlink(data, temporary)
    if (owner) await lchown(temporary, owner.uid, (await stat(dirname(path))).gid)
  } else {
    // By what is open: whoever puts a link in its place changes nothing elsewhere.
    await using file = await open(temporary, 'wx', 0o600)
    await file.writeFile(data)
    if (owner) await file.chown(owner.uid, (await file.stat()).gid)
    await file.chmod(owner ? mode & PERMISSIONS : mode)
  }
  await rename(temporary, path)
}

async function ensureDir(path: string, owner: Owner | null): Promise<void> {
  const stat = await lstat(path).catch(() => null)
  if (stat?.isDirectory()) return
  if (stat) await rm(path, { force: true })
  await mkdir(path, { mode: 0o700 })
  if (!owner) return
  await using made = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  await giveMade(made, null, owner)
}

/** Where somebody else may put a link there meanwhile, by what is open. */
async function changeMode(path: string, mode: number, owner: Owner | null): Promise<void> {
  if (!owner) return chmod(path, mode)
  await using opened = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const { uid } = await opened.stat()
  if (uid !== owner.uid && uid !== 0) return
  await opened.chmod(mode & PERMISSIONS)
}

/** A folder that was made since; with what is never looked at in it, it stays. */
async function removeDir(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(error.code ?? '')) throw error
  })
}
