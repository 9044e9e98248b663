import { ApiError } from '@troupe/protocol/error'
import type { Delivery } from '@troupe/protocol/input'
import type { Decision, SessionState } from './change-session.ts'
import { interruptDecision, newInterrupt } from './interrupt.ts'
import { applyDecision, mergeDecisions } from './merge-decisions.ts'
import { type Input, inputEvent, type QueueLimits, queueTurn } from './queue-turn.ts'

/**
 * Where inputs go that came together. `queue`: a turn at the end of those that wait. `steer`: into the turn that runs
 * or waits for an answer; where there is none, as `queue`. `interrupt`: stops that turn and goes before the others.
 * `reject`: throws `session_running` while there is work. Throws what `queueTurn` throws.
 */
export function deliver(
  state: SessionState,
  inputs: Input[],
  delivery: Delivery,
  at: number,
  limits: QueueLimits,
): Decision {
  const { session, openTurns } = state
  const current = openTurns.find((turn) => turn.status !== 'queued')
  switch (delivery) {
    case 'queue':
      return queueTurn(state, inputs, at, limits)
    case 'reject':
      if (openTurns.length > 0)
        throw new ApiError(
          'session_running',
          `Session ${session.id} has work (turn ${openTurns[0]!.id}); send with delivery "queue", "steer" or "interrupt", or wait until it is idle.`,
        )
      return queueTurn(state, inputs, at, limits)
    case 'interrupt': {
      const stop = current ? interruptDecision(state, newInterrupt('graceful', null, current.id), at) : {}
      return mergeDecisions(stop, queueTurn(applyDecision(state, stop), inputs, at, limits, true))
    }
    case 'steer':
      if (!current) return queueTurn(state, inputs, at, limits)
      if (current.inputEventIds.length + inputs.length > limits.maxQueuedTurns)
        throw new ApiError(
          'queue_full',
          `Turn ${current.id} has taken ${current.inputEventIds.length} inputs; at most ${limits.maxQueuedTurns} are.`,
        )
      return {
        session: {},
        turns: [
          { id: current.id, patch: { inputEventIds: [...current.inputEventIds, ...inputs.map((input) => input.id)] } },
        ],
        events: inputs.map((input) => inputEvent(input, current.id)),
      }
  }
}
