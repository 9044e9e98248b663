import type {
  ContentBlock,
  EventType,
  PreviewFrame,
  SessionError,
  SessionEvent,
  StreamFrame,
} from '@troupe/protocol/event'
import type { SessionStatus, StopReason } from '@troupe/protocol/session'
import type { Usage } from '@troupe/protocol/turn'
import type { Item, SessionView, ToolItem, TurnView } from './view.ts'

export { emptyView } from './view.ts'

/**
 * The view after one more frame of a session's log or stream: `frames.reduce(fold, emptyView)`. Frames come in order;
 * an event that is not newer than the view changes nothing, so overlapping pages and replays are harmless, and so are
 * types it does not know. A preview is shown until its event, another preview, or the end of the turn replaces it.
 */
export function fold(view: SessionView, frame: StreamFrame): SessionView {
  if (!isEvent(frame)) return foldPreview(view, frame)
  const shown = endsPreview(view, frame) ? { ...view, preview: null } : view
  if (frame.seq <= view.lastSeq) return shown
  const change = Object.hasOwn(CHANGES, frame.type) ? CHANGES[frame.type as EventType] : null
  return { ...shown, sessionId: frame.session_id, ...change?.(shown, frame), lastSeq: frame.seq }
}

const isEvent = (frame: StreamFrame): frame is SessionEvent => 'seq' in frame

function foldPreview(view: SessionView, frame: PreviewFrame): SessionView {
  if (frame.type === 'event_start') {
    const { id, type } = frame.event
    // A message that is finished, or of a turn that is over, is not being written.
    const over = view.status === 'idle' || view.status === 'terminated' || view.items.some((item) => item.id === id)
    if (over && !view.preview) return view
    return { ...view, preview: over ? null : { id, type, text: '' } }
  }
  if (frame.type !== 'event_delta' || view.preview?.id !== frame.event_id) return view
  return { ...view, preview: { ...view.preview, text: view.preview.text + (frame.delta.content.text ?? '') } }
}

function endsPreview(view: SessionView, event: SessionEvent): boolean {
  if (!view.preview) return false
  return event.id === view.preview.id || /^(turn\.(?!started)|session\.status_(idle|terminated)$)/.test(event.type)
}

type Change = (view: SessionView, event: SessionEvent) => Partial<SessionView>

/** What each type of event changes; null: nothing that the view shows. A type of a later server is not here. */
const CHANGES: Record<EventType, Change | null> = {
  'user.message': (view, event) => {
    const known = view.items.some((item) => item.kind === 'user' && item.id === event.id)
    if (known) return { items: patchItem(view.items, event.id, { state: taken(event) }) }
    const turn = event.turn_id === null ? {} : withTurn(view, event.turn_id, {})
    return { ...turn, ...add(view, { kind: 'user', ...entry(event), content: blocks(event), state: taken(event) }) }
  },
  'user.interrupt': (view, event) => {
    const known = view.items.some((item) => item.kind === 'interrupt' && item.id === event.id)
    if (known) return { items: patchItem(view.items, event.id, { state: taken(event) }) }
    return add(view, { kind: 'interrupt', ...entry(event), mode: words(event.mode), state: taken(event) })
  },
  'agent.message': (view, event) => add(view, { kind: 'agent', ...entry(event), text: textOf(blocks(event)) }),
  'agent.thinking': (view, event) => add(view, { kind: 'thinking', ...entry(event) }),
  'agent.tool_use': addTool,
  'agent.mcp_tool_use': addTool,
  'agent.tool_result': endTool('tool_use_id'),
  'agent.mcp_tool_result': endTool('mcp_tool_use_id'),
  'agent.permission_denied': (view, event) => ({
    items: patchTool(view.items, event.tool_use_id, { denied: words(event.reason) }),
  }),
  'agent.thread_context_compacted': (view, event) => add(view, { kind: 'compaction', ...entry(event) }),
  'session.created': (view) => ({ status: view.status ?? 'idle' }),
  'session.updated': (_view, event) => ({
    ...('title' in event && { title: event.title as string | null }),
    ...('metadata' in event && { metadata: event.metadata as Record<string, string> }),
  }),
  'session.queued': null,
  'session.status_running': () => working('running'),
  'session.status_rescheduled': () => working('rescheduling'),
  'session.status_idle': (_view, event) => ({ status: 'idle', stopReason: stopReason(event), currentTurnId: null }),
  'session.status_terminated': () => ({ status: 'terminated', currentTurnId: null }),
  'session.error': (view, event) => {
    const error = errorOf(event)
    if (!error) return {}
    const lasting = error.retry_status?.type !== 'retrying'
    return { ...add(view, { kind: 'error', ...entry(event), error }), ...(lasting && { lastError: error }) }
  },
  'session.usage': (_view, event) => ({ usage: event.usage as Usage }),
  'session.thread_created': (view, event) =>
    add(view, {
      kind: 'thread',
      ...entry(event),
      threadId: words(event.session_thread_id),
      name: words(event.agent_name),
      description: words(event.description),
      summary: null,
      endedAt: null,
    }),
  'session.thread_status_idle': (view, event) => ({
    items: patchFirst(view.items, (item) => item.kind === 'thread' && item.threadId === event.session_thread_id, {
      summary: words(event.summary),
      endedAt: event.created_at,
    }),
  }),
  'span.model_request_start': null,
  'span.model_request_end': null,
  'turn.started': (view, event) => ({
    ...withTurn(view, event.turn_id, { status: 'in_progress', startedAt: event.created_at }),
    currentTurnId: event.turn_id,
    lastError: null,
  }),
  'turn.completed': endTurn('completed'),
  'turn.failed': endTurn('failed'),
  'turn.cancelled': endTurn('cancelled'),
}

