import type { SDKAssistantMessage, SDKMessage, SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionAgent } from '@troupe/protocol/agent'
import type { DeltaType, SessionError } from '@troupe/protocol/event'
import { newId } from '@troupe/protocol/ids'
import type { ApprovalRow } from '../store/approvals.ts'
import type { NewEvent } from '../store/events.ts'
import { McpWatch } from './mcp-watch.ts'
import { callName, type Evaluation, isClientTool, shownName } from './policy.ts'
import { modelError } from './session-errors.ts'
import { isTalk, type ThreadChanges, ThreadTracker } from './thread-messages.ts'

type KindOf<M> = M extends { type: 'system'; subtype: infer S extends string }
  ? `system/${S}`
  : M extends { type: infer T extends string }
    ? T
    : never
export type SdkMessageKind = KindOf<SDKMessage>

/**
 * What becomes of each kind of SDK message. `event`: told in the log (and kept whole); `turn`: decides how the turn goes
 * on (and kept whole); `preview`: shown while it lasts; `kept`: kept whole, nothing is said; `ignored`: neither.
 * An SDK release that adds a kind stops the build here.
 */
export const FATE: Record<SdkMessageKind, 'event' | 'turn' | 'preview' | 'kept' | 'ignored'> = {
  assistant: 'event',
  user: 'event',
  'system/compact_boundary': 'event',
  'system/permission_denied': 'event',
  'system/task_started': 'event',
  'system/task_notification': 'event',
  'system/mirror_error': 'event',
  'system/session_writes_lost': 'event',
  'system/local_command_output': 'event',
  result: 'turn',
  'system/api_retry': 'turn',
  stream_event: 'preview',
  'system/init': 'event',
  'system/informational': 'kept',
  'system/model_refusal_fallback': 'kept',
  'system/model_refusal_no_fallback': 'kept',
  'system/notification': 'kept',
  'system/files_persisted': 'kept',
  'system/memory_recall': 'kept',
  'system/plugin_install': 'kept',
  'system/hook_response': 'kept',
  'system/elicitation_complete': 'kept',
  'system/task_updated': 'kept',
  rate_limit_event: 'kept',
  tool_use_summary: 'kept',
  auth_status: 'kept',
  conversation_reset: 'kept',
  'system/background_tasks_changed': 'ignored',
  'system/commands_changed': 'ignored',
  'system/control_request_progress': 'ignored',
  'system/hook_progress': 'ignored',
  'system/hook_started': 'ignored',
  'system/session_state_changed': 'ignored',
  'system/status': 'ignored',
  'system/task_progress': 'ignored',
  'system/thinking_tokens': 'ignored',
  'system/worker_shutting_down': 'ignored',
  prompt_suggestion: 'ignored',
  tool_progress: 'ignored',
}

export function kindOf(message: SDKMessage): SdkMessageKind {
  return (message.type === 'system' ? `system/${message.subtype}` : message.type) as SdkMessageKind
}

/** What of a message being written readers may see. */
export type PreviewChange =
  | { type: 'start'; eventId: string; kind: DeltaType }
  | { type: 'text'; eventId: string; text: string }
  | { type: 'stop' }

/** A call that policy says to ask about, with the event that tells it. */
export interface Ask {
  eventId: string
  toolUseId: string
  threadId: string | null
  name: string
  input: unknown
  evaluation: Evaluation
}

export interface Translated {
  events: NewEvent[]
  asks: Ask[]
  /** Whether the message itself is kept whole, for the origin API's `messages`, exports and later event kinds. */
  keep: boolean
  preview: PreviewChange | null
  /** What became of subagents. */
  threads: ThreadChanges
  /** The agent reported that a request to the model failed; the turn may yet be saved by a retry. */
  modelError: SessionError | null
}

const MCP_NAME = /^mcp__(.+?)__(.+)$/

