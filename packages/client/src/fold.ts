import type { EventType, PreviewFrame, SessionEvent, StreamFrame } from '@troupe/protocol/event'
import { CHANGES } from './changes.ts'
import { insideThread, isInside } from './thread-changes.ts'
import { emptyView, type Item, type SessionView } from './view.ts'

/**
 * The view after one more frame of a session's log or stream. Frames come in order; an event that is not newer than the
 * view changes nothing, so overlapping pages and replays are harmless, and so are types it does not know. A preview is
 * shown until its event, another preview, or the end of the turn replaces it.
 */
export function fold(view: SessionView, frame: StreamFrame): SessionView {
  return step(view, frame, view.items, false)
}

/** The same as folding frame by frame, in a time that grows with their number and not with its square. */
export function foldAll(frames: Iterable<StreamFrame>, view: SessionView = emptyView): SessionView {
  const items = [...view.items]
  let folded: SessionView = { ...view, items }
  for (const frame of frames) folded = step(folded, frame, items, true)
  return folded
}

/** `own`: the items are this caller's alone and may be changed where they are. */
function step(view: SessionView, frame: StreamFrame, items: Item[] | readonly Item[], own: boolean): SessionView {
  if (!('seq' in frame)) return foldPreview(view, frame)
  const event = frame as SessionEvent
  const shown = endsPreview(view, event) ? { ...view, preview: null } : view
  if (event.seq <= view.lastSeq) return shown
  const change = Object.hasOwn(CHANGES, event.type) ? CHANGES[event.type as EventType] : null
  if (isInside(event)) {
    const told = insideThread(shown, event, change)
    return { ...told, sessionId: event.session_id, lastSeq: event.seq }
  }
  const { added, patched, ...set } = change?.(shown, event) ?? {}
  const next = own ? (items as Item[]) : added || patched ? [...items] : items
  if (patched) (next as Item[])[patched.index] = patched.item
  if (added) (next as Item[]).push(added)
  return { ...shown, sessionId: event.session_id, ...set, items: next, lastSeq: event.seq }
}

function foldPreview(view: SessionView, frame: PreviewFrame): SessionView {
  if (frame.type === 'event_start') {
    const { id, type } = frame.event
    const finished = view.items.some((item) => item.id === id)
    if (finished && !view.preview) return view
    return { ...view, preview: finished ? null : { id, type, text: '' } }
  }
  if (frame.type !== 'event_delta' || view.preview?.id !== frame.event_id) return view
  return { ...view, preview: { ...view.preview, text: view.preview.text + (frame.delta.content.text ?? '') } }
}

function endsPreview(view: SessionView, event: SessionEvent): boolean {
  if (!view.preview) return false
  return event.id === view.preview.id || /^(turn\.(?!started)|session\.status_(idle|terminated)$)/.test(event.type)
}

export { emptyView }
