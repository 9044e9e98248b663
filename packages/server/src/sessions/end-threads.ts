import { newId } from '@troupe/protocol/ids'
import type { NewEvent } from '../store/events.ts'
import type { ThreadPatch, ThreadRow } from '../store/threads.ts'
import type { Decision, SessionState } from './change-session.ts'
import type { TurnOutcome } from './end-turn.ts'

/**
 * What becomes of the subagents that a turn leaves at work: none outlives it. Those of a turn that was stopped on
 * purpose are idle and may be asked again; those of one that broke off are terminated.
 */
export function endThreads(
  open: ThreadRow[],
  turnId: string,
  outcome: Pick<TurnOutcome, 'status' | 'activeUntil'>,
  at: number,
): { events: NewEvent[]; patches: { id: string; patch: ThreadPatch }[] } {
  const left = open.filter((thread) => thread.turnId === turnId)
  const status = outcome.status === 'cancelled' ? 'idle' : 'terminated'
  const stopReason = { type: outcome.status === 'failed' ? 'retries_exhausted' : 'interrupted' }
  return {
    events: left.map((thread) => ({
      id: newId('sevt'),
      type: `session.thread_status_${status}`,
      turnId,
      threadId: thread.id,
      processedAt: at,
      body: { agent_name: thread.agentName, stop_reason: stopReason, stop_details: null, summary: null },
    })),
    patches: left.map((thread) => ({
      id: thread.id,
      patch: { status, stopReason, ...stopped(thread, outcome.activeUntil ?? at) },
    })),
  }
}

/** The same for a turn that goes on without the process that its subagents worked in. */
export function leaveThreads(state: Pick<SessionState, 'openThreads'>, turnId: string, at: number): Decision {
  const { events, patches } = endThreads(state.openThreads ?? [], turnId, { status: 'cancelled' }, at)
  return { events, threads: patches }
}

/** A thread's time at work, taken when it stops. */
export function stopped(thread: Pick<ThreadRow, 'activeMs' | 'runningSince'>, at: number): ThreadPatch {
  const since = thread.runningSince === null ? 0 : Math.max(0, at - thread.runningSince)
  return { activeMs: thread.activeMs + since, runningSince: null }
}