/** Which family of events tells a call. */
type CallKind = 'tool' | 'mcp' | 'custom'

const kindOfCall = (name: string): CallKind =>
  isClientTool(name) || name === 'AskUserQuestion' ? 'custom' : MCP_NAME.test(name) ? 'mcp' : 'tool'

interface Writing {
  blocks: { eventId: string; kind: DeltaType }[]
  spanId: string
  usage: { input: number; output: number; cacheRead: number; cacheCreation: number }
}

/**
 * Turns the messages of one agent process into events. Stateful: it remembers which event a tool call became, and the
 * ids given to blocks while they were being written, so that a preview and its event have one id.
 */
export class Translator {
  readonly #toolUses = new Map<string, { eventId: string; kind: CallKind }>()
  readonly #mcp: McpWatch
  readonly #evaluate: (name: string, input: unknown) => Evaluation
  /** The subagents of this process. */
  readonly threads: ThreadTracker
  /** Calls that were refused, by the agent's id of the call, until their result tells them. */
  readonly #denied = new Map<string, { name: string; reason: string }>()
  readonly #inFlight = new Set<string>()
  #writing: Writing | null = null
  #open: { eventId: string; kind: DeltaType } | null = null

  /** `evaluate`: what the policy says of a call. */
  constructor(
    sessionId: string,
    evaluate: (name: string, input: unknown) => Evaluation,
    agent: Pick<SessionAgent, 'mcp_servers'> = { mcp_servers: [] },
  ) {
    this.#mcp = new McpWatch(agent)
    this.#evaluate = evaluate
    this.threads = new ThreadTracker(sessionId, (toolUseId) => this.#toolUses.get(toolUseId)?.eventId ?? null)
  }

  /** Remembers a call that an earlier process made, and the event that told it. */
  knows(call: Pick<ApprovalRow, 'id' | 'sdkToolUseId' | 'kind' | 'toolName'>): void {
    this.#toolUses.set(call.sdkToolUseId, { eventId: call.id, kind: kindOfCall(callName(call)) })
    this.#inFlight.add(call.sdkToolUseId)
  }

  /** Forgets what an earlier turn left unfinished. */
  beginTurn(): void {
    this.#writing = null
    this.#inFlight.clear()
    this.threads.beginTurn()
  }

  /** Tools called and not answered yet: while there are any, silence is not a stalled model. */
  get toolsInFlight(): number {
    return this.#inFlight.size
  }

  /** Notes that a call was refused by our policy; it is told right before the call's result. */
  denied(toolUseId: string, name: string, reason: string): void {
    this.#denied.set(toolUseId, { name, reason })
  }

  translate(message: SDKMessage, turnId: string | null, at: number): Translated {
    const fate = FATE[kindOf(message)] ?? 'kept'
    const result: Translated = {
      events: [],
      asks: [],
      keep: fate === 'event' || fate === 'turn' || fate === 'kept',
      preview: null,
      threads: this.threads.begin(turnId, at),
      modelError: null,
    }
    const inside = this.threads.of(message)
    if (inside && isTalk(message)) result.keep = false
    const add = (type: string, body: Record<string, unknown>, id = newId('sevt'), threadId = inside) =>
      result.events.push({ id, type, turnId, threadId, processedAt: at, body })
    switch (message.type) {
      case 'assistant':
        this.#assistant(message, add, result)
        break
      case 'user':
        if (!('isReplay' in message)) this.#toolResults(message, add)
        break
      case 'stream_event':
        if (message.parent_tool_use_id === null) this.#stream(message.event, add, result)
        break
      case 'system':
        this.#system(message, add)
        break
      default:
        break
    }
    return result
  }

  #assistant(message: SDKAssistantMessage, add: Add, result: Translated): void {
    if (message.error && message.parent_tool_use_id !== null) {
      // The subagent's caller is told; whether the turn fails is for the main agent to say.
      return
    }
    if (message.error) {
      // The agent words a failed request as if the model had said it; it is an error, not a message.
      result.modelError = modelError(message.error, textOf(message.message.content))
      return
    }
    // Nobody could tell its words from the main agent's.
    const inside = this.threads.of(message)
    if (message.parent_tool_use_id !== null && !inside) return
    this.threads.requested(message)
    const claim = (kind: DeltaType) => (inside ? newId('sevt') : this.#claim(kind))
    for (const block of message.message.content) {
      if (block.type === 'text') {
        if (block.text !== '')
          add('agent.message', { content: [{ type: 'text', text: block.text }] }, claim('agent.message'))
      } else if (block.type === 'thinking' || block.type === 'redacted_thinking') {
        add('agent.thinking', {}, claim('agent.thinking'))
      } else if (block.type === 'tool_use') {
        this.#toolUse(block, inside, add, result)
      }
    }
  }

  #toolUse(block: { id: string; name: string; input: unknown }, threadId: string | null, add: Add, result: Translated) {
    const { id, name, input } = block
    const eventId = newId('sevt')
    const evaluation = this.#evaluate(name, input)
    const { permission } = evaluation
    const kind = kindOfCall(name)
    // A call that the client itself answers is not judged for it: its runner would wait for a confirmation.
    const judged = kind === 'custom' && permission !== 'deny' ? {} : { evaluated_permission: permission }
    const common = { input, ...judged, sdk_tool_use_id: id }
    const mcp = MCP_NAME.exec(name)
    this.#toolUses.set(id, { eventId, kind })
    this.#inFlight.add(id)
    if (kind === 'custom') add('agent.custom_tool_use', { name: shownName(name), ...common }, eventId, threadId)
    else if (mcp) add('agent.mcp_tool_use', { mcp_server_name: mcp[1], name: mcp[2], ...common }, eventId, threadId)
    else add('agent.tool_use', { name, ...common }, eventId, threadId)
    if (permission === 'ask') result.asks.push({ eventId, toolUseId: id, threadId, name, input, evaluation })
  }

