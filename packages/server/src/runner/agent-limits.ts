import { spawnSync } from 'node:child_process'

/** What an agent and all that it starts may take; null: what there is. */
export interface AgentLimits {
  memoryBytes: number | null
  /** Processes and their threads. */
  tasks: number | null
  fileBytes: number | null
  openFiles: number | null
  /** Of the folders that are the session's own. */
  diskBytes: number | null
}

export interface LimitSettings {
  agent_max_memory_mb: number | null
  agent_max_processes: number | null
  agent_max_file_mb: number | null
  agent_max_open_files: number | null
  session_max_disk_mb: number | null
}

const MIB = 2 ** 20
const times = (limit: number | null, unit: number): number | null => (limit === null ? null : limit * unit)

export const agentLimits = (config: LimitSettings): AgentLimits => ({
  memoryBytes: times(config.agent_max_memory_mb, MIB),
  tasks: config.agent_max_processes,
  fileBytes: times(config.agent_max_file_mb, MIB),
  openFiles: config.agent_max_open_files,
  diskBytes: times(config.session_max_disk_mb, MIB),
})

/** A limit was asked for that cannot be set here. */
export class NoLimits extends Error {
  override readonly name = 'NoLimits'
}

/**
 * Words before a command that set what the kernel holds by itself: the size of a file, open files, and where agents have
 * a user of their own, what all of them together may start, as the kernel counts by user: `agents` times what one may.
 * Throws `NoLimits` where they cannot be set.
 */
export function limitWords(
  { fileBytes, openFiles, tasks, diskBytes }: AgentLimits,
  agents: number,
  ownUser: boolean,
  platform: NodeJS.Platform = process.platform,
): string[] {
  if (diskBytes !== null && platform !== 'linux')
    throw new NoLimits('TROUPE_SESSION_MAX_DISK_MB cannot be kept here: it takes the du of Linux. Leave it out.')
  const set = [
    ...(fileBytes === null ? [] : [`--fsize=${fileBytes}:${fileBytes}`]),
    ...(openFiles === null ? [] : [`--nofile=${openFiles}:${openFiles}`]),
    ...(tasks === null || !ownUser ? [] : [`--nproc=${tasks * agents}:${tasks * agents}`]),
  ]
  if (set.length === 0) return []
  const words = ['prlimit', ...set, '--']
  const { status, error, stderr } = spawnSync('prlimit', [...words.slice(1), 'true'], { encoding: 'utf8' })
  if (status === 0) return words
  const why = error?.message ?? stderr.trim().split('\n')[0]
  throw new NoLimits(
    `TROUPE_AGENT_MAX_FILE_MB and TROUPE_AGENT_MAX_OPEN_FILES cannot be kept here: ${why}. They take prlimit (util-linux), and may not be above what the server itself has.`,
  )
}

/** A limit that an agent has reached. Its message is for the session's log. */
export interface Breach {
  limit: 'memory' | 'processes' | 'disk'
  message: string
}

const mib = (bytes: number): number => Math.ceil(bytes / MIB)

/** What a process is ended for; null: nothing. `begun`: bytes on the disk that it found. */
export function breachOf(
  limits: AgentLimits,
  use: { bytes?: number; tasks?: number; disk?: number; begun?: number },
): Breach | null {
  const { bytes = 0, tasks = 0, disk = 0, begun = 0 } = use
  if (limits.memoryBytes !== null && bytes > limits.memoryBytes)
    return {
      limit: 'memory',
      message: `it took ${mib(bytes)} MiB of memory with what it had started, and may take ${mib(limits.memoryBytes)} (agent_max_memory_mb)`,
    }
  if (limits.tasks !== null && tasks > limits.tasks)
    return {
      limit: 'processes',
      message: `it had ${tasks} processes and threads with what it had started, and may have ${limits.tasks} (agent_max_processes)`,
    }
  // In a session that is above it already an agent may remove what is too much, and is ended where it adds more.
  if (limits.diskBytes !== null && disk > Math.max(limits.diskBytes, begun))
    return {
      limit: 'disk',
      message: `the folders of its session had ${mib(disk)} MiB, and may have ${mib(limits.diskBytes)} (session_max_disk_mb)`,
    }
  return null
}
