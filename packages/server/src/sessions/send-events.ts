import { createHash } from 'node:crypto'
import type { UserCustomToolResult, UserToolConfirmation } from '@troupe/protocol/approval'
import { ApiError } from '@troupe/protocol/error'
import { type InputEvent, type SystemMessage, UserInterrupt, UserMessage } from '@troupe/protocol/event'
import { newId, uuidToId } from '@troupe/protocol/ids'
import type { Delivery } from '@troupe/protocol/input'
import type { z } from 'zod'
import type { EventRow } from '../store/events.ts'
import { assertCanRun } from './admission.ts'
import { changeSession, type Decision, requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { type Answer, answerDecision, answerOf, resultAnswer } from './decide-approval.ts'
import { deliver } from './deliver.ts'
import { interruptDecision, newInterrupt, type QueuedInterrupt } from './interrupt.ts'
import { interruptedThread } from './interrupt-thread.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'
import { requireThread } from './threads.ts'
import { promptText } from './admission.ts'
import { assertTakesInput, type Input } from './queue-turn.ts'

type Interrupt = z.infer<typeof UserInterrupt>

/**
 * Appends a caller's events to a session's inbox, in one transaction. The messages of one call are one turn, delivered
 * as the first of them says; an interrupt jumps the queue; an answer lets its turn go on. A message whose `client_id`
 * the session already has is not taken again. Answers the events in the order they were sent. Throws `ApiError`s; then nothing was taken.
 */
export async function sendEvents(
  context: SessionContext,
  sessionId: string,
  events: InputEvent[],
  idempotency: Idempotency | null,
  traceparent?: string,
): Promise<EventRow[]> {
  const session = await requireSession(context, sessionId)
  const sent = accompanied(events.map((event) => parseInput(sessionId, event)))
  const delivery = deliveryOf(sent)
  if (sent.some((entry) => 'text' in entry)) assertCanRun(context.settings, session.agent.permission_mode)
  for (const entry of sent)
    if ('mode' in entry && entry.threadId) await requireThread(context, sessionId, entry.threadId)
  const ids = JSON.stringify({ event_ids: sent.map(idOf) })
  await changeSession(context, sessionId, async (state, at) => {
    const inputs = (await newInputs(context, sessionId, sent)).map((input) => ({ ...input, traceparent }))
    let decision: Decision = {}
    const add = (next: Decision) => (decision = mergeDecisions(decision, next))
    for (const entry of sent)
      if ('mode' in entry) add(interruptDecision(applyDecision(state, decision), entry, at))
      else if ('approvalId' in entry) {
        const known = await context.store.approvals.read(entry.approvalId)
        add(answerDecision(applyDecision(state, decision), entry, known, at))
      }
    if (inputs.length > 0) {
      assertTakesInput(state.session)
      add(deliver(applyDecision(state, decision), inputs, delivery, at, context.settings))
    }
    if (Object.keys(decision).length === 0) return null
    if (inputs.length === 0) assertTakesInput(state.session)
    return { ...decision, ...(idempotency && { effect: { ...idempotency, result: ids } }) }
  })
  const taken = await Promise.all(sent.map((entry) => context.store.readEvent(sessionId, idOf(entry))))
  return taken.filter((event) => event !== null)
}

type Sent = Input | QueuedInterrupt | Answer

const idOf = (entry: Sent): string => ('eventId' in entry ? entry.eventId : entry.id)

/** How the messages of one call are delivered: all alike. */
function deliveryOf(sent: Sent[]): Delivery {
  const inputs = sent.filter((entry) => 'text' in entry)
  const said = new Set(inputs.flatMap((entry) => (isNote(entry) ? [] : [entry.delivery ?? 'queue'])))
  if (said.size > 1)
    throw new ApiError('validation_failed', `One call has one delivery; this one has ${[...said].join(' and ')}.`)
  const delivery = [...said][0] ?? 'queue'
  if (delivery === 'steer' && inputs.some(isNote))
    throw new ApiError('validation_failed', 'A system.message begins a turn with its message; it cannot steer one.')
  return delivery
}

const isNote = (input: Input): boolean => input.accompanies !== undefined

/** A `system.message` goes with the message right before it, and ends its call. Throws `validation_failed`. */
function accompanied(sent: Sent[]): Sent[] {
  return sent.map((entry, index) => {
    if (!('text' in entry) || !isNote(entry)) return entry
    const before = sent[index - 1]
    if (!before || !('text' in before) || isNote(before) || index !== sent.length - 1)
      throw new ApiError('validation_failed', 'A system.message follows a user.message and is the last of its call.', {
        errors: [{ pointer: `/events/${index}`, code: 'custom', detail: 'not behind a user.message, or not last' }],
      })
    return { ...entry, accompanies: before.id }
  })
}

/** The messages that the session does not have yet: a `client_id` counts once, in the log and within one call. */
async function newInputs(context: SessionContext, sessionId: string, sent: Sent[]): Promise<Input[]> {
  const inputs = new Map<string, Input>()
  for (const entry of sent) {
    if (!('text' in entry) || inputs.has(entry.id)) continue
    if (entry.clientId !== null && (await context.store.readEvent(sessionId, entry.id))) continue
    // What goes with a message that is there already has gone with it.
    if (entry.accompanies !== undefined && !inputs.has(entry.accompanies)) continue
    inputs.set(entry.id, entry)
  }
  return [...inputs.values()]
}

function parseInput(sessionId: string, event: InputEvent): Sent {
  if (event.type === 'user.message') {
    const message = event as z.infer<typeof UserMessage>
    const clientId = message.client_id ?? null
    return {
      id: clientId === null ? newId('sevt') : idOfClient(sessionId, clientId),
      content: message.content,
      text: promptText(message.content),
      clientId,
      ...(message.delivery && { delivery: message.delivery }),
    }
  }
  if (event.type === 'system.message') {
    const { content } = event as z.infer<typeof SystemMessage>
    return { id: newId('sevt'), content, text: promptText(content), clientId: null, accompanies: '' }
  }
  if (event.type === 'user.tool_confirmation') {
    const { tool_use_id, ...given } = event as z.infer<typeof UserToolConfirmation>
    return answerOf('user.tool_confirmation', tool_use_id, given)
  }
  if (event.type === 'user.custom_tool_result') return resultAnswer(event as z.infer<typeof UserCustomToolResult>)
  if (event.type === 'user.interrupt') {
    const interrupt = event as Interrupt
    const queued = newInterrupt(interrupt.mode ?? 'graceful', interrupt.grace_ms ?? null, null)
    return { ...queued, threadId: interruptedThread(sessionId, interrupt.session_thread_id) }
  }
  throw new ApiError('unsupported_feature', `Events of type "${event.type}" are not supported yet.`)
}

/** The id of the event a `client_id` stands for: the same one each time, so that the log itself tells a repetition. */
export function idOfClient(sessionId: string, clientId: string): string {
  const hash = createHash('sha256').update(`${sessionId}\0${clientId}`).digest('hex')
  return uuidToId('sevt', `${hash.slice(0, 12)}8${hash.slice(13, 32)}`)
}
