import type { ContextUsage } from '@troupe/protocol/context'
import type { EventType, SessionError, SessionEvent } from '@troupe/protocol/event'
import type { SessionStatus } from '@troupe/protocol/session'
import type { Usage } from '@troupe/protocol/turn'
import { blocksOf, textOf } from './content.ts'
import { type Change, count, type Delta, entry, parts, patch, type Patched, stopReason, words } from './event-parts.ts'
import { endThread, setThread, startThread, tasksOf } from './thread-changes.ts'
import type { SessionView, ToolItem, TurnView } from './view.ts'

/** What each type of event changes; null: nothing that the view shows. A type of a later server is not here. */
export const CHANGES: Record<EventType, Change | null> = {
  'user.message': (view, event) => {
    const fields = { state: taken(event), content: blocksOf(event.content) }
    const again = patch(view, (item) => item.kind === 'user' && item.id === event.id, fields)
    if (again) return { patched: again }
    const turn = event.turn_id === null ? {} : withTurn(view, event.turn_id, {})
    return { ...turn, added: { kind: 'user', ...entry(event), content: blocksOf(event.content), state: taken(event) } }
  },
  'system.message': (view, event) => {
    const again = patch(view, (item) => item.kind === 'note' && item.id === event.id, { state: taken(event) })
    if (again) return { patched: again }
    return { added: { kind: 'note', ...entry(event), text: textOf(blocksOf(event.content)), state: taken(event) } }
  },
  'user.interrupt': (view, event) => {
    const again = patch(view, (item) => item.kind === 'interrupt' && item.id === event.id, { state: taken(event) })
    if (again) return { patched: again }
    return { added: { kind: 'interrupt', ...entry(event), mode: words(event.mode), state: taken(event) } }
  },
  'user.tool_confirmation': (view, event) => answered(view, event, event.tool_use_id),
  'user.custom_tool_result': (view, event) => answered(view, event, event.custom_tool_use_id),
  'agent.message': (_view, event) => ({
    added: { kind: 'agent', ...entry(event), text: textOf(blocksOf(event.content)) },
  }),
  'agent.thinking': (_view, event) => ({ added: { kind: 'thinking', ...entry(event) } }),
  'agent.tool_use': addTool,
  'agent.mcp_tool_use': addTool,
  'agent.custom_tool_use': addTool,
  'agent.tool_result': endTool('tool_use_id'),
  'agent.mcp_tool_result': endTool('mcp_tool_use_id'),
  'agent.permission_denied': (view, event) => ({
    patched: patchTool(view, event.tool_use_id, { denied: words(event.reason) }),
  }),
  'agent.thread_message_received': (_view, event) => ({
    added: { kind: 'user', ...entry(event), content: blocksOf(event.content), state: 'taken' },
  }),
  'agent.thread_context_compacted': (_view, event) => ({ added: { kind: 'compaction', ...entry(event) } }),
  'session.approval_closed': (view, event) => ({
    patched: patchApproval(view, event.tool_use_id, { state: 'closed', reason: words(event.reason) }),
  }),
  'session.input_changed': (view, event) => {
    const change = words(event.change)
    if (change === 'cancelled')
      return {
        patched: patch(view, (item) => item.kind === 'user' && item.id === event.event_id, { state: 'cancelled' }),
      }
    return event.turn_id === null ? {} : withTurn(view, event.turn_id, {})
  },
  'session.context_nearly_full': null,
  'session.created': (view) => ({ status: view.status ?? 'idle' }),
  'session.updated': (_view, event) => ({
    ...('title' in event && { title: event.title as string | null }),
    ...('metadata' in event && { metadata: event.metadata as Record<string, string> }),
  }),
  'session.files_persisted': (_view, event) => ({
    added: {
      kind: 'files',
      ...entry(event),
      files: parts(event.files).map((file) => ({
        id: words(file.file_id),
        path: words(file.path) || words(file.filename),
        bytes: count(file.size_bytes),
      })),
      failed: parts(event.failed).map((file) => ({ path: words(file.path), problem: words(file.error) })),
    },
  }),
  'session.setup_started': null,
  'session.worktree_created': null,
  'session.setup_command': (_view, event) => ({
    added: {
      kind: 'setup',
      ...entry(event),
      command: words(event.command),
      number: count(event.number),
      of: count(event.of),
      result: words(event.result),
      exitCode: typeof event.exit_code === 'number' ? event.exit_code : null,
      output: words(event.output),
    },
  }),
  'session.forked': null,
  'session.rewound': null,
  'session.queued': null,
  'session.status_running': () => working('running'),
  'session.status_rescheduled': () => working('rescheduling'),
  'session.status_idle': (_view, event) => ({
    status: 'idle',
    stopReason: stopReason(event),
    currentTurnId: null,
    background: [],
  }),
  'session.status_terminated': () => ({ status: 'terminated', currentTurnId: null }),
  'session.error': (_view, event) => {
    const error = errorOf(event)
    if (!error) return {}
    const lasting = error.retry_status?.type !== 'retrying'
    return { added: { kind: 'error', ...entry(event), error }, ...(lasting && { lastError: error }) }
  },
  'session.usage': (_view, event) => ({ usage: event.usage as Usage }),
  'session.thread_created': startThread,
  'session.thread_status_running': (view, event) =>
    setThread(view, event, { status: 'running', stopReason: null, endedAt: null }),
  'session.thread_status_idle': endThread('idle'),
  'session.thread_status_terminated': endThread('terminated'),
  'session.background_work': (_view, event) => ({ background: tasksOf(event.tasks) }),
  'span.model_request_start': null,
  'span.model_request_end': null,
  'turn.started': (view, event) => ({
    ...withTurn(view, event.turn_id, { status: 'in_progress', startedAt: event.created_at }),
    currentTurnId: event.turn_id,
    lastError: null,
  }),
  'turn.resumed': (view, event) => ({
    ...withTurn(view, event.turn_id, { status: 'in_progress' }),
    currentTurnId: event.turn_id,
  }),
  'turn.completed': endTurn('completed'),
  'turn.failed': endTurn('failed'),
  'turn.cancelled': endTurn('cancelled'),
}

