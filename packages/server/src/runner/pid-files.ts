import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Breach } from './agent-limits.ts'

/**
 * One small file per agent process, written when it is spawned and removed when it has ended. What is found at boot is
 * left over from a server that died: it is killed, if it is still the process it was.
 */
export class PidFiles {
  readonly #folder: string
  readonly #live = new Map<number, string>()
  readonly #ended = new Map<number, Breach>()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** The session of each agent process that this server has started and that has not ended, by its pid. */
  get live(): ReadonlyMap<number, string> {
    return this.#live
  }

  add(pid: number, sessionId: string): void {
    this.#live.set(pid, sessionId)
    writeFileSync(join(this.#folder, String(pid)), JSON.stringify({ started: startTime(pid), sessionId }))
  }

  /** Kills a process with its group for what it took; whoever waits for its end is told. */
  end(pid: number, breach: Breach): void {
    if (!this.#live.has(pid)) return
    this.#ended.set(pid, breach)
    killGroup(pid)
  }

  /** What a process was ended for; null: nothing of that kind. */
  breachOf(pid: number): Breach | null {
    return this.#ended.get(pid) ?? null
  }

  remove(pid: number): void {
    this.#live.delete(pid)
    this.#ended.delete(pid)
    rmSync(join(this.#folder, String(pid)), { force: true })
  }

  /** Kills the process groups of agents that outlived their server. Answers how many there were. */
  reap(): number {
    let reaped = 0
    for (const name of readdirSync(this.#folder)) {
      const pid = Number(name)
      if (Number.isSafeInteger(pid) && pid > 1) {
        const noted = readNote(join(this.#folder, name))
        // A pid is given out again: only a process that began when ours did is ours.
        if (noted?.started && noted.started === startTime(pid)) {
          killGroup(pid)
          reaped++
        }
      }
      rmSync(join(this.#folder, name), { force: true })
    }
    return reaped
  }
}

/** Kills a process group; false when there is none left. */
export function killGroup(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Ticks since boot at which a process began (proc(5), field 22), or null where that cannot be read. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; the fields after it do not.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

function readNote(file: string): { started: string | null } | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { started: string | null }
  } catch {
    return null
  }
}
