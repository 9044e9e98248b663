import { z } from 'zod'
import { UserCustomToolResult, UserToolConfirmation } from './approval.ts'

/** Largest prompt, in bytes of UTF-8, that one input may carry. */
export const MAX_PROMPT_BYTES = 1024 * 1024

const TextBlock = z.object({ type: z.literal('text'), text: z.string() })
const Base64Source = z.object({ type: z.literal('base64'), media_type: z.string().max(128), data: z.string() })
const UrlSource = z.object({ type: z.literal('url'), url: z.string().max(8192) })
const ImageBlock = z.object({ type: z.literal('image'), source: z.union([Base64Source, UrlSource]) })
const DocumentBlock = z.object({
  type: z.literal('document'),
  source: z.union([
    Base64Source,
    UrlSource,
    z.object({ type: z.literal('text'), media_type: z.literal('text/plain'), data: z.string() }),
  ]),
  title: z.string().max(1024).nullish(),
  context: z.string().nullish(),
})
export const ContentBlock = z.union([TextBlock, ImageBlock, DocumentBlock])
export type ContentBlock = z.infer<typeof ContentBlock>

const saysSomething = (content: ContentBlock[]) =>
  content.some((block) => block.type !== 'text' || block.text.trim() !== '')

/** Input for the agent. A plain string is taken for one text block. */
export const UserMessage = z.object({
  type: z.literal('user.message'),
  content: z
    .union([z.string().transform((text): ContentBlock[] => [{ type: 'text', text }]), z.array(ContentBlock).max(256)])
    .refine(saysSomething, { message: 'content must hold something other than white space' }),
  client_id: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Natural key: the same one twice in a session is one input'),
  delivery: z
    .enum(['queue', 'steer', 'interrupt', 'reject'])
    .optional()
    .describe(
      'During a run: `queue` (default) a turn of its own afterwards; `steer` into the running turn at its next tool boundary; `interrupt` stops the running turn and goes first; `reject` 409',
    ),
})

export const UserInterrupt = z.object({
  type: z.literal('user.interrupt'),
  session_thread_id: z.string().max(64).nullish().describe('Stops this subagent alone; the turn goes on'),
  mode: z
    .enum(['graceful', 'now'])
    .optional()
    .describe('`now` kills the agent at once; `graceful` lets it end its turn'),
  grace_ms: z
    .number()
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .describe('Milliseconds until a graceful stop becomes a kill'),
})

/** What the agent is told besides a message, by whoever runs it and not by whoever writes. */
export const SystemMessage = z.object({
  type: z.literal('system.message'),
  content: z
    .array(TextBlock)
    .min(1)
    .max(256)
    .refine(saysSomething, { message: 'content must hold something other than white space' }),
})

/** Inputs of the hosted API whose issue has not come yet; refused with `unsupported_feature`. */
const LaterInput = z.looseObject({
  type: z.enum(['user.tool_result', 'user.define_outcome']),
})

export const InputEvent = z.discriminatedUnion('type', [
  UserMessage,
  UserInterrupt,
  UserToolConfirmation,
  UserCustomToolResult,
  SystemMessage,
  LaterInput,
])
export type InputEvent = z.infer<typeof InputEvent>

export const SendEvents = z.object({ events: z.array(InputEvent).min(1).max(50) })

/** How an `agent.tool_use` was judged before it ran. */
export const EvaluatedPermission = z.enum(['allow', 'ask', 'deny'])

const RetryStatus = z.object({ type: z.enum(['retrying', 'exhausted', 'terminal']) })

/** An error inside a session: an event and `last_error`, never an HTTP status. The `type` is an open union. */
export const SessionError = z
  .looseObject({
    type: z
      .string()
      .describe('The hosted API knows `model_overloaded_error`, `model_rate_limited_error`, `billing_error`, … '),
    message: z.string(),
    code: z.string().describe('Ours, e.g. `server_restarted`, `process_crashed`, `disk_full`'),
    retry_status: RetryStatus,
  })
  .meta({ id: 'SessionError' })
export type SessionError = z.infer<typeof SessionError>

