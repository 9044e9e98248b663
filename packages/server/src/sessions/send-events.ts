import { createHash } from 'node:crypto'
import { ApiError } from '@troupe/protocol/error'
import { type InputEvent, UserInterrupt, UserMessage } from '@troupe/protocol/event'
import { newId, uuidToId } from '@troupe/protocol/ids'
import type { z } from 'zod'
import type { EventRow, NewEvent } from '../store/store.ts'
import { assertCanRun } from './admission.ts'
import { changeSession, type Decision, requireSession, type SessionState } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { endTurn, NEVER_STARTED } from './end-turn.ts'
import { promptText } from './admission.ts'
import { assertTakesInput, type Input, queueTurn } from './queue-turn.ts'

type Interrupt = z.infer<typeof UserInterrupt>

/**
 * Appends a caller's events to a session's inbox, in one transaction. The messages of one call are one turn; an
 * interrupt jumps the queue. A message whose `client_id` the session already has is not taken again. Answers the
 * events in the order they were sent. Throws `ApiError`s; then nothing was taken.
 */
export async function sendEvents(
  context: SessionContext,
  sessionId: string,
  events: InputEvent[],
  idempotency: Idempotency | null,
): Promise<EventRow[]> {
  const session = await requireSession(context, sessionId)
  const sent = events.map((event) => parseInput(sessionId, event))
  if (sent.some((entry) => 'text' in entry)) assertCanRun(context.settings, session.agent.permission_mode)
  const ids = JSON.stringify({ event_ids: sent.map((entry) => entry.id) })
  await changeSession(context, sessionId, async (state, at) => {
    const inputs = await newInputs(context, sessionId, sent)
    const interrupts = sent.filter((entry): entry is QueuedInterrupt => 'mode' in entry)
    if (inputs.length === 0 && interrupts.length === 0) return null
    assertTakesInput(state.session)
    const decision = interrupts.reduce((so, entry) => merge(so, interruptDecision(apply(state, so), entry, at)), EMPTY)
    const queued = inputs.length > 0 ? queueTurn(apply(state, decision), inputs, at, context.settings) : EMPTY
    return {
      ...merge(decision, queued),
      ...(idempotency && { effect: { ...idempotency, result: ids } }),
    }
  })
  return Promise.all(sent.map(async (entry) => (await context.store.readEvent(sessionId, entry.id))!))
}

/** The messages that the session does not have yet: a `client_id` counts once, in the log and within one call. */
async function newInputs(
  context: SessionContext,
  sessionId: string,
  sent: (Input | QueuedInterrupt)[],
): Promise<Input[]> {
  const inputs = new Map<string, Input>()
  for (const entry of sent) {
    if (!('text' in entry) || inputs.has(entry.id)) continue
    if (entry.clientId !== null && (await context.store.readEvent(sessionId, entry.id))) continue
    inputs.set(entry.id, entry)
  }
  return [...inputs.values()]
}

export interface QueuedInterrupt {
  id: string
  mode: 'graceful' | 'now'
  graceMs: number | null
  /** The turn it is meant for; null means the one that runs. */
  turnId: string | null
}

function parseInput(sessionId: string, event: InputEvent): Input | QueuedInterrupt {
  if (event.type === 'user.message') {
    const message = event as z.infer<typeof UserMessage>
    if (message.delivery !== undefined && message.delivery !== 'queue')
      throw new ApiError(
        'unsupported_feature',
        `delivery "${message.delivery}" is not supported yet; input during a run is queued.`,
      )
    const clientId = message.client_id ?? null
    return {
      id: clientId === null ? newId('sevt') : idOfClient(sessionId, clientId),
      content: message.content,
      text: promptText(message.content),
      clientId,
    }
  }
  if (event.type === 'user.interrupt') {
    const interrupt = event as Interrupt
    if (interrupt.session_thread_id)
      throw new ApiError(
        'unsupported_feature',
        'Interrupting a single thread is not supported yet; leave session_thread_id out.',
      )
    return newInterrupt(interrupt.mode ?? 'graceful', interrupt.grace_ms ?? null, null)
  }
  throw new ApiError('unsupported_feature', `Events of type "${event.type}" are not supported yet.`)
}

export function newInterrupt(mode: 'graceful' | 'now', graceMs: number | null, turnId: string | null): QueuedInterrupt {
  return { id: newId('sevt'), mode, graceMs, turnId }
}

/** The id of the event a `client_id` stands for: the same one each time, so that the log itself tells a repetition. */
export function idOfClient(sessionId: string, clientId: string): string {
  const hash = createHash('sha256').update(`${sessionId}\0${clientId}`).digest('hex')
  return uuidToId('sevt', `${hash.slice(0, 12)}8${hash.slice(13, 32)}`)
}

/**
 * What an interrupt does: to a turn that runs, it is put into the inbox for the runner; a turn that still waits ends
 * at once; with nothing to stop, it is noted as taken.
 */
export function interruptDecision(
  { session, openTurns }: SessionState,
  interrupt: QueuedInterrupt,
  at: number,
): Decision {
  const target =
    interrupt.turnId === null
      ? (openTurns.find((turn) => turn.status !== 'queued') ?? openTurns[0])
      : openTurns.find((turn) => turn.id === interrupt.turnId)
  const runs = target !== undefined && target.status !== 'queued'
  const event: NewEvent = {
    id: interrupt.id,
    type: 'user.interrupt',
    turnId: target?.id ?? null,
    threadId: null,
    processedAt: runs ? null : at,
    body: { mode: interrupt.mode, ...(interrupt.graceMs !== null && { grace_ms: interrupt.graceMs }) },
  }
  if (!target || runs) return { session: {}, events: [event] }
  const ended = endTurn({ session, openTurns }, target, NEVER_STARTED, at)
  return { ...ended, events: [event, ...(ended.events ?? [])] }
}

const EMPTY: Decision = {}

function merge(first: Decision, second: Decision): Decision {
  return {
    session: { ...first.session, ...second.session },
    newTurns: [...(first.newTurns ?? []), ...(second.newTurns ?? [])],
    turns: [...(first.turns ?? []), ...(second.turns ?? [])],
    events: [...(first.events ?? []), ...(second.events ?? [])],
    ...(second.queueLimit !== undefined && { queueLimit: second.queueLimit }),
  }
}

/** The state as it will be after a decision, for the next decision of the same transaction. */
function apply({ session, openTurns }: SessionState, decision: Decision): SessionState {
  const ended = new Set((decision.turns ?? []).map((turn) => turn.id))
  return {
    session: { ...session, ...decision.session },
    openTurns: [...openTurns.filter((turn) => !ended.has(turn.id)), ...(decision.newTurns ?? [])],
  }
}
