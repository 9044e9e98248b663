import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AgentUser } from '../lib/agent-user.ts'

/** Where the SDKs of clouds look for who they are, by the variable that makes the agent reach its model there. */
const CLOUDS: Readonly<Record<string, readonly string[]>> = {
  CLAUDE_CODE_USE_BEDROCK: ['.aws'],
  CLAUDE_CODE_USE_VERTEX: ['.config/gcloud'],
  CLAUDE_CODE_USE_FOUNDRY: ['.azure'],
}

/**
 * Makes a session's own home and folder for temporary files, and answers the variables that name them. So agents of two
 * sessions share no dotfiles, caches or sockets, and what they leave goes with the session. Of the server's home they are
 * lent what they could not work without: name and address for git, and what a cloud that serves the model asks for, by
 * link. The login of Claude Code lies in the config dir. Agents of another user are lent no files of root's home.
 */
export function makeHome(
  { home, tmp }: { home: string; tmp: string },
  server: NodeJS.ProcessEnv,
  identity: string,
  user: AgentUser | null = null,
): { HOME: string; TMPDIR: string } {
  // What is an agent's already is not written into: it may have put links there.
  if (user?.owns(home)) {
    user.lend(tmp, user.groupOf(dirname(home)))
    return { HOME: home, TMPDIR: tmp }
  }
  for (const folder of [home, tmp]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const own = join(home, '.gitconfig')
  if (identity !== '' && !isThere(own)) writeFileSync(own, identity, { mode: 0o600, flag: 'wx' })
  if (user) {
    user.give(home, user.groupOf(dirname(home)))
    user.lend(tmp, user.groupOf(dirname(home)))
    return { HOME: home, TMPDIR: tmp }
  }
  const of = server.HOME
  if (of) {
    for (const [variable, names] of Object.entries(CLOUDS))
      if (server[variable]) for (const name of names) lend(join(of, name), join(home, name))
  }
  return { HOME: home, TMPDIR: tmp }
}

/**
 * Who commits, as the server's user is known to git, as the text of a `.gitconfig`; empty where it says nothing. Nothing
 * else of that file, where tokens may stand in addresses and headers. Asks git, which takes some ms.
 */
export function gitIdentity({ HOME, PATH }: NodeJS.ProcessEnv): string {
  if (!HOME || !existsSync(join(HOME, '.gitconfig'))) return ''
  const asked = ['config', '--global', '--includes', '--null', '--get-regexp', '^user\\.(name|email)$']
  const env = { PATH, HOME, XDG_CONFIG_HOME: join(HOME, '.config') }
  const { stdout } = spawnSync('git', asked, { encoding: 'utf8', env, cwd: '/', timeout: 5_000 })
  const lines = (stdout ?? '').split('\0').flatMap((entry) => {
    const [name, ...value] = entry.split('\n')
    return name ? [`\t${name.replace('user.', '')} = ${quoted(value.join(' '))}\n`] : []
  })
  return lines.length === 0 ? '' : `[user]\n${lines.join('')}`
}

const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

function lend(theirs: string, own: string): void {
  if (isThere(own) || !existsSync(theirs)) return
  mkdirSync(dirname(own), { recursive: true, mode: 0o700 })
  symlinkSync(theirs, own)
}

/** A link that leads nowhere is there too. */
const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined
