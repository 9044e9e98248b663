import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import type { Decision, SessionState } from './change-session.ts'
import type { QueuedInterrupt } from './interrupt.ts'
import { primaryThreadId } from './threads.ts'

/** The subagent that a `user.interrupt` names; null: the whole turn, also by the name of the primary thread. */
export function interruptedThread(sessionId: string, text: string | null | undefined): string | null {
  if (text === null || text === undefined || text === '') return null
  const id = parseId('sthr', text)
  if (id === null) throw new ApiError('thread_not_found', `Session ${sessionId} has no thread ${text}.`)
  return id === primaryThreadId(sessionId) ? null : id
}

/** Puts the interrupt of a subagent into the inbox for the runner; of one that is not at work it is noted as taken. */
export function interruptThread(
  { openThreads = [] }: SessionState,
  interrupt: QueuedInterrupt & { threadId: string },
  at: number,
): Decision {
  const thread = openThreads.find((open) => open.id === interrupt.threadId)
  return {
    session: {},
    events: [
      {
        id: interrupt.id,
        type: 'user.interrupt',
        turnId: thread?.turnId ?? null,
        threadId: interrupt.threadId,
        processedAt: thread ? null : at,
        body: { mode: interrupt.mode },
      },
    ],
  }
}