function addTool(view: SessionView, event: SessionEvent): Partial<SessionView> {
  return add(view, {
    kind: 'tool',
    ...entry(event),
    name: words(event.name),
    server: typeof event.mcp_server_name === 'string' ? event.mcp_server_name : null,
    input: event.input,
    result: null,
    denied: null,
    endedAt: null,
    sdkId: typeof event.sdk_tool_use_id === 'string' ? event.sdk_tool_use_id : null,
  })
}

function endTool(reference: string): Change {
  return (view, event) => ({
    items: patchTool(view.items, event[reference], {
      result: { content: blocks(event), isError: event.is_error === true },
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
    ...(view.currentTurnId === event.turn_id && { currentTurnId: null }),
  })
}

const working = (status: SessionStatus): Partial<SessionView> => ({ status, stopReason: null })

function withTurn(view: SessionView, id: string | null, patch: Partial<TurnView>): Pick<SessionView, 'turns'> {
  if (id === null) return { turns: view.turns }
  const known = view.turns.findLastIndex((turn) => turn.id === id)
  if (known >= 0) return { turns: view.turns.with(known, { ...view.turns[known]!, ...patch }) }
  const turn: TurnView = {
    id,
    status: 'queued',
    stopReason: null,
    error: null,
    usage: null,
    startedAt: null,
    endedAt: null,
  }
  return { turns: [...view.turns, { ...turn, ...patch }] }
}

const add = (view: SessionView, item: Item): Pick<SessionView, 'items'> => ({ items: [...view.items, item] })

const patchItem = (items: readonly Item[], id: string, patch: object) =>
  patchFirst(items, (item) => item.id === id, patch)

const patchTool = (items: readonly Item[], id: unknown, patch: Partial<ToolItem>) =>
  patchFirst(items, (item) => item.kind === 'tool' && (item.id === id || item.sdkId === id), patch)

/** Looked for from the end: what is answered is seldom old. */
function patchFirst(items: readonly Item[], matches: (item: Item) => boolean, patch: object): readonly Item[] {
  const index = items.findLastIndex(matches)
  return index < 0 ? items : items.with(index, { ...items[index], ...patch } as Item)
}

const entry = ({ id, seq, turn_id, created_at }: SessionEvent) => ({ id, seq, turnId: turn_id, at: created_at })
const taken = (event: SessionEvent) => (event.processed_at === null ? 'waiting' : 'taken')
const words = (value: unknown): string => (typeof value === 'string' ? value : '')
const stopReason = (event: SessionEvent) => (event.stop_reason as StopReason | null) ?? null
const errorOf = ({ error }: SessionEvent) => (typeof error === 'object' ? (error as SessionError | null) : null)

function blocks({ content }: SessionEvent): ContentBlock[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return Array.isArray(content) ? content.filter((block) => typeof block === 'object' && block !== null) : []
}

/** The text of content; images and documents are left out. */
export function textOf(content: readonly ContentBlock[]): string {
  const texts = content.map((block) => (block.type === 'text' ? block.text : null))
  return texts.filter((text) => typeof text === 'string').join('\n')
}
