import { ApiError } from '@troupe/protocol/error'
import type { ContentBlock } from '@troupe/protocol/event'
import { newId } from '@troupe/protocol/ids'
import type { Delivery } from '@troupe/protocol/input'
import type { SessionStatus } from '@troupe/protocol/session'
import type { NewEvent } from '../store/events.ts'
import type { SessionPatch, SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { assertWithinBudget } from './budget.ts'
import type { SessionState } from './change-session.ts'
import type { SessionSettings } from './context.ts'
import { newEvent } from './new-event.ts'
import { TRANSITIONS } from './transitions.ts'

export interface Input {
  id: string
  content: ContentBlock[]
  text: string
  clientId: string | null
  /** Absent: `queue`. */
  delivery?: Delivery
  /** A command to the agent itself, whose answer is none of the conversation's. */
  command?: 'compact'
  /** Of what the agent is told besides an input: that input. */
  accompanies?: string
  /** The `traceparent` of the request that it came with. */
  traceparent?: string | undefined
}

/** Where the origin API joins a resumed prompt to what came before. */
const RESUME_MARK = '\n\n--- Session Resume ---\n'
/** Characters of prompt text kept beside the session; the whole inputs are in the log. */
const MAX_PROMPT_CHARS = 1024 * 1024

export const inputEvent = (input: Input, turnId: string): NewEvent => ({
  id: input.id,
  type: input.accompanies === undefined ? 'user.message' : 'system.message',
  turnId,
  threadId: null,
  processedAt: null,
  body: {
    content: input.content,
    ...(input.clientId !== null && { client_id: input.clientId }),
    ...(input.accompanies !== undefined && { accompanies: input.accompanies }),
    ...(input.command && { command: input.command }),
    ...(input.delivery !== undefined && input.delivery !== 'queue' && { delivery: input.delivery }),
  },
})

/** How much may wait. */
export type QueueLimits = Pick<SessionSettings, 'maxQueuedTurns' | 'maxQueuedSessions'>

/** The status that input leads to. Throws `session_terminated`. */
export function assertTakesInput({ id, status }: Pick<SessionRow, 'id' | 'status'>): SessionStatus {
  const next = TRANSITIONS[status].send
  if (next === null)
    throw new ApiError('session_terminated', `Session ${id} is archived and takes no more input; create a new one.`)
  return next
}

/**
 * Puts inputs that came together as one turn at the end of the session's queue, and gives an idle session work:
 * `user.message`…, `session.status_running` where the status changes, `session.queued`. `first` puts it before the
 * others that wait. Behind a turn that waits for an answer it waits too, and the session stays idle.
 * Throws `session_terminated`, `budget_reached` and `queue_full`; committing it throws `QueueFull` when too many sessions
 * wait already.
 */
export function queueTurn(
  { session, openTurns }: SessionState,
  inputs: Input[],
  at: number,
  { maxQueuedTurns, maxQueuedSessions }: QueueLimits,
  first = false,
): { session: SessionPatch; newTurns: TurnRow[]; events: NewEvent[]; queueLimit?: number } {
  const status = assertTakesInput(session)
  assertWithinBudget(session)
  const waiting = openTurns.filter((turn) => turn.status === 'queued').length
  if (waiting >= maxQueuedTurns)
    throw new ApiError(
      'queue_full',
      `Session ${session.id} already has ${waiting} turns waiting; at most ${maxQueuedTurns} may.`,
      {
        retryAfter: 10,
      },
    )
  const turn: TurnRow = {
    id: newId('turn'),
    sessionId: session.id,
    number: session.turnCount + 1,
    status: 'queued',
    inputEventIds: inputs.map((input) => input.id),
    output: null,
    stopReason: null,
    error: null,
    usage: null,
    cache: null,
    modelRequests: null,
    createdAt: at,
    startedAt: null,
    endedAt: null,
    position: first ? firstPosition(openTurns) : nextPosition(openTurns, session.turnCount + 1),
    activeMs: 0,
    runningSince: null,
    resume: null,
    recoveries: [],
    ...(inputs[0]?.traceparent !== undefined && { traceparent: inputs[0].traceparent }),
  }
  const wakes = session.status === 'idle' && openTurns.length === 0
  const events = inputs.map((input) => inputEvent(input, turn.id))
  if (wakes) events.push(newEvent('session.status_running', turn.id, at))
  events.push(newEvent('session.queued', turn.id, at))
  const text = inputs.flatMap((input) => (input.accompanies === undefined ? [input.text] : [])).join('\n')
  const prompt = session.prompt === '' ? text : session.prompt + RESUME_MARK + text
  return {
    session: {
      status: wakes ? status : session.status,
      turnCount: turn.number,
      prompt: prompt.length > MAX_PROMPT_CHARS ? prompt.slice(-MAX_PROMPT_CHARS) : prompt,
      // An idle session has left the queue of sessions; one that runs takes its next turn by itself.
      ...(wakes && {
        queuedAt: at,
        lastTurnStatus: 'queued' as const,
        lastError: null,
        startedAt: null,
        endedAt: null,
      }),
    },
    newTurns: [turn],
    events,
    ...(wakes && { queueLimit: maxQueuedSessions }),
  }
}

const waitingPositions = (openTurns: TurnRow[]): number[] =>
  openTurns.filter((turn) => turn.status === 'queued').map((turn) => turn.position)

export const firstPosition = (openTurns: TurnRow[]): number => Math.min(0, ...waitingPositions(openTurns)) - 1

const nextPosition = (openTurns: TurnRow[], number: number): number =>
  Math.max(number, ...waitingPositions(openTurns).map((position) => position + 1))
