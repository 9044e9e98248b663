import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { bundledBinary } from '../agents/agent-binary.ts'
import { AgentUser, findUser } from '../lib/agent-user.ts'

/** `agent_user` cannot be done here, or not with the rest of the configuration. */
export class NoAgentUser extends Error {
  override readonly name = 'NoAgentUser'
  constructor(user: string, problem: string) {
    super(`TROUPE_AGENT_USER is ${JSON.stringify(user)}, but ${problem}`)
  }
}

export interface AgentUserInput {
  agent_user: string | null
  data_dir: string
  session_home: 'auto' | 'on' | 'off'
  agent_executable: string | null
}

/** What is said where the server is root and its agents are too; null: they are not. */
export const rootProblem = (agentUser: string | null): string | null =>
  process.getuid?.() === 0 && agentUser === null
    ? 'The server is root, and so are its agents: what they run can do everything on this machine. Start it as another user, or set TROUPE_AGENT_USER to a user without rights of its own.'
    : null

/**
 * The user as which agents run, tried for real, or null where none is named. Throws `NoAgentUser`. `login`: the login
 * of Claude Code that agents would be lent, which lies where only root reads. `tmp`: for temporary files of the server.
 */
export function chooseAgentUser(config: AgentUserInput, login: string | null, tmp: string): AgentUser | null {
  const { agent_user: wanted, data_dir: dataDir } = config
  if (wanted === null) return null
  const no = (problem: string) => new NoAgentUser(wanted, problem)
  if (process.platform !== 'linux') throw no('that works on Linux alone. Leave it out.')
  if (process.getuid?.() !== 0)
    throw no('only root can start processes as another user, and this server is not root. Leave it out.')
  const found = findUser(wanted)
  if (!found) throw no('there is no such user or group. Make one (useradd --system troupe-agent), or name another.')
  if (found.uid === 0 || found.gid === 0) throw no('that is root itself. Name a user and group without rights.')
  if (config.session_home === 'off')
    throw no('TROUPE_SESSION_HOME is off, and the home of root is not for other users. Leave one of them out.')
  if (login !== null)
    throw no(
      `the agents would need the login in ${login}, which only root reads. Set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN.`,
    )
  if (linksAreOpen())
    throw no(
      'on this machine everybody can make hard links to files of root (sysctl fs.protected_hardlinks is 0). Set it to 1.',
    )
  const sessionsDir = join(dataDir, 'sessions')
  mkdirSync(sessionsDir, { recursive: true, mode: 0o711 })
  if (realpathSync(sessionsDir) !== sessionsDir)
    throw no(`the data folder is reached by a link. Name it as it is: TROUPE_DATA_DIR=${realpathSync(dataDir)}.`)
  closeAllBut(dataDir, 'sessions')
  const user = new AgentUser(found, sessionsDir)
  const cannot = user.problem(['true'])
  if (cannot !== null)
    throw no(
      `no process can be started as that user in a group of its own: ${cannot}. It takes setpriv (util-linux), the capabilities SETUID and SETGID, and groups above 1879048192, which some containers do not have.`,
    )
  const executable = config.agent_executable ?? bundledBinary()
  for (const [test, path] of [
    ['-x', sessionsDir],
    ['-x', tmp],
    ['-r', executable],
  ] as const)
    if (path !== null && user.problem(['test', test, path]) !== null)
      throw no(
        `that user cannot reach ${path}. Put it where every user may go, as /var/lib and /opt are; not below the home of root.`,
      )
  return user
}

/** What of the data folder is not the sessions' is nobody's but ours; the folder itself can then be passed through. */
function closeAllBut(dataDir: string, open: string): void {
  for (const entry of readdirSync(dataDir, { withFileTypes: true })) {
    const path = join(dataDir, entry.name)
    if (entry.isSymbolicLink() || entry.name === open) continue
    const { mode } = lstatSync(path)
    if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700)
  }
  chmodSync(join(dataDir, open), 0o711)
  chmodSync(dataDir, 0o711)
}

function linksAreOpen(): boolean {
  try {
    return readFileSync('/proc/sys/fs/protected_hardlinks', 'utf8').trim() === '0'
  } catch {
    return false
  }
}
