import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import type { AgentProcess } from './agent-process.ts'

/** Milliseconds that what was told to stop, or an agent that has nothing left to do, is given before it is killed. */
const GRACE_MS = 5_000

interface Task {
  id: string
  type: string
  description: string
  agent_name: string | null
}

/** What `session.background_work` says. */
export interface BackgroundNews {
  /** All that goes on now; empty: it has ended. */
  tasks: (Task & { session_thread_id: string | null })[]
  /** Seconds after which what was still going on has been stopped; null while nothing was. */
  stopped_after_seconds: number | null
}

/**
 * Work of a turn that goes on behind its answer: subagents and commands that the agent put into the background. The
 * turn stays open until they have ended and the agent has answered to that, which is a result of its own; `ceilingMs`
 * after the first answer what is left is stopped. Only for agents that say when they are idle (`session_state_changed`):
 * of others a turn ends with its result.
 */
export class BackgroundWork {
  readonly #ceilingMs: number
  readonly #threadOf: (taskId: string) => string | null
  #reports = false
  #tasks: Task[] = []
  #agent: AgentProcess | null = null
  #answered = false
  #expired = false
  #untold = false
  #ceiling: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined

  constructor(ceilingMs: number, threadOf: (taskId: string) => string | null) {
    this.#ceilingMs = ceilingMs
    this.#threadOf = threadOf
  }

  beginTurn(agent: AgentProcess): void {
    if (this.#agent !== agent) this.#reports = false
    this.#agent = agent
    this.#tasks = []
    this.#answered = this.#expired = this.#untold = false
  }

  /** Must be called when the turn is over: nothing is waited for any more. */
  endTurn(): void {
    clearTimeout(this.#ceiling)
    clearTimeout(this.#grace)
    this.#ceiling = this.#grace = undefined
  }

  /** There is an answer, and nothing to do for the model until the work behind it has ended. */
  get waiting(): boolean {
    return this.#answered && this.#tasks.length > 0
  }

  /** Something is still going on. */
  get left(): boolean {
    return this.#tasks.length > 0
  }

  /** Work goes on that was not told to stop, or the model has not answered to its end yet. */
  get unfinished(): boolean {
    return !this.#expired && (this.#tasks.length > 0 || !this.#answered)
  }

  /** Takes note of a message; answers what is to be told about the work, where that has changed. */
  observe(message: SDKMessage): BackgroundNews | null {
    if (this.#answered && this.#tasks.length === 0) this.#settle()
    if (message.type !== 'system') return this.#news(false)
    if (message.subtype === 'session_state_changed') this.#reports = true
    // The model answers to the end of some work; silence is again for others to judge.
    const goesOn = message.subtype === 'session_state_changed' && message.state === 'running'
    if (goesOn || message.subtype === 'init') this.#answered = false
    if (message.subtype !== 'background_tasks_changed') return this.#news(false)
    this.#tasks = message.tasks
      .filter((task) => task.ambient !== true)
      .map((task) => ({
        id: task.task_id,
        type: task.task_type,
        description: task.description,
        agent_name: task.subagent_type ?? null,
      }))
    if (this.#answered && this.#tasks.length === 0) this.#settle()
    return this.#news(this.#answered || this.#ceiling !== undefined)
  }

  /** Takes note of a result. True: the turn goes on, until `over`. */
  answered(): boolean {
    if (!this.#reports) return false
    this.#answered = true
    if (this.#tasks.length === 0) this.#settle()
    else if (this.#expired) this.#stop()
    else this.#ceiling ??= setTimeout(() => this.#stop(), this.#ceilingMs)
    return true
  }

  /** What to tell when the turn stays open for it. */
  news(): BackgroundNews | null {
    return this.#news(this.#tasks.length > 0)
  }

  /** Whether this message ends the turn: the agent is idle, and nothing goes on. */
  over(message: SDKMessage): boolean {
    const idle = message.type === 'system' && message.subtype === 'session_state_changed' && message.state === 'idle'
    return idle && this.#answered && this.#tasks.length === 0
  }

  #settle(): void {
    clearTimeout(this.#grace)
    this.#grace = setTimeout(() => {
      const done = this.#answered && this.#tasks.length === 0
      if (done || (this.#expired && this.#tasks.length > 0)) this.#agent?.kill()
    }, GRACE_MS)
  }

  #stop(): void {
    this.#expired = this.#untold = true
    for (const { id } of this.#tasks) void this.#agent?.stopTask(id)
    this.#settle()
  }

  #news(changed: boolean): BackgroundNews | null {
    if (!changed && !this.#untold) return null
    this.#untold = false
    // A subagent is in the list before it is announced, so its thread is asked for only now.
    const tasks = this.#tasks.map((task) => ({ ...task, session_thread_id: this.#threadOf(task.id) }))
    return { tasks, stopped_after_seconds: this.#expired ? Math.round(this.#ceilingMs / 1000) : null }
  }
}
