import { ApiError } from '@troupe/protocol/error'
import type { ContentBlock } from '@troupe/protocol/event'
import type { PendingInput } from '@troupe/protocol/input'
import { iso } from '../log/wire.ts'
import type { EventRow } from '../store/events.ts'
import type { TurnRow } from '../store/turns.ts'
import { promptText } from './admission.ts'
import { changeSession, type Decision, requireSession, type SessionState } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { endTurn, NEVER_STARTED } from './end-turn.ts'
import { newEvent } from './new-event.ts'

/** Inputs that the agent has not taken yet, in the order in which it will get them. */
export async function listInputs(context: SessionContext, sessionId: string): Promise<PendingInput[]> {
  await requireSession(context, sessionId)
  const state = await context.store.readSessionState(sessionId)
  const inputs: PendingInput[] = []
  let position = 0
  for (const turn of state?.openTurns ?? []) {
    const steers = turn.status !== 'queued' || turn.resume !== null
    if (!steers) position++
    for (const id of turn.inputEventIds) {
      const event = await context.store.readEvent(sessionId, id)
      if (event?.processedAt === null && !isNote(event)) inputs.push(toWire(event, turn, steers ? 0 : position))
    }
  }
  return inputs
}

/** The message that a `system.message` of a caller goes with. */
const accompanies = ({ body }: EventRow): string | undefined =>
  (JSON.parse(body) as { accompanies?: string }).accompanies
const isNote = (event: EventRow): boolean => event.type === 'system.message' && accompanies(event) !== undefined

function toWire(event: EventRow, turn: TurnRow, position: number): PendingInput {
  const { content } = JSON.parse(event.body) as { content: ContentBlock[] }
  return {
    type: 'pending_input',
    event_id: event.id,
    turn_id: turn.id,
    content,
    delivery: position === 0 ? 'steer' : 'queue',
    position,
    created_at: iso(event.createdAt),
  }
}

/** Changes the content of a waiting input, or moves its turn. Throws `event_not_found` and `input_not_pending`. */
export async function editInput(
  context: SessionContext,
  sessionId: string,
  eventId: string,
  change: { content?: ContentBlock[] | undefined; position?: number | undefined },
): Promise<PendingInput> {
  if (change.content) promptText(change.content)
  await changeSession(context, sessionId, async (state, at) => {
    const { turn, event } = await requirePending(context, state, eventId)
    const decision: Required<Pick<Decision, 'events' | 'turns'>> & Decision = { session: {}, turns: [], events: [] }
    if (change.content) {
      const { id, type, turnId, seq } = event
      const body = { ...(JSON.parse(event.body) as object), content: change.content }
      decision.events.push({ id, type, turnId, threadId: null, processedAt: null, body, repeats: seq })
      decision.events.push(newEvent('session.input_changed', turn.id, at, { event_id: id, change: 'edited' }))
    }
    if (change.position !== undefined) {
      decision.turns.push({ id: turn.id, patch: { position: between(state, turn, change.position) } })
      const moved = { event_id: event.id, change: 'moved', position: change.position }
      decision.events.push(newEvent('session.input_changed', turn.id, at, moved))
    }
    return decision.events.length > 0 ? decision : null
  })
  const inputs = await listInputs(context, sessionId)
  const now = inputs.find((input) => input.event_id === eventId)
  if (!now) throw taken(eventId)
  return now
}

/** Takes a waiting input back; with the last one of its turn the turn ends as cancelled. Throws as `editInput`. */
export async function cancelInput(context: SessionContext, sessionId: string, eventId: string): Promise<void> {
  await changeSession(context, sessionId, async (state, at) => {
    const { turn, event } = await requirePending(context, state, eventId)
    const cancelled = newEvent('session.input_changed', turn.id, at, { event_id: event.id, change: 'cancelled' })
    const inputs = await Promise.all(turn.inputEventIds.map((id) => context.store.readEvent(sessionId, id)))
    // What goes with it goes, too.
    const left = inputs.filter((input) => input && input.id !== eventId && accompanies(input) !== eventId)
    if (left.length === 0) {
      const ended = endTurn(state, turn, NEVER_STARTED, at)
      return { ...ended, events: [cancelled, ...(ended.events ?? [])] }
    }
    const inputEventIds = left.map((input) => input!.id)
    return { session: {}, turns: [{ id: turn.id, patch: { inputEventIds } }], events: [cancelled] }
  })
}

/** A waiting input that no agent can have. What steers a running turn may be on its way and cannot be taken back. */
async function requirePending(context: SessionContext, state: SessionState, eventId: string) {
  const event = await context.store.readEvent(state.session.id, eventId)
  if (!event || event.type !== 'user.message')
    throw new ApiError('event_not_found', `Session ${state.session.id} has no input ${eventId}.`)
  const turn = state.openTurns.find((open) => open.inputEventIds.includes(eventId))
  if (!turn || event.processedAt !== null || turn.status === 'in_progress' || turn.resume === 'recovery')
    throw taken(eventId)
  if (turn.status === 'waiting' && (state.session.holder !== null || turn.inputEventIds[0] === eventId))
    throw taken(eventId)
  return { turn, event }
}

const taken = (eventId: string) =>
  new ApiError('input_not_pending', `Input ${eventId} does not wait any more: the agent has it, or it was cancelled.`)

/** A number between the neighbours of the place that a waiting turn moves to. */
function between(state: SessionState, turn: TurnRow, place: number): number {
  const others = state.openTurns.filter(
    (open) => open.status === 'queued' && open.resume === null && open.id !== turn.id,
  )
  const at = Math.min(place - 1, others.length)
  const before = others[at - 1]?.position
  const after = others[at]?.position
  if (before === undefined) return (after ?? 1) - 1
  return after === undefined ? before + 1 : (before + after) / 2
}
