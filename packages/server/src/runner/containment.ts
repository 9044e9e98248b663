import { spawnSync } from 'node:child_process'

/** A way to tie an agent's processes to the life of the server. */
export interface Containment {
  name: 'pid namespace' | 'pid namespace (user)' | 'parent death signal' | 'watchdog'
  /** What it keeps, in words, for `/v1/info` and `doctor`. */
  note: string
  wrap(command: string, args: string[], sessionId?: string): { command: string; args: string[]; watchdog: boolean }
}

/** Words before the command of an agent that make it run as somebody else, or within limits; none: as the server runs. */
export type Before = (sessionId?: string) => readonly string[]

/** `outside`: the words stand before those that contain, which the other user can use too, and must where it is in a namespace of its own. */
const prefix = (
  name: Containment['name'],
  note: string,
  words: string[],
  place: 'inside' | 'outside' = 'inside',
): ((before: Before) => Containment) => {
  return (before) => ({
    name,
    note,
    wrap: (command, args, sessionId) => {
      const own = before(sessionId)
      const [first, ...rest] = place === 'inside' ? [...words, ...own] : [...own, ...words]
      return { command: first!, args: [...rest, command, ...args], watchdog: false }
    },
  })
}

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
const CANDIDATES: ((before: Before) => Containment)[] = [
  prefix('pid namespace', ALL_DIE, [...PDEATHSIG, 'unshare', ...NAMESPACE, '--mount-proc', '--']),
  prefix('pid namespace', ALL_DIE, [...PDEATHSIG, 'unshare', ...NAMESPACE, '--']),
  prefix(
    'pid namespace (user)',
    ALL_DIE,
    [...PDEATHSIG, 'unshare', ...AS_USER, ...NAMESPACE, '--mount-proc', '--'],
    'outside',
  ),
  prefix('pid namespace (user)', ALL_DIE, [...PDEATHSIG, 'unshare', ...AS_USER, ...NAMESPACE, '--'], 'outside'),
  prefix(
    'parent death signal',
    'the kernel ends the agent when the server dies; a tool in flight may run to its end',
    PDEATHSIG,
  ),
]

const watchdog = (before: Before): Containment => ({
  name: 'watchdog',
  note: 'a small process ends the agent when the server dies; what is left is ended at the next start',
  wrap: (command, args, sessionId) => ({
    command: '/bin/sh',
    args: ['-c', WATCHDOG_SCRIPT, 'troupe-agent', ...before(sessionId), command, ...args],
    watchdog: true,
  }),
})

/** The strongest containment that works on this machine, tried for real. Takes some ms per candidate. */
export function detectContainment(only?: Containment['name'], before: Before = () => []): Containment {
  if (process.platform === 'linux')
    for (const candidateWith of CANDIDATES) {
      const candidate = candidateWith(before)
      if (only !== undefined && candidate.name !== only) continue
      const { command, args } = candidate.wrap('true', [])
      if (spawnSync(command, args, { stdio: 'ignore', timeout: 5_000 }).status === 0) return candidate
    }
  return watchdog(before)
}
