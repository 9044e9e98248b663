import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { cp, mkdir, stat, statfs } from 'node:fs/promises'
import type { AgentUser } from '../lib/agent-user.ts'
import { openStanding } from '../lib/folder.ts'
import { forOthers } from '../lib/remove-tree.ts'
import { COPY_LIMITS, MAX_SNAPSHOT_MS, NoSnapshot } from './limits.ts'
import { type Scan, scan } from './scan.ts'
import { readStamps, type StampCache, writeStamps } from './stamp-cache.ts'

/** Milliseconds that a copy may take. */
const MAX_COPY_MS = 10 * 60_000

/**
 * Copies a folder with all that is in it: links as they are, permission bits and times too. Where the file system can
 * clone nothing is read. `link`: files become further names of the same content, for those that nobody writes into.
 * Throws `NoSnapshot`; what was copied until then is left to the caller.
 */
export async function copyFolder(
  from: string,
  to: string,
  searchPath: string | undefined,
  link = false,
  user: AgentUser | null = null,
): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  // As another user it copies from where it stands, which only root can lead it to, and what only that user can read.
  await using held = user && (await openStanding(from, user))
  const words = ['-a', link ? '--link' : '--reflink=auto', '--', held ? '.' : `${from}/.`, to]
  const child = spawn('cp', words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: searchPath, LC_ALL: 'C' },
    ...(held && { cwd: forOthers(held.path('.')), ...user!.processAs((await stat(to)).gid) }),
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 2_000) said += text
  })
  const patience = setTimeout(() => child.kill('SIGKILL'), MAX_COPY_MS)
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(-1))
    child.once('close', (exit) => resolve(exit))
  })
  clearTimeout(patience)
  if (code === 0) return
  // Without the GNU tool: slower, and the same.
  if (user === null && (code === -1 || /(unrecognized|illegal|invalid) option/.test(said))) return copySlowly(from, to)
  throw new NoSnapshot('failed', `The workdir could not be copied: ${said.trim().split('\n')[0] ?? code}`)
}

async function copySlowly(from: string, to: string): Promise<void> {
  const mode = constants.COPYFILE_FICLONE
  try {
    await cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, force: true, mode })
  } catch (error) {
    throw new NoSnapshot('failed', `The workdir could not be copied: ${(error as Error).message}`, error)
  }
}

/** Copies a shadow repository, if there is one; its contents are shared, as they never change. */
export async function copyRepository(from: string, to: string, searchPath: string | undefined): Promise<void> {
  if (!(await stat(from).catch(() => null))) return
  try {
    await copyFolder(from, to, searchPath, true)
  } catch {
    // Another file system, or one without links.
    await copyFolder(from, to, searchPath)
  }
}

/** Throws `NoSnapshot` where a folder is larger than may be copied, or than there is room for. */
export async function assertRoom(from: string, to: string, user: AgentUser | null = null): Promise<void> {
  const { files } = await scan(from, COPY_LIMITS, AbortSignal.timeout(MAX_SNAPSHOT_MS), true, user)
  const { bavail, bsize } = await statfs(to)
  const bytes = [...files.values()].reduce((sum, { size }) => sum + size, 0)
  // Counted as if nothing were cloned: what is written into a clone takes its room later.
  if (bytes > bavail * bsize * 0.9)
    throw new NoSnapshot('too_many_bytes', `The workdir ${from} has ${bytes} bytes; there is no room for a copy.`)
}

/** What is known of files goes with their copies: the first snapshot of a copied workdir reads only what differs. */
export async function adoptStamps(
  gitDir: string,
  commit: string | null,
  original: Pick<Scan, 'files'>,
  copy: Pick<Scan, 'files'>,
): Promise<void> {
  const known = await readStamps(gitDir, commit)
  if (!known) return
  const files: StampCache['files'] = new Map()
  for (const [path, file] of known.files) {
    const now = copy.files.get(path)
    const same = original.files.get(path)?.stamp === file.stamp && now?.size === file.size && now.kind === file.kind
    files.set(path, { ...file, stamp: same ? now.stamp : '' })
  }
  await writeStamps(gitDir, { commit, files })
}
