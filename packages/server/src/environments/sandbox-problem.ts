import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { AgentUser } from '../lib/agent-user.ts'

/** What the sandbox of Claude Code is made with on Linux, and the package of Debian that has it. */
const NEEDED = { bwrap: 'bubblewrap', socat: 'socat' } as const
/** What a sandbox of a command asks of the kernel. */
const PROBE = '--ro-bind / / --dev /dev --proc /proc --unshare-user --unshare-pid --unshare-net true'.split(' ')
const PATIENCE_MS = 10_000

/** Null when commands of agents can be confined here, else what is wrong and what to do. Never rejects. */
export async function sandboxProblem(
  searchPath: string | undefined,
  platform: NodeJS.Platform = process.platform,
  user: AgentUser | null = null,
): Promise<string | null> {
  // There it is made with what the system has; the agent refuses to start where it is not.
  if (platform === 'darwin') return null
  if (platform !== 'linux') return `Commands cannot be confined on ${platform}; on Linux and macOS they can.`
  const missing = Object.entries(NEEDED).filter(([program]) => find(program, searchPath) === null)
  if (missing.length > 0)
    return `Commands cannot be confined: ${missing.map(([program]) => program).join(' and ')} cannot be found. Install ${Object.values(NEEDED).join(' and ')} (apt-get install -y ${Object.values(NEEDED).join(' ')}).`
  try {
    await promisify(execFile)(find('bwrap', searchPath)!, PROBE, {
      timeout: PATIENCE_MS,
      ...user?.processAs(user.gid),
      cwd: '/',
    })
    return null
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    const why = (stderr || message).trim().split('\n')[0]
    return `Commands cannot be confined: bwrap says ${JSON.stringify(why)}. Allow user namespaces to the user of the server (kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0; in a container, a seccomp profile that allows them).`
  }
}

/** Asks again until there is no problem: what is missing may be installed while the server runs. */
export function sandboxWatch(
  searchPath: string | undefined,
  user: AgentUser | null = null,
): () => Promise<string | null> {
  let works = false
  return async () => {
    if (works) return null
    const problem = await sandboxProblem(searchPath, process.platform, user)
    works = problem === null
    return problem
  }
}

function find(program: string, searchPath: string | undefined): string | null {
  for (const folder of (searchPath ?? '').split(delimiter).filter(Boolean))
    try {
      accessSync(join(folder, program), constants.X_OK)
      return join(folder, program)
    } catch {
      // Not there.
    }
  return null
}