  #toolResults(message: SDKUserMessage, add: Add): void {
    if (typeof message.message.content === 'string') return
    if (message.parent_tool_use_id !== null && !this.threads.of(message)) return
    for (const block of message.message.content) {
      if (block.type !== 'tool_result') continue
      const use = this.#toolUses.get(block.tool_use_id)
      this.#inFlight.delete(block.tool_use_id)
      const denied = this.#denied.get(block.tool_use_id)
      if (denied) {
        this.#denied.delete(block.tool_use_id)
        add('agent.permission_denied', { tool_use_id: use?.eventId ?? block.tool_use_id, ...denied })
      }
      const body = { content: resultContent(block.content), is_error: block.is_error ?? false }
      // What a client's tool gave back came from the client, and is in the log as it came.
      if (use?.kind === 'custom') continue
      if (use?.kind === 'mcp') add('agent.mcp_tool_result', { mcp_tool_use_id: use.eventId, ...body })
      else add('agent.tool_result', { tool_use_id: use?.eventId ?? block.tool_use_id, ...body })
    }
  }

  #stream(event: StreamEvent, add: Add, result: Translated): void {
    switch (event.type) {
      case 'message_start': {
        const spanId = newId('sevt')
        const usage = event.message.usage
        this.#writing = {
          blocks: [],
          spanId,
          usage: {
            input: usage?.input_tokens ?? 0,
            output: usage?.output_tokens ?? 0,
            cacheRead: usage?.cache_read_input_tokens ?? 0,
            cacheCreation: usage?.cache_creation_input_tokens ?? 0,
          },
        }
        add('span.model_request_start', { model: event.message.model }, spanId)
        break
      }
      case 'content_block_start': {
        const kind =
          event.content_block.type === 'text'
            ? 'agent.message'
            : event.content_block.type === 'thinking'
              ? 'agent.thinking'
              : null
        if (!kind || !this.#writing) break
        this.#open = { eventId: newId('sevt'), kind }
        this.#writing.blocks.push(this.#open)
        result.preview = { type: 'start', ...this.#open }
        break
      }
      case 'content_block_delta':
        if (this.#open?.kind === 'agent.message' && event.delta.type === 'text_delta')
          result.preview = { type: 'text', eventId: this.#open.eventId, text: event.delta.text }
        break
      case 'content_block_stop':
        this.#open = null
        break
      case 'message_delta':
        if (this.#writing) this.#writing.usage.output = event.usage?.output_tokens ?? this.#writing.usage.output
        break
      case 'message_stop':
        this.#endRequest(add, false)
        break
    }
  }

  /** Ends a model request that was cut off, if one is open. */
  cutRequest(turnId: string | null, at: number): NewEvent[] {
    const events: NewEvent[] = []
    this.#endRequest(
      (type, body) => events.push({ id: newId('sevt'), type, turnId, threadId: null, processedAt: at, body }),
      true,
    )
    return events
  }

  #endRequest(add: Add, isError: boolean): void {
    const writing = this.#writing
    if (!writing) return
    this.#writing = null
    this.#open = null
    const { input, output, cacheRead, cacheCreation } = writing.usage
    add('span.model_request_end', {
      model_request_start_id: writing.spanId,
      is_error: isError,
      model_usage: {
        input_tokens: input,
        output_tokens: output,
        cache_read_input_tokens: cacheRead,
        cache_creation_input_tokens: cacheCreation,
      },
    })
  }

  /** The id under which a finished block was previewed, or a new one. */
  #claim(kind: DeltaType): string {
    const blocks = this.#writing?.blocks
    const index = blocks?.findIndex((block) => block.kind === kind) ?? -1
    return index < 0 ? newId('sevt') : blocks!.splice(index, 1)[0]!.eventId
  }

  #system(message: Extract<SDKMessage, { type: 'system' }>, add: Add): void {
    switch (message.subtype) {
      case 'init':
        for (const error of this.#mcp.failures(message.mcp_servers)) add('session.error', { error })
        break
      case 'compact_boundary':
        add('agent.thread_context_compacted', {
          trigger: message.compact_metadata.trigger,
          pre_tokens: message.compact_metadata.pre_tokens,
        })
        break
      case 'permission_denied':
        this.denied(message.tool_use_id, message.tool_name, message.message)
        break
      case 'task_started':
        this.threads.started(message, add)
        break
      case 'task_updated':
        this.threads.updated(message)
        break
      case 'task_notification':
        this.threads.ended(message, add)
        break
      case 'local_command_output':
        add('agent.message', { content: [{ type: 'text', text: message.content }] })
        break
      case 'mirror_error':
      case 'session_writes_lost':
        add('session.error', {
          error: {
            type: 'unknown_error',
            code: 'transcript_write_error',
            message: `The agent could not write its transcript: ${message.subtype === 'mirror_error' ? message.error : message.error_code}. A later turn may not remember this one.`,
            retry_status: { type: 'terminal' },
          } satisfies SessionError,
        })
        break
      default:
        break
    }
  }
}

export type Add = (type: string, body: Record<string, unknown>, id?: string, threadId?: string | null) => void
type StreamEvent = Extract<SDKMessage, { type: 'stream_event' }>['event']

function textOf(content: readonly { type: string }[]): string {
  return content.flatMap((block) => ('text' in block && typeof block.text === 'string' ? [block.text] : [])).join('\n')
}

/** Blocks the wire knows as a tool's result; text is what most tools give. */
function resultContent(content: unknown): unknown[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return []
  return content.map((block: { type?: string }) =>
    block.type === 'text' || block.type === 'image' || block.type === 'document' || block.type === 'search_result'
      ? block
      : { type: 'text', text: JSON.stringify(block) },
  )
}
