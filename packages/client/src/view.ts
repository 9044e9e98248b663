import type { ContextUsage } from '@troupe/protocol/context'
import type { ContentBlock, DeltaType, SessionError } from '@troupe/protocol/event'
import type { SessionStatus, StopReason } from '@troupe/protocol/session'
import type { TurnStatus, Usage } from '@troupe/protocol/turn'

interface Entry {
  /** The event's id; where the thing is told by several events, that of the first. */
  id: string
  /** The `seq` at which it stands in the transcript. */
  seq: number
  turnId: string | null
  at: string
}

/** What a person asked. `waiting` until the agent has taken it. */
export interface UserItem extends Entry {
  kind: 'user'
  content: ContentBlock[]
  state: 'waiting' | 'taken' | 'cancelled'
}

/** What the agent wrote. */
export interface AgentItem extends Entry {
  kind: 'agent'
  text: string
}

/** The agent thought; the content is not shown. */
export interface ThinkingItem extends Entry {
  kind: 'thinking'
}

/** Whether a call that was asked about may run. */
export interface ApprovalView {
  state: 'pending' | 'allowed' | 'denied' | 'closed'
  reason: string | null
  actor: string | null
}

/** A tool call, and what came of it. */
export interface ToolItem extends Entry {
  kind: 'tool'
  name: string
  /** The MCP server the tool belongs to; null for a built-in one. */
  server: string | null
  input: unknown
  result: { content: ContentBlock[]; isError: boolean } | null
  /** Why policy refused the call; null when it did not. */
  denied: string | null
  /** Where somebody was asked: how that stands. `reason`: why it was refused or closed. Null when nobody was. */
  approval: ApprovalView | null
  endedAt: string | null
  /** The subagent that the call started; its transcript is in the view's `threads`. */
  threadId: string | null
  /** The agent's own id of the call; results of a restarted server may name only this. */
  sdkId: string | null
}

/** A request to stop. */
export interface InterruptItem extends Entry {
  kind: 'interrupt'
  mode: string
  state: 'waiting' | 'taken'
}

export interface ErrorItem extends Entry {
  kind: 'error'
  error: SessionError
}

/** A subagent was started; what it says and does is in the view's `threads`. */
export interface ThreadItem extends Entry {
  kind: 'thread'
  threadId: string
  name: string
  description: string
  summary: string | null
  endedAt: string | null
}

/** Older context was summarised. */
export interface CompactionItem extends Entry {
  kind: 'compaction'
}

/** What the agent was told besides a message, as the system. */
export interface NoteItem extends Entry {
  kind: 'note'
  text: string
  state: 'waiting' | 'taken'
}

/** What the agent left in `outputs/` in a turn. */
export interface FilesItem extends Entry {
  kind: 'files'
  files: { id: string; path: string; bytes: number }[]
  /** What of it was not kept, and the word for why. */
  failed: { path: string; problem: string }[]
}

/** A command that prepared the workdir has ended. */
export interface SetupItem extends Entry {
  kind: 'setup'
  command: string
  /** Its place among all, from 1. */
  number: number
  of: number
  /** `completed`, or how it went wrong. */
  result: string
  exitCode: number | null
  /** The end of what it said. */
  output: string
}

export type Item =
  | UserItem
  | AgentItem
  | ThinkingItem
  | ToolItem
  | InterruptItem
  | ErrorItem
  | ThreadItem
  | CompactionItem
  | NoteItem
  | FilesItem
  | SetupItem

/** A subagent's own transcript. */
export interface ThreadView {
  id: string
  /** The thread of its caller; that of the session's own agent is not in `threads`. */
  parentId: string | null
  /** The item of the call that started it. */
  toolId: string | null
  name: string
  description: string
  turnId: string | null
  status: SessionStatus
  stopReason: StopReason | null
  summary: string | null
  startedAt: string
  endedAt: string | null
  items: readonly Item[]
}

/** A subagent or a command at work behind an answer. */
export interface BackgroundTask {
  id: string
  type: string
  description: string
  threadId: string | null
}

export interface TurnView {
  id: string
  status: TurnStatus
  stopReason: StopReason | null
  error: SessionError | null
  usage: Usage | null
  startedAt: string | null
  endedAt: string | null
}

/** The message being written, as far as it has come. */
export interface PreviewView {
  /** The id that the finished message will have. */
  id: string
  type: DeltaType
  text: string
}

/** A session as its log tells it. Parts that did not change keep their identity from one view to the next. */
export interface SessionView {
  sessionId: string | null
  /** The newest event in the view; what is not newer is ignored. */
  lastSeq: number
  /** Null until an event says it: a view that begins in the middle may have to wait. */
  status: SessionStatus | null
  /** Why the last turn ended; null while there is work. */
  stopReason: StopReason | null
  lastError: SessionError | null
  /** Tokens and cost of the whole session so far. */
  usage: Usage | null
  /** How full the agent's context was behind its last answer; null until that is known. */
  context: ContextUsage | null
  title: string | null
  metadata: Readonly<Record<string, string>>
  currentTurnId: string | null
  turns: readonly TurnView[]
  /** What the session's own agent and its users said and did. */
  items: readonly Item[]
  /** Subagents by id, in order of their start. */
  threads: Readonly<Record<string, ThreadView>>
  /** What goes on behind an answer of the turn that runs. */
  background: readonly BackgroundTask[]
  preview: PreviewView | null
}

export const emptyView: SessionView = {
  sessionId: null,
  lastSeq: 0,
  status: null,
  stopReason: null,
  lastError: null,
  usage: null,
  context: null,
  title: null,
  metadata: {},
  currentTurnId: null,
  turns: [],
  items: [],
  threads: {},
  background: [],
  preview: null,
}
