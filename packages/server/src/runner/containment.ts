import { spawnSync } from 'node:child_process'

/** A way to tie an agent's processes to the life of the server. */
export interface Containment {
  name: 'pid namespace' | 'pid namespace (user)' | 'parent death signal' | 'watchdog'
  /** What it keeps, in words, for `/v1/info` and `doctor`. */
  note: string
  wrap(command: string, args: string[]): { command: string; args: string[]; watchdog: boolean }
}

const prefix = (name: Containment['name'], note: string, words: string[]): Containment => ({
  name,
  note,
  wrap: (command, args) => ({ command: words[0]!, args: [...words.slice(1), command, ...args], watchdog: false }),
})

const PDEATHSIG = ['setpriv', '--pdeathsig', 'KILL', '--']
const NAMESPACE = ['--pid', '--fork', '--kill-child']
const AS_USER = ['--user', '--map-current-user']
const ALL_DIE = 'the kernel ends the agent and everything it started when the server dies'

/**
 * A shell that waits for the far end of fd 3, which only the server holds: when the server dies the pipe closes and
 * the shell kills its process group, the agent's. A tool that made a group of its own survives this one.
 */
const WATCHDOG_SCRIPT = '(read _ <&3; kill -KILL 0) & exec 3<&-; exec "$@"'

/** Strongest first. Inside a namespace of its own the agent sees only its own processes. */
const CANDIDATES: Containment[] = [
  prefix('pid namespace', ALL_DIE, [...PDEATHSIG, 'unshare', ...NAMESPACE, '--mount-proc', '--']),
  prefix('pid namespace', ALL_DIE, [...PDEATHSIG, 'unshare', ...NAMESPACE, '--']),
  prefix('pid namespace (user)', ALL_DIE, [...PDEATHSIG, 'unshare', ...AS_USER, ...NAMESPACE, '--mount-proc', '--']),
  prefix('pid namespace (user)', ALL_DIE, [...PDEATHSIG, 'unshare', ...AS_USER, ...NAMESPACE, '--']),
  prefix(
    'parent death signal',
    'the kernel ends the agent when the server dies; a tool in flight may run to its end',
    PDEATHSIG,
  ),
]

const WATCHDOG: Containment = {
  name: 'watchdog',
  note: 'a small process ends the agent when the server dies; what is left is ended at the next start',
  wrap: (command, args) => ({
    command: '/bin/sh',
    args: ['-c', WATCHDOG_SCRIPT, 'troupe-agent', command, ...args],
    watchdog: true,
  }),
}

/** The strongest containment that works on this machine, tried for real. Takes some ms per candidate. */
export function detectContainment(only?: Containment['name']): Containment {
  if (process.platform === 'linux')
    for (const candidate of CANDIDATES) {
      if (only !== undefined && candidate.name !== only) continue
      const { command, args } = candidate.wrap('true', [])
      if (spawnSync(command, args, { stdio: 'ignore', timeout: 5_000 }).status === 0) return candidate
    }
  return WATCHDOG
}
