import { idToUuid } from '@troupe/protocol/ids'
import type { WorktreeConfig } from '@troupe/protocol/environment'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { removeTree } from '../lib/remove-tree.ts'
import type { SessionOptions } from '../store/session-options.ts'
import type { SessionRow } from '../store/session-row.ts'
import { sessionPaths } from './admission.ts'

/** Milliseconds that git may take to answer a question. */
const PATIENCE_MS = 10_000
/** Nothing of a repository runs, and it may be somebody else's. */
const PLAIN = ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'safe.directory=*']

/** What a worktree leaves in its repository: noted in the session's folder before it is made, so that it goes with that. */
interface WorktreeNote {
  /** The folder that git keeps the repository in. */
  common: string
  branch: string
  /** Where the branch began. */
  commit: string
}

/** The worktree that a session's environment gives to workdirs that were made for their sessions. */
export const worktreeOf = ({ environment, ownWorkdir }: SessionOptions): WorktreeConfig | null =>
  (ownWorkdir && environment && 'worktree' in environment.config && environment.config.worktree) || null

/** The same, where it is still to be made. */
export const pendingWorktree = ({ options }: Pick<SessionRow, 'options'>): WorktreeConfig | null =>
  options.worktree ? null : worktreeOf(options)

async function git(args: string[], path: string | undefined): Promise<string> {
  // Whoever writes in the repository says how git would fetch what is missing: by a program, as the server.
  const nothingIsFetched = { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' }
  const env = { ...(path !== undefined && { PATH: path }), LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', ...nothingIsFetched }
  const { stdout } = await promisify(execFile)('git', [...PLAIN, ...args], { env, timeout: PATIENCE_MS, cwd: '/' })
  return stdout.trim()
}

/** Where git keeps a repository, and the commit that a worktree of it begins at. Rejects with what git says. */
export async function resolveWorktree(
  { repository, base }: Pick<WorktreeConfig, 'repository' | 'base'>,
  path: string | undefined,
): Promise<Pick<WorktreeNote, 'common' | 'commit'>> {
  const common = await git(['-C', repository, 'rev-parse', '--path-format=absolute', '--git-common-dir'], path)
  const wanted = `${base ?? 'HEAD'}^{commit}`
  const commit = await git(['-C', repository, 'rev-parse', '--verify', '--quiet', '--end-of-options', wanted], path)
  return { common, commit }
}

const noteFile = (sessionsDir: string, sessionId: string) =>
  join(sessionPaths(sessionsDir, sessionId).root, 'worktree.json')

export async function noteWorktree(sessionsDir: string, sessionId: string, note: WorktreeNote): Promise<void> {
  await mkdir(sessionPaths(sessionsDir, sessionId).root, { recursive: true, mode: 0o700 })
  await writeFile(noteFile(sessionsDir, sessionId), JSON.stringify(note), { mode: 0o600 })
}

/**
 * Takes what a session's worktree left out of its repository: what git knows of it, as `git worktree prune` would, and
 * its branch, if nothing was committed to it. Its files go with the workdir. Never rejects: what cannot be taken out of a
 * repository is seen and removed by its own `git worktree prune`.
 */
export async function forgetWorktree(sessionsDir: string, sessionId: string): Promise<void> {
  const text = await readFile(noteFile(sessionsDir, sessionId), 'utf8').catch(() => null)
  if (text === null) return
  try {
    const { common, branch, commit } = JSON.parse(text) as WorktreeNote
    if (!isAbsolute(common) || basename(common) === '' || !existsSync(join(common, 'HEAD'))) return
    await removeTree(join(common, 'worktrees', idToUuid(sessionId)))
    await git([`--git-dir=${common}`, 'update-ref', '-d', `refs/heads/${branch}`, commit], undefined)
  } catch {
    // The branch has commits of its own, or the repository is gone.
  }
}

/**
 * What becomes of a worktree in a copy of its workdir: two folders must not be one worktree. The copy becomes one of its
 * own before its first turn, beginning where the other one stands now; a repository that the agent made instead is
 * copied with everything else.
 */
export async function copiedWorktree(
  source: Pick<SessionRow, 'options' | 'cwd'>,
  cwd: string,
): Promise<Pick<SessionOptions, 'worktree' | 'worktreeFrom'>> {
  const config = worktreeOf(source.options)
  if (!config) return {}
  const { worktree, worktreeFrom } = source.options
  const link = join(cwd, '.git')
  const there = await lstat(link).catch(() => null)
  if (there?.isDirectory()) return { worktree: worktree ?? { repository: config.repository, branch: null } }
  await rm(link, { force: true })
  if (!worktree) return worktreeFrom === undefined ? {} : { worktreeFrom }
  const head = await git(['-C', source.cwd, 'rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], undefined).catch(
    () => null,
  )
  return head === null ? {} : { worktreeFrom: head }
}
