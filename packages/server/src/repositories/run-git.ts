import { spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { AgentUser } from '../lib/agent-user.ts'

/** How git is found, and what of the server's environment it is given: by which proxy it goes, whom it trusts. */
export interface GitSettings {
  path: string | undefined
  env: Record<string, string>
  /** Whose the workdirs are, and as whom git runs in them; null: the server's own user. */
  user?: AgentUser | null
}

export interface GitRun {
  /** The one protocol that it may speak: `https`, `http` or `file`. */
  protocol: string
  cwd: string
  args: string[]
  /** Of the host at the repository's address, and of no other. */
  credential: { url: string; token: string } | null
  signal: AbortSignal
  /** Is given what it says on stdout, piece by piece. */
  onOutput?: (piece: string) => void
  /** The group of the folder. */
  group?: number
}

/** Nothing of the machine's or the user's configuration counts, no program of a repository is run, nothing more is fetched. */
const SETTINGS = [
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'core.fsmonitor=false',
  'core.protectNTFS=true',
  'core.protectHFS=true',
  'core.askPass=',
  'credential.helper=',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  // All that comes is one file, whose size is watched.
  'fetch.unpackLimit=1',
  'http.followRedirects=initial',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=60',
  'protocol.allow=never',
  'gc.auto=0',
  'maintenance.auto=false',
  'advice.detachedHead=false',
]
/** Reads the answer from a pipe that only this git has: a token stands on no command line and in no environment. */
const HELPER = '!f() { test "$1" = get && cat <&3; }; f'
const PASSED = /^(HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|ALL_PROXY|all_proxy|SSL_CERT_FILE|SSL_CERT_DIR)$/
const STDERR_CHARS = 4_000

export const gitSettings = (server: NodeJS.ProcessEnv, user: AgentUser | null = null): GitSettings => ({
  path: server.PATH,
  user,
  env: Object.fromEntries(
    Object.entries(server).filter((pair): pair is [string, string] => PASSED.test(pair[0]) && pair[1] !== undefined),
  ),
})

/** Runs git to its end, in a process group of its own that ends with the signal. Never rejects; `code` null: it did not end by itself. */
export function runGit(
  { path, env, user }: GitSettings,
  { protocol, cwd, args, credential, signal, onOutput, group }: GitRun,
): Promise<{ code: number | null; stderr: string }> {
  const own = [
    `protocol.${protocol}.allow=always`,
    ...(credential ? [`credential.${new URL(credential.url).origin}.helper=${HELPER}`] : []),
  ]
  const child = spawn('git', [...[...SETTINGS, ...own].flatMap((setting) => ['-c', setting]), ...args], {
    cwd,
    // The folder is gone to before the user is changed.
    ...(user && user.processAs(group ?? user.gid)),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: {
      ...env,
      PATH: path,
      HOME: '/nonexistent',
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_LFS_SKIP_SMUDGE: '1',
    },
  })
  const pipe = child.stdio[3] as Duplex
  pipe.on('error', () => undefined)
  pipe.end(credential ? `username=x-access-token\npassword=${credential.token}\n` : '')
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS)
  })
  child.stdout!.setEncoding('utf8').on('data', (text: string) => onOutput?.(text))
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  signal.addEventListener('abort', kill)
  if (signal.aborted) kill()
  return new Promise((resolve) => {
    const end = (code: number | null, words: string) => {
      signal.removeEventListener('abort', kill)
      pipe.destroy()
      const said = credential ? words.replaceAll(credential.token, '…') : words
      resolve({ code, stderr: said.trim() })
    }
    child.once('error', (error) => end(null, error.message))
    child.once('close', (code) => end(code, stderr))
  })
}
