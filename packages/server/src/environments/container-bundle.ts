import { hooksIn, SOCKET_FILTER } from './container-network.ts'

/** What of a container is decided by whoever starts it. */
export interface ContainerProcess {
  args: string[]
  env: Record<string, string>
  cwd: string
}

/** A place of this machine that is there in a container too, under the same name. */
export interface Bound {
  path: string
  write: boolean
}

export interface ContainerLimits {
  memory_mb: number | null
  cpus: number | null
  pids: number | null
}

/** Microseconds of the period that a share of processors is counted in. */
const CPU_PERIOD = 100_000
const NAMESPACES = ['pid', 'mount', 'ipc', 'uts', 'cgroup']

const tmpfs = (destination: string, mode: string, more: string[] = []) => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', `mode=${mode}`, ...more],
})

const BASE = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
  },
  tmpfs('/dev/shm', '1777', ['noexec', 'size=65536k']),
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  tmpfs('/tmp', '1777'),
  tmpfs('/run', '755'),
]

/**
 * The configuration of a container by the runtime specification of the Open Container Initiative (1.0.2): a root file
 * system that nobody writes, no capabilities, no way to new ones, namespaces of its own. `limited`: the folder of the container
 * when its network is its own too, with nothing but loopback; null: that of this machine. Places within others come behind
 * them.
 */
export function containerBundle(
  root: string,
  work: ContainerProcess,
  bounds: readonly Bound[],
  limits: ContainerLimits,
  user: { uid: number; gid: number },
  limited: string | null,
): object {
  const { memory_mb, cpus, pids } = limits
  const depth = ({ path }: Bound) => path.split('/').length
  return {
    ociVersion: '1.0.2',
    hostname: 'troupe',
    root: { path: root, readonly: true },
    process: {
      terminal: false,
      user,
      args: work.args,
      env: Object.entries(work.env).map(([name, value]) => `${name}=${value}`),
      cwd: work.cwd,
      noNewPrivileges: true,
      capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
      oomScoreAdj: 100,
    },
    mounts: [
      ...BASE,
      ...bounds
        .toSorted((a, b) => depth(a) - depth(b))
        .map(({ path, write }) => ({
          destination: path,
          type: 'bind',
          source: path,
          options: ['rbind', 'nosuid', 'nodev', write ? 'rw' : 'ro'],
        })),
    ],
    ...(limited !== null && { hooks: hooksIn(limited) }),
    linux: {
      namespaces: [...NAMESPACES, ...(limited === null ? [] : ['network'])].map((type) => ({ type })),
      ...(limited !== null && { seccomp: SOCKET_FILTER }),
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        ...(memory_mb !== null && { memory: { limit: memory_mb * 2 ** 20 } }),
        ...(pids !== null && { pids: { limit: pids } }),
        ...(cpus !== null && { cpu: { quota: Math.round(cpus * CPU_PERIOD), period: CPU_PERIOD } }),
      },
      maskedPaths: [
        '/proc/kcore',
        '/proc/keys',
        '/proc/latency_stats',
        '/proc/timer_list',
        '/proc/sched_debug',
        '/sys/firmware',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  }
}
