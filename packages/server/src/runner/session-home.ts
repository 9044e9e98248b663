import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

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
 * link. The login of Claude Code lies in the config dir.
 */
export function makeHome(
  { home, tmp }: { home: string; tmp: string },
  server: NodeJS.ProcessEnv,
): { HOME: string; TMPDIR: string } {
  for (const folder of [home, tmp]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const of = server.HOME
  if (of) {
    lendGitIdentity(server, join(of, '.gitconfig'), join(home, '.gitconfig'))
    for (const [variable, names] of Object.entries(CLOUDS))
      if (server[variable]) for (const name of names) lend(join(of, name), join(home, name))
  }
  return { HOME: home, TMPDIR: tmp }
}

/** Nothing else of the file: tokens stand in such files, in addresses and headers. */
function lendGitIdentity({ PATH }: NodeJS.ProcessEnv, theirs: string, own: string): void {
  if (isThere(own) || !existsSync(theirs)) return
  const asked = ['config', '--file', theirs, '--includes', '--null', '--get-regexp', '^user\\.(name|email)$']
  const { stdout } = spawnSync('git', asked, { encoding: 'utf8', env: { PATH, HOME: dirname(theirs) }, timeout: 5_000 })
  const lines = (stdout ?? '').split('\0').flatMap((entry) => {
    const [name, ...value] = entry.split('\n')
    return name ? [`\t${name.replace('user.', '')} = ${quoted(value.join(' '))}\n`] : []
  })
  writeFileSync(own, lines.length === 0 ? '' : `[user]\n${lines.join('')}`, { mode: 0o600, flag: 'wx' })
}

const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

function lend(theirs: string, own: string): void {
  if (isThere(own) || !existsSync(theirs)) return
  mkdirSync(dirname(own), { recursive: true, mode: 0o700 })
  symlinkSync(theirs, own)
}

/** A link that leads nowhere is there too. */
const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined
