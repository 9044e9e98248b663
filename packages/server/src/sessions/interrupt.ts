import { newId } from '@troupe/protocol/ids'
import type { NewEvent } from '../store/events.ts'
import type { TurnRow } from '../store/turns.ts'
import type { Decision, SessionState } from './change-session.ts'
import { NEVER_STARTED } from './end-turn.ts'
import { interruptThread } from './interrupt-thread.ts'
import { mergeDecisions } from './merge-decisions.ts'
import { endSteeredTurn } from './requeue-steers.ts'

export interface QueuedInterrupt {
  id: string
  mode: 'graceful' | 'now'
  graceMs: number | null
  /** The turn it is meant for; null means the one that runs. */
  turnId: string | null
  /** The subagent that it stops, alone; without one it stops the turn. */
  threadId?: string | null
}

export function newInterrupt(mode: 'graceful' | 'now', graceMs: number | null, turnId: string | null): QueuedInterrupt {
  return { id: newId('sevt'), mode, graceMs, turnId }
}

/** Whether an agent has the turn, at work or held for an answer: then only its run can end it. A parked call has none. */
export const isInRun = (turn: TurnRow): boolean =>
  turn.status === 'in_progress' || (turn.status === 'waiting' && turn.resume !== 'approval')

/**
 * What an interrupt does: to a turn that runs, it is put into the inbox for the runner; a turn that waits for its turn
 * or for an answer ends at once; with nothing to stop, it is noted as taken.
 */
export function interruptDecision(state: SessionState, interrupt: QueuedInterrupt, at: number): Decision {
  if (interrupt.threadId) return interruptThread(state, { ...interrupt, threadId: interrupt.threadId }, at)
  const { openTurns } = state
  const target =
    interrupt.turnId === null
      ? (openTurns.find((turn) => turn.status !== 'queued') ?? openTurns[0])
      : openTurns.find((turn) => turn.id === interrupt.turnId)
  const runs = target !== undefined && isInRun(target)
  const event: NewEvent = {
    id: interrupt.id,
    type: 'user.interrupt',
    turnId: target?.id ?? null,
    threadId: null,
    processedAt: runs ? null : at,
    body: { mode: interrupt.mode, ...(interrupt.graceMs !== null && { grace_ms: interrupt.graceMs }) },
  }
  if (!target || runs) return { session: {}, events: [event] }
  return mergeDecisions({ events: [event] }, endSteeredTurn(state, target, NEVER_STARTED, at))
}
