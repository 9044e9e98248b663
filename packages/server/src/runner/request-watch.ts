import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'

/** What the Messages API says a request used of the prompt cache. */
export interface CacheUse {
  inputTokens: number
  readTokens: number
  createdTokens: number
  created1hTokens: number
  at: number
}

/** One conversation with the model: the main agent's, or a subagent's. */
interface Thread {
  model: string | null
  /** A request is on its way, or soon will be: no tool is at work. */
  open: boolean
  /** The answer that was told last; a subagent's blocks come one by one under it. */
  messageId: string | null
  tools: Set<string>
}

const newThread = (model: string | null): Thread => ({ model, open: true, messageId: null, tools: new Set() })

/**
 * Counts the requests to the model that one turn makes, of the main agent and of subagents, and knows which of them are
 * on their way. Where that cannot be known there is one: what a killed agent did not report must never be overlooked.
 */
export class RequestWatch {
  readonly #subagents = new Map<string, Thread>()
  #main: Thread | null = null
  #ended = new Map<string, number>()
  /** What the main agent's requests used of the cache: the first and the newest of them. */
  firstUse: CacheUse | null = null
  lastUse: CacheUse | null = null
  /** What the agent said about itself when the turn began: it makes the beginning of each request. */
  init: Extract<SDKMessage, { subtype: 'init' }> | null = null
  readonly #fallback: string

  /** `fallback` names the model until the agent does. */
  constructor(fallback: string) {
    this.#fallback = fallback
  }

  /** Takes note of a message; true when a request has ended since the one before. */
  see(message: SDKMessage, at: number): boolean {
    this.#main ??= newThread(null)
    switch (message.type) {
      case 'system':
        return this.#system(message)
      case 'stream_event':
        return message.parent_tool_use_id === null && this.#stream(message.event, at)
      case 'assistant':
        return this.#assistant(message)
      case 'user': {
        const thread =
          message.parent_tool_use_id === null ? this.#main : this.#subagents.get(message.parent_tool_use_id)
        if (!thread || typeof message.message.content === 'string') return false
        for (const block of message.message.content)
          if (block.type === 'tool_result' && thread.tools.delete(block.tool_use_id) && thread.tools.size === 0)
            thread.open = true
        return false
      }
      default:
        return false
    }
  }

  /** Requests that have ended, by model. */
  ended(): Map<string, number> {
    return new Map(this.#ended)
  }

  /** Requests that are on their way, by model. */
  open(): Map<string, number> {
    const open = this.#subagentsWhere(({ open }) => open)
    if (this.#main?.open) add(open, this.#modelOf(this.#main), 1)
    return open
  }

  /**
   * Requests that subagents may have made when the main agent has ended: one of each that was not done. What their
   * tools answered is told no more by then, so one that was last seen to call a tool may have asked again.
   */
  behindTheEnd(): Map<string, number> {
    return this.#subagentsWhere(() => true)
  }

  #subagentsWhere(holds: (thread: Thread) => boolean): Map<string, number> {
    const found = new Map<string, number>()
    for (const thread of this.#subagents.values()) if (holds(thread)) add(found, this.#modelOf(thread), 1)
    return found
  }

  /** The main agent's model. */
  get model(): string {
    return this.#main ? this.#modelOf(this.#main) : this.#fallback
  }

  #modelOf(thread: Thread): string {
    return thread.model ?? this.#main?.model ?? this.#fallback
  }

  #end(thread: Thread): boolean {
    if (!thread.open) return false
    thread.open = false
    add(this.#ended, this.#modelOf(thread), 1)
    return true
  }

  #system(message: Extract<SDKMessage, { type: 'system' }>): boolean {
    switch (message.subtype) {
      case 'init':
        this.init = message
        this.#main!.model = message.model
        return false
      case 'status':
        if (message.status === 'requesting') this.#main!.open = true
        return false
      case 'task_started':
        if (message.subagent_type && message.tool_use_id) this.#subagents.set(message.tool_use_id, newThread(null))
        return false
      case 'task_notification': {
        const thread = message.tool_use_id === undefined ? undefined : this.#subagents.get(message.tool_use_id)
        if (!thread) return false
        this.#subagents.delete(message.tool_use_id!)
        // The last answer of a subagent is told to the main agent only.
        return this.#end(thread)
      }
      default:
        return false
    }
  }

  #stream(event: Extract<SDKMessage, { type: 'stream_event' }>['event'], at: number): boolean {
    const main = this.#main!
    if (event.type === 'message_start') {
      main.open = true
      main.model = event.message.model
      const { usage } = event.message
      this.lastUse = {
        inputTokens: usage?.input_tokens ?? 0,
        readTokens: usage?.cache_read_input_tokens ?? 0,
        createdTokens: usage?.cache_creation_input_tokens ?? 0,
        created1hTokens: usage?.cache_creation?.ephemeral_1h_input_tokens ?? 0,
        at,
      }
      this.firstUse ??= this.lastUse
    }
    return event.type === 'message_stop' && this.#end(main)
  }

  #assistant(message: Extract<SDKMessage, { type: 'assistant' }>): boolean {
    const parent = message.parent_tool_use_id
    const thread = parent === null ? this.#main! : this.#subagents.get(parent)
    if (!thread) return false
    if (message.error) {
      // A request that failed is not paid for.
      thread.open = false
      return false
    }
    for (const block of message.message.content) if (block.type === 'tool_use') thread.tools.add(block.id)
    if (parent === null) return false
    thread.model = message.message.model
    const known = thread.messageId === message.message.id
    thread.messageId = message.message.id
    return !known && this.#end(thread)
  }
}

export function add(counts: Map<string, number>, model: string, count: number): void {
  counts.set(model, (counts.get(model) ?? 0) + count)
}