/** Fields of every event, with the payload beside them at the top level. */
export const SessionEvent = z
  .looseObject({
    id: z.string(),
    seq: z.number().int().positive().describe("Number in the session's log: 1, 2, 3 … without gaps"),
    type: z.string(),
    session_id: z.string(),
    turn_id: z.string().nullable(),
    session_thread_id: z.string().nullable(),
    created_at: z.string(),
    processed_at: z.string().nullable().describe('When the agent took the input; for all other events, `created_at`'),
  })
  .meta({ id: 'SessionEvent' })
export type SessionEvent = z.infer<typeof SessionEvent>

/** Every type this server appends today, with what it says. Clients must tolerate types they do not know. */
export const EVENT_TYPES = {
  'user.message': 'input for the agent; appended again, with the same id, when the agent takes it',
  'system.message':
    'what the agent is told besides the message before it; without `accompanies` by the server itself: the budget was raised',
  'user.interrupt': 'a request to stop the running turn',
  'user.tool_confirmation': 'a verdict on a call; appended again when the agent has it',
  'user.custom_tool_result':
    "what a client's tool gave back, or the answer to a question; appended again when the agent has it",
  'agent.message': 'text the agent wrote',
  'agent.thinking': 'the agent thought; the content is not shown',
  'agent.tool_use': 'the agent calls a tool',
  'agent.tool_result': 'what the tool gave back',
  'agent.mcp_tool_use': 'the agent calls a tool of an MCP server',
  'agent.mcp_tool_result': 'what the MCP tool gave back',
  'agent.custom_tool_use': "the agent calls a client's tool, or asks a question (`AskUserQuestion`)",
  'agent.permission_denied': 'a tool call was refused by policy',
  'agent.thread_message_received': 'what a subagent was asked; in its own thread',
  'agent.thread_context_compacted': 'older context was summarised',
  'session.context_nearly_full': 'the context has come to 80 %: time to compact it, or it is done at the limit',
  'session.created': 'the session exists',
  'session.files_persisted': 'what the agent left in `outputs/` in a turn, and what of it was left out',
  'session.forked': 'the session goes on from another one',
  'session.rewound': 'conversation, files or both were set back',
  'session.updated': 'title, metadata, resources or the place in the queue changed',
  'session.setup_started': 'the commands that prepare the workdir begin to run, before the first turn',
  'session.setup_command': 'one of those commands has ended: how, and the end of what it said',
  'session.worktree_created': 'the workdir is a worktree of its own, on a branch of its own',
  'session.queued': 'a turn waits for its slot',
  'session.status_running': 'the session has work',
  'session.status_rescheduled': 'a passing failure; the turn is tried again',
  'session.status_idle': 'the session waits for input, with the stop reason of its last turn',
  'session.status_terminated': 'the session is archived',
  'session.error': 'an error inside the session',
  'session.usage': 'tokens and cost so far; before every idle',
  'session.approval_closed': 'what was asked needs no answer any more: its deadline passed or its turn ended',
  'session.input_changed': 'a waiting input was edited, moved, cancelled, or became a turn of its own',
  'session.thread_created': 'a subagent exists',
  'session.thread_status_running': 'a subagent works',
  'session.thread_status_idle': 'a subagent ended its work, with the stop reason',
  'session.thread_status_terminated': 'a subagent was cut off with its turn, or archived',
  'session.background_work':
    'work that goes on behind an answer of the turn: each time the whole list; empty: all of it has ended',
  'span.model_request_start': 'a request to the model began',
  'span.model_request_end': 'a request to the model ended, with its usage',
  'turn.started': 'the agent took the input of a turn',
  'turn.resumed': 'a turn goes on: its approval was answered, or a restart had cut it',
  'turn.completed': 'a turn ended as it should',
  'turn.failed': 'a turn ended with an error',
  'turn.cancelled': 'a turn was stopped on purpose',
} as const
export type EventType = keyof typeof EVENT_TYPES

/** Stream only, never stored, opt-in by `event_deltas[]`. */
export const DELTA_TYPES = ['agent.message', 'agent.thinking'] as const
export type DeltaType = (typeof DELTA_TYPES)[number]

export interface EventStart {
  type: 'event_start'
  event: { type: DeltaType; id: string }
}
export interface EventDelta {
  type: 'event_delta'
  event_id: string
  delta: { type: 'content_delta'; index: number; content: { type: 'text'; text: string } }
}
export type PreviewFrame = EventStart | EventDelta

/** What a stream carries. */
export type StreamFrame = SessionEvent | PreviewFrame
