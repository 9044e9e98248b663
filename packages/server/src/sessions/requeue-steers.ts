import { newId } from '@troupe/protocol/ids'
import type { TurnRow } from '../store/turns.ts'
import type { Decision, SessionState } from './change-session.ts'
import { endTurn, type TurnOutcome } from './end-turn.ts'
import { newEvent } from './new-event.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'
import { firstPosition } from './queue-turn.ts'

/** Ends a turn; however it ended, input that came to steer it and was not taken becomes the next one. */
export function endSteeredTurn(state: SessionState, turn: TurnRow, outcome: TurnOutcome, at: number): Decision {
  if (turn.startedAt === null || !state.takenInputs) return endTurn(state, turn, outcome, at)
  const late = requeueSteers(state, turn, state.takenInputs, at)
  const after = applyDecision(state, late)
  const current = after.openTurns.find((open) => open.id === turn.id) ?? turn
  return mergeDecisions(late, endTurn(after, current, outcome, at))
}

/**
 * Input that came to steer a turn and found it ended becomes the next turn, before those that wait: nothing that was
 * acknowledged is dropped. Changes nothing when the agent took everything.
 */
function requeueSteers(state: SessionState, turn: TurnRow, taken: ReadonlySet<string>, at: number): Decision {
  const late = turn.inputEventIds.filter((id) => !taken.has(id))
  if (late.length === 0) return {}
  const { session, openTurns } = state
  const next: TurnRow = {
    ...turn,
    id: newId('turn'),
    number: session.turnCount + 1,
    status: 'queued',
    inputEventIds: late,
    usage: null,
    cache: null,
    modelRequests: null,
    createdAt: at,
    startedAt: null,
    endedAt: null,
    position: firstPosition(openTurns),
    activeMs: 0,
    runningSince: null,
    resume: null,
    recoveries: [],
  }
  return {
    session: { turnCount: next.number },
    newTurns: [next],
    turns: [{ id: turn.id, patch: { inputEventIds: turn.inputEventIds.filter((id) => taken.has(id)) } }],
    events: late.map((id) => newEvent('session.input_changed', next.id, at, { event_id: id, change: 'requeued' })),
  }
}
