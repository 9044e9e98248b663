import type {
  SDKAssistantMessage,
  SDKMessage,
  SDKTaskNotificationMessage,
  SDKTaskStartedMessage,
  SDKTaskUpdatedMessage,
} from '@anthropic-ai/claude-agent-sdk'
import { newId } from '@troupe/protocol/ids'
import { stopped } from '../sessions/end-threads.ts'
import { primaryThreadId } from '../sessions/threads.ts'
import type { ThreadPatch, ThreadRow } from '../store/threads.ts'
import type { Add } from './sdk-messages.ts'

/** What a message changes of the threads, for the transaction that appends its events. */
export interface ThreadChanges {
  made: ThreadRow[]
  patches: { id: string; patch: ThreadPatch }[]
}

/** Why a subagent's work ended, in the wire's words. */
const STOPS = { completed: 'end_turn', stopped: 'interrupted', failed: 'retries_exhausted' } as const

/** Characters of a subagent's report that its thread keeps; the whole is in its events. */
const SUMMARY_CHARS = 10_000

/**
 * The subagents of one agent process, by its own id of each (`task_id`, which its messages carry as `agent_id`). A
 * subagent that is taken up again, also by a later process, keeps its thread.
 */
export class ThreadTracker {
  readonly #sessionId: string
  readonly #eventOfCall: (toolUseId: string) => string | null
  readonly #byTask = new Map<string, ThreadRow>()
  readonly #byCall = new Map<string, ThreadRow>()
  readonly #touched = new Set<ThreadRow>()
  #changes: ThreadChanges = { made: [], patches: [] }
  #turnId: string | null = null
  #at = 0

  constructor(sessionId: string, eventOfCall: (toolUseId: string) => string | null) {
    this.#sessionId = sessionId
    this.#eventOfCall = eventOfCall
  }

  /**
   * A new process begins: known are the threads of earlier ones. What is terminated takes no more input, so a subagent
   * that is taken up again after that has a new thread.
   */
  know(rows: ThreadRow[]): void {
    this.#byTask.clear()
    this.#byCall.clear()
    for (const row of rows) if (row.status !== 'terminated') this.#byTask.set(row.taskId, { ...row })
  }

  beginTurn(): void {
    this.#touched.clear()
  }

  /** Subagents that worked in this turn. */
  get touched(): ThreadRow[] {
    return [...this.#touched]
  }

  /** The agent's own id of a thread. */
  taskOf(threadId: string): string | null {
    for (const row of this.#byTask.values()) if (row.id === threadId) return row.taskId
    return null
  }

  threadOfTask(taskId: string): string | null {
    return this.#byTask.get(taskId)?.id ?? null
  }

  /** From here on changes belong to this message. */
  begin(turnId: string | null, at: number): ThreadChanges {
    this.#turnId = turnId
    this.#at = at
    return (this.#changes = { made: [], patches: [] })
  }

  /** The thread that a message was said in; null: the main agent's, or one that nobody announced. */
  of(message: SDKMessage): string | null {
    return this.#row(message)?.id ?? null
  }

  #row(message: SDKMessage): ThreadRow | null {
    if (!('parent_tool_use_id' in message) || typeof message.parent_tool_use_id !== 'string') return null
    const agentId = 'agent_id' in message && typeof message.agent_id === 'string' ? message.agent_id : ''
    return this.#byTask.get(agentId) ?? this.#byCall.get(message.parent_tool_use_id) ?? null
  }

  started(message: SDKTaskStartedMessage, add: Add): void {
    if (message.subagent_type === undefined) return
    const known = this.#byTask.get(message.task_id)
    const background = message.is_backgrounded === true
    const row = known ?? this.#make(message, message.subagent_type, background)
    if (message.tool_use_id) this.#byCall.set(message.tool_use_id, row)
    if (known) {
      const patch = {
        turnId: this.#turnId,
        background,
        status: 'running',
        stopReason: null,
        runningSince: this.#at,
      } as const
      this.#patch(row, patch)
    } else {
      const body = {
        agent_name: row.agentName,
        description: row.description,
        parent_thread_id: this.#parentOf(row),
        tool_use_id: row.toolUseId,
        background,
        workflow_run_id: null,
      }
      add('session.thread_created', body, undefined, row.id)
    }
    this.#touched.add(row)
    add('session.thread_status_running', { agent_name: row.agentName }, undefined, row.id)
    if (message.prompt) {
      const content = [{ type: 'text', text: message.prompt }]
      add('agent.thread_message_received', { from_session_thread_id: this.#parentOf(row), content }, undefined, row.id)
    }
  }

  #parentOf(row: ThreadRow): string {
    return row.parentId ?? primaryThreadId(this.#sessionId)
  }

  #make(message: SDKTaskStartedMessage, agentName: string, background: boolean): ThreadRow {
    const parent = message.parent_task_id === undefined ? undefined : this.#byTask.get(message.parent_task_id)
    const row: ThreadRow = {
      id: newId('sthr'),
      sessionId: this.#sessionId,
      parentId: parent?.id ?? null,
      turnId: this.#turnId,
      toolUseId: message.tool_use_id === undefined ? null : this.#eventOfCall(message.tool_use_id),
      taskId: message.task_id,
      agentName,
      description: message.description,
      model: null,
      background,
      status: 'running',
      stopReason: null,
      summary: null,
      usage: null,
      activeMs: 0,
      runningSince: this.#at,
      createdAt: this.#at,
      updatedAt: this.#at,
      archivedAt: null,
    }
    this.#byTask.set(row.taskId, row)
    this.#changes.made.push({ ...row })
    return row
  }

  updated({ task_id, patch }: SDKTaskUpdatedMessage): void {
    const row = this.#byTask.get(task_id)
    if (row && patch.is_backgrounded !== undefined) this.#patch(row, { background: patch.is_backgrounded })
  }

  ended(message: SDKTaskNotificationMessage, add: Add): void {
    const row = this.#byTask.get(message.task_id)
    if (!row || row.status !== 'running') return
    const stopReason = { type: STOPS[message.status] }
    const summary = message.status === 'stopped' ? null : message.summary.slice(0, SUMMARY_CHARS)
    this.#patch(row, { status: 'idle', stopReason, summary, ...stopped(row, this.#at) })
    const body = { agent_name: row.agentName, stop_reason: stopReason, stop_details: null, summary }
    add('session.thread_status_idle', body, undefined, row.id)
  }

  /** Notes which model answers a thread. */
  requested(message: SDKAssistantMessage): void {
    const row = this.#row(message)
    if (row && row.model !== message.message.model) this.#patch(row, { model: message.message.model })
  }

  #patch(row: ThreadRow, patch: ThreadPatch): void {
    Object.assign(row, patch)
    this.#changes.patches.push({ id: row.id, patch })
  }
}

/** Words and thoughts of a subagent: told as events, and not among the messages that the origin API shows. */
export function isTalk(message: SDKMessage): boolean {
  return message.type === 'assistant' && message.message.content.every(({ type }) => /^(text|.*thinking)$/.test(type))
}
