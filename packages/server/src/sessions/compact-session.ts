import type { CompactSession } from '@troupe/protocol/context'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { EventRow } from '../store/events.ts'
import { assertCanRun } from './admission.ts'
import { changeSession, requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { queueTurn } from './queue-turn.ts'

/**
 * Queues a turn in which the agent puts a summary in the place of the conversation so far. The log keeps everything.
 * Answers its input. Throws `nothing_to_compact` before the first turn, and what a send throws.
 */
export async function compactSession(
  context: SessionContext,
  sessionId: string,
  { instructions }: CompactSession,
  idempotency: Idempotency | null,
  traceparent?: string,
): Promise<EventRow> {
  const { agent } = await requireSession(context, sessionId)
  assertCanRun(context.settings, agent.permission_mode)
  const id = newId('sevt')
  // One line, or the agent would read the rest as another prompt.
  const text = `/compact ${(instructions ?? '').replace(/\s+/g, ' ')}`.trim()
  const content = [{ type: 'text' as const, text }]
  const input = { id, content, text, clientId: null, command: 'compact' as const, traceparent }
  await changeSession(context, sessionId, (state, at) => {
    if (state.session.turnCount === 0)
      throw new ApiError('nothing_to_compact', `Session ${sessionId} has no conversation yet.`)
    const queued = queueTurn(state, [input], at, context.settings)
    const effect = idempotency && { ...idempotency, result: JSON.stringify({ event_ids: [id] }) }
    return { ...queued, ...(effect && { effect }) }
  })
  return (await context.store.readEvent(sessionId, id))!
}
