import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Logger } from '../lib/logger.ts'
import { type AgentLimits, type Breach, breachOf } from './agent-limits.ts'
import type { PidFiles } from './pid-files.ts'
import { ownBytes, readProcesses, treesOf } from './process-memory.ts'

/** Between two looks at processes, in ms; longer where one takes long. */
const EVERY_MS = 2_000
/** Looks at processes for one at the disk. */
const DISK_EACH = 5
/** Looking may take this part of the time. */
const PART = 20
const DU_MS = 60_000
const MAX_ANSWER = 2 ** 20
const MAX_ABOVE = 10_000

export interface LimitWatch {
  limits: AgentLimits
  pidFiles: PidFiles
  /** The folders that are a session's own. */
  foldersOf(sessionId: string): string[]
  logger: Logger
  everyMs?: number
}

interface Disks {
  /** Bytes that processes found there, where their session was above the limit already. */
  begun: Map<number, number>
  /** Of sessions that are above it, as last seen. */
  above: Map<string, number>
}

/**
 * Ends agents that take more than they may: in memory, in processes, on the disk. What comes and goes between two looks is
 * not seen. A look reads a file for each process of the machine; one at the disk, every fifth time, each file's entry in
 * the folders of the sessions that have an agent. `signal` ends it. Never rejects.
 */
export async function watchLimits(watch: LimitWatch, signal: AbortSignal): Promise<void> {
  const { limits, pidFiles, everyMs = EVERY_MS } = watch
  const processes = limits.memoryBytes !== null || limits.tasks !== null
  if (!processes && limits.diskBytes === null) return
  const disks: Disks = { begun: new Map(), above: new Map() }
  let pause = everyMs
  for (let n = 0; !signal.aborted; n++) {
    await delay(pause, undefined, { signal }).catch(() => undefined)
    if (signal.aborted || pidFiles.live.size === 0) continue
    const started = performance.now()
    try {
      if (processes) await lookAtProcesses(watch)
      if (limits.diskBytes !== null && n % DISK_EACH === 0) await lookAtDisk(watch, disks)
    } catch (err) {
      watch.logger.warn({ err }, 'what agents take could not be looked at')
    }
    pause = Math.max(everyMs, (performance.now() - started) * PART)
  }
}

async function lookAtProcesses({ limits, pidFiles, logger }: LimitWatch): Promise<void> {
  const live = new Map(pidFiles.live)
  for (const [pid, members] of treesOf(await readProcesses(), [...live.keys()])) {
    let bytes = 0
    let tasks = 0
    for (const member of members) {
      tasks += member.tasks ?? 1
      if (limits.memoryBytes !== null) bytes += member.bytes ?? (await ownBytes(member.pid))
    }
    const breach = breachOf(limits, { bytes, tasks })
    if (breach) end(pidFiles, logger, pid, live.get(pid)!, breach)
  }
}

async function lookAtDisk({ limits, pidFiles, foldersOf, logger }: LimitWatch, disks: Disks): Promise<void> {
  for (const pid of disks.begun.keys()) if (!pidFiles.live.has(pid)) disks.begun.delete(pid)
  for (const [pid, sessionId] of new Map(pidFiles.live)) {
    if (!disks.begun.has(pid)) disks.begun.set(pid, disks.above.get(sessionId) ?? 0)
    const disk = await bytesIn(foldersOf(sessionId))
    const breach = breachOf(limits, { disk, begun: disks.begun.get(pid)! })
    if (disk <= limits.diskBytes!) disks.above.delete(sessionId)
    if (!breach) continue
    if (disks.above.size >= MAX_ABOVE) disks.above.clear()
    disks.above.set(sessionId, disk)
    end(pidFiles, logger, pid, sessionId, breach)
  }
}

function end(pidFiles: PidFiles, logger: Logger, pid: number, sessionId: string, breach: Breach): void {
  logger.warn({ session: sessionId, limit: breach.limit }, `an agent was ended: ${breach.message}`)
  pidFiles.end(pid, breach)
}

/** What folders take on the disk, by a program that follows no link; what is not there takes nothing. */
async function bytesIn(folders: string[]): Promise<number> {
  const words = ['--summarize', '--total', '--one-file-system', '--block-size=1', '--', ...folders]
  const { stdout } = await promisify(execFile)('du', words, { timeout: DU_MS, maxBuffer: MAX_ANSWER }).catch(
    // It says so where a file went while it looked, and goes on.
    (error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }),
  )
  return Number(stdout.trimEnd().split('\n').at(-1)?.split('\t')[0] ?? 0) || 0
}
