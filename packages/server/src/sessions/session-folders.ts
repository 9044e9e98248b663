import { ApiError } from '@troupe/protocol/error'
import { idToUuid } from '@troupe/protocol/ids'
import { chmod, mkdir, readdir, readlink, realpath, rm, symlink } from 'node:fs/promises'
import { type AgentUser, isGuarded } from '../lib/agent-user.ts'
import { removeTree as removeSafely } from '../lib/remove-tree.ts'
import { basename, dirname, join } from 'node:path'
import type { SessionOptions } from '../store/session-options.ts'
import { sessionPaths } from './admission.ts'
import { forgetWorktree } from './worktree.ts'
import { temporaryRoot } from './temporary-root.ts'

/** The folder that an environment has workdirs made in; null: each lies in its session's own folder. */
const rootOf = ({ environment }: Pick<SessionOptions, 'environment'>): string | null =>
  environment && 'cwd_root' in environment.config ? environment.config.cwd_root : null

/**
 * Makes a session's own workdir, where its environment says; nobody else on the machine may look in. One that lies
 * elsewhere is noted by a link in the session's folder before it is made, so that it goes with that whenever the server
 * dies. Throws `cwd_not_found` where the environment's folder is not there any more.
 */
export async function makeWorkdir(
  sessionsDir: string,
  sessionId: string,
  options: Pick<SessionOptions, 'environment'>,
  agentUser: AgentUser | null = null,
): Promise<string> {
  const { root, workdir } = sessionPaths(sessionsDir, sessionId)
  const elsewhere = rootOf(options)
  const group = agentUser?.guard(root) ?? 0
  if (elsewhere === null) {
    await mkdir(workdir, { recursive: true, mode: 0o700 })
    agentUser?.give(workdir, group)
    return workdir
  }
  const cwd = join(agentUser ? await realpath(elsewhere).catch(() => elsewhere) : elsewhere, idToUuid(sessionId))
  await mkdir(root, { recursive: true, mode: 0o700 })
  await symlink(cwd, workdir)
  try {
    await mkdir(cwd, { mode: 0o700 })
    agentUser?.give(cwd, group)
  } catch (error) {
    await rm(root, { recursive: true, force: true })
    const { code, message } = error as NodeJS.ErrnoException
    throw new ApiError(
      'cwd_not_found',
      `No workdir could be made in ${JSON.stringify(elsewhere)}, the cwd_root of the environment (${code ?? message}).`,
    )
  }
  return cwd
}

/** Removes everything that the server made on disk for a session. What the link names is ours only under the session's own name. */
export async function removeFolders(sessionsDir: string, sessionId: string): Promise<void> {
  const { root, workdir } = sessionPaths(sessionsDir, sessionId)
  const elsewhere = await readlink(workdir).catch(() => null)
  // Root follows nobody's links.
  const remove = isGuarded(root) ? removeSafely : removeTree
  if (elsewhere !== null && basename(elsewhere) === idToUuid(sessionId)) await remove(elsewhere)
  const temporary = temporaryRoot(dirname(sessionsDir))
  if (temporary !== null) await remove(join(temporary, idToUuid(sessionId)))
  await forgetWorktree(sessionsDir, sessionId)
  await remove(root)
}

/** Removes a folder with all in it, folders too that an agent made read-only, as caches of modules are. */
async function removeTree(folder: string): Promise<void> {
  const remove = () => rm(folder, { recursive: true, force: true })
  await remove().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error
    await openUp(folder)
    await remove()
  })
}

/** Lets the owner of folders write in them. Links are not followed. */
async function openUp(folder: string): Promise<void> {
  await chmod(folder, 0o700)
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await openUp(join(folder, entry.name))
}
