import type { SessionEvent } from '@troupe/protocol/event'
import { type Change, type Delta, entry, patch, stopReason, words } from './event-parts.ts'
import type { BackgroundTask, Item, SessionView, ThreadView } from './view.ts'

/** A subagent: a transcript of its own, a mark where it started, and the call that names it. */
export function startThread(view: SessionView, event: SessionEvent): Delta {
  const id = words(event.session_thread_id)
  const name = words(event.agent_name)
  const description = words(event.description)
  const parentId = words(event.parent_thread_id) || null
  const toolId = words(event.tool_use_id) || null
  const thread: ThreadView = {
    id,
    parentId,
    toolId,
    name,
    description,
    turnId: event.turn_id,
    status: 'running',
    stopReason: null,
    summary: null,
    startedAt: event.created_at,
    endedAt: null,
    items: [],
  }
  const mark: Item = {
    kind: 'thread',
    ...entry(event),
    threadId: id,
    name,
    description,
    summary: null,
    endedAt: null,
  }
  const parent = parentId === null ? undefined : view.threads[parentId]
  const call = patch(parent ?? view, (item) => item.kind === 'tool' && item.id === toolId, { threadId: id })
  if (!parent) return { threads: { ...view.threads, [id]: thread }, added: mark, patched: call }
  const items = [...(call ? parent.items.with(call.index, call.item) : parent.items), mark]
  return { threads: { ...view.threads, [parent.id]: { ...parent, items }, [id]: thread } }
}

/** Says more of a subagent, and of its mark in the main transcript. */
export function setThread(view: SessionView, event: SessionEvent, fields: Partial<ThreadView>): Delta {
  const id = words(event.session_thread_id)
  const thread = view.threads[id]
  const { summary, endedAt } = fields
  const known = patch(view, (item) => item.kind === 'thread' && item.threadId === id, {
    ...(summary !== undefined && { summary }),
    ...(endedAt !== undefined && { endedAt }),
  })
  return { patched: known, ...(thread && { threads: { ...view.threads, [id]: { ...thread, ...fields } } }) }
}

export function endThread(status: 'idle' | 'terminated'): Change {
  return (view, event) => {
    const summary = typeof event.summary === 'string' ? { summary: event.summary } : {}
    return setThread(view, event, { status, stopReason: stopReason(event), endedAt: event.created_at, ...summary })
  }
}

/** What an event says inside of a subagent changes that subagent's transcript and nothing else. */
export function insideThread(view: SessionView, event: SessionEvent, change: Change | null | undefined): SessionView {
  const thread = view.threads[words(event.session_thread_id)]
  // A view that begins in the middle knows nothing of a thread that began before it.
  if (!thread || !change) return view
  const { added, patched } = change({ ...view, items: thread.items, preview: null }, event)
  if (!added && !patched) return view
  const items = [...thread.items]
  if (patched) items[patched.index] = patched.item
  if (added) items.push(added)
  return { ...view, threads: { ...view.threads, [thread.id]: { ...thread, items } } }
}

export const isInside = (event: SessionEvent): boolean =>
  event.session_thread_id !== null && event.type.startsWith('agent.')

export function tasksOf(value: unknown): BackgroundTask[] {
  if (!Array.isArray(value)) return []
  return value.map((task: Record<string, unknown>) => ({
    id: words(task.id),
    type: words(task.type),
    description: words(task.description),
    threadId: words(task.session_thread_id) || null,
  }))
}