/** A client's tool and a question always wait for their answer; other calls where policy asks. */
const isAsked = ({ type, evaluated_permission }: SessionEvent): boolean =>
  evaluated_permission === 'ask' || (type === 'agent.custom_tool_use' && evaluated_permission !== 'deny')

function addTool(_view: SessionView, event: SessionEvent): Delta {
  return {
    added: {
      kind: 'tool',
      ...entry(event),
      name: words(event.name),
      server: typeof event.mcp_server_name === 'string' ? event.mcp_server_name : null,
      input: event.input,
      result: null,
      denied: null,
      approval: isAsked(event) ? { state: 'pending', reason: null, actor: null } : null,
      endedAt: null,
      threadId: null,
      sdkId: typeof event.sdk_tool_use_id === 'string' ? event.sdk_tool_use_id : null,
    },
  }
}

function endTool(reference: string): Change {
  return (view, event) => ({
    patched: patchTool(view, event[reference], {
      result: { content: blocksOf(event.content), isError: event.is_error === true },
      endedAt: event.created_at,
    }),
  })
}

function endTurn(status: 'completed' | 'failed' | 'cancelled'): Change {
  return (view, event) => ({
    ...withTurn(view, event.turn_id, {
      status,
      stopReason: stopReason(event),
      error: errorOf(event),
      usage: (event.usage as Usage | null) ?? null,
      endedAt: event.created_at,
    }),
    ...(event.context ? { context: event.context as ContextUsage } : {}),
    ...(view.currentTurnId === event.turn_id && { currentTurnId: null, background: [] }),
  })
}

/** The first form of an answer decides; the second only says that the agent has it. A client's result is the call's. */
function answered(view: SessionView, event: SessionEvent, id: unknown): Delta {
  const refused = event.result === 'deny' || (event.result === undefined && 'deny_message' in event)
  const actor = typeof event.actor === 'string' ? event.actor : null
  const approval = { state: refused ? 'denied' : 'allowed', reason: words(event.deny_message) || null, actor } as const
  const result =
    event.type === 'user.custom_tool_result' && !refused
      ? { result: { content: blocksOf(event.content), isError: event.is_error === true }, endedAt: event.created_at }
      : {}
  return { patched: patchTool(view, id, { approval, ...result }) }
}

function patchApproval(view: SessionView, id: unknown, fields: { state: 'closed'; reason: string }): Patched | null {
  const item = view.items.findLast((one) => one.kind === 'tool' && one.id === id)
  if (item?.kind !== 'tool' || item.approval?.state !== 'pending') return null
  return patchTool(view, id, { approval: { actor: null, ...fields } })
}

const working = (status: SessionStatus): Delta => ({ status, stopReason: null })

function withTurn(view: SessionView, id: string | null, fields: Partial<TurnView>): Pick<SessionView, 'turns'> {
  if (id === null) return { turns: view.turns }
  const known = view.turns.findLastIndex((turn) => turn.id === id)
  if (known >= 0) return { turns: view.turns.with(known, { ...view.turns[known]!, ...fields }) }
  const turn: TurnView = {
    id,
    status: 'queued',
    stopReason: null,
    error: null,
    usage: null,
    startedAt: null,
    endedAt: null,
  }
  return { turns: [...view.turns, { ...turn, ...fields }] }
}

const patchTool = (view: SessionView, id: unknown, fields: Partial<ToolItem>) =>
  patch(view, (item) => item.kind === 'tool' && (item.id === id || item.sdkId === id), fields)

const taken = (event: SessionEvent) => (event.processed_at === null ? 'waiting' : 'taken')
const errorOf = ({ error }: SessionEvent) => (typeof error === 'object' ? (error as SessionError | null) : null)
