import type { SpawnedProcess, SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import { type ChildProcess, spawn } from 'node:child_process'
import type { Server } from 'node:net'
import type { Breach } from './agent-limits.ts'
import type { Containment } from './containment.ts'
import { killGroup, type PidFiles } from './pid-files.ts'

/** How a process ended. `error` is set when it could not be started. */
export interface AgentExit {
  code: number | null
  signal: NodeJS.Signals | null
  error: Error | null
  /** The last lines it wrote to stderr. */
  stderr: string
  /** The limit that it was ended for. */
  breach?: Breach | null
}

export interface AgentChild {
  readonly process: SpawnedProcess
  /** Resolves once when the process has ended and its group has been swept. */
  readonly exited: Promise<AgentExit>
  /** Signals the whole group. */
  signal(signal: NodeJS.Signals): void
}

const STDERR_TAIL = 4_096
/** Milliseconds that what was written before the end may take to arrive. */
const PIPE_PATIENCE_MS = 500

/**
 * Starts an agent process in a group of its own, contained, and notes its pid. Never throws: a failure is an exit. `handed`:
 * gets the listening socket that is handed over on fd 3 before the agent begins; null: there is none, and no such channel.
 */
export function spawnAgent(
  options: SpawnOptions,
  sessionId: string,
  containment: Containment,
  pidFiles: PidFiles,
  handed: ((socket: Server) => void) | null = null,
): AgentChild {
  const { command, args, watchdog } = containment.wrap(options.command, options.args, sessionId)
  const child: ChildProcess = spawn(command, args, {
    cwd: options.cwd,
    env: options.env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', ...(handed ? (['ipc'] as const) : watchdog ? (['pipe'] as const) : [])],
  })
  child.once('message', (_told, socket) => {
    if (child.connected) child.disconnect()
    handed?.(socket as Server)
  })
  const { pid } = child
  if (pid !== undefined) pidFiles.add(pid, sessionId)
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_TAIL)
  })
  // A write to a process that has just died is not news; its exit is.
  child.stdin?.on('error', () => {})
  const { promise: exited, resolve } = Promise.withResolvers<AgentExit>()
  const end = (code: number | null, signal: NodeJS.Signals | null, error: Error | null) => {
    const breach = pid === undefined ? null : pidFiles.breachOf(pid)
    if (pid !== undefined) {
      // Tools it started may outlive it, after a polite exit too.
      killGroup(pid)
      pidFiles.remove(pid)
    }
    releasePipes(child)
    resolve({ code, signal, error, stderr: stderr.trim(), breach })
  }
  child.once('error', (error) => {
    if (pid === undefined) end(null, null, error)
  })
  // 'close' would wait for tools that inherited stdout; the process itself is what counts.
  child.once('exit', (code, signal) => setImmediate(end, code, signal, null))
  return {
    process: child as unknown as SpawnedProcess,
    exited,
    signal: (signal) => {
      if (pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(pid, signal)
    },
  }
}

/** Lets go of a dead process's pipes, even where something it started still holds the far end. */
function releasePipes(child: ChildProcess): void {
  child.stdin?.destroy()
  const late = setTimeout(() => {
    // Readers wait for the end, which `destroy` alone does not announce.
    if (child.stdout && !child.stdout.readableEnded) child.stdout.emit('end')
    for (const stream of child.stdio) stream?.destroy()
  }, PIPE_PATIENCE_MS)
  child.once('close', () => {
    clearTimeout(late)
    child.stdio[3]?.destroy()
  })
}
