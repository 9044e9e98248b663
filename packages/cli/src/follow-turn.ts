import type { Client } from '@troupe/client/client'
import type { TroupeError } from '@troupe/client/errors'
import type { Reconnect } from '@troupe/client/stream'
import type { StreamFrame } from '@troupe/protocol/event'
import { EXIT, type ExitCode, Failure } from './exit.ts'

/** How a turn that was watched came to rest. */
export interface TurnEnd {
  status: 'completed' | 'failed' | 'cancelled' | 'waiting'
  stopReason: string | null
}

export interface FollowOptions {
  /** The turn; null means that of the first input in the stream. */
  turnId: string | null
  /** Replay what follows this `seq`. */
  after: number
  /** Whether to see messages while they are written. */
  deltas: boolean
  /** Given every frame of the turn, and previews while it runs. */
  onFrame(frame: StreamFrame): void
  /** Told what a person should know about a connection that is lost. */
  onLost(message: string): void
  /** Told once, as soon as the turn is known. */
  onTurn?(turnId: string): void
}

/** Tries in a row, about a minute in all, after which the server counts as gone. */
export const MAX_RECONNECTS = 10

/** A stream that the server closed and that is open again with the next try is nothing to tell. */
export const tellLost =
  (tell: (message: string) => void) =>
  ({ attempt, error }: Reconnect): void => {
    if (attempt > 1 || error !== null) tell(`The connection was lost; trying again (${attempt} of ${MAX_RECONNECTS}).`)
  }

/** Watches one turn until it has ended, or waits for a person. Throws `Failure` when the session goes away. */
export async function followTurn(client: Client, sessionId: string, options: FollowOptions): Promise<TurnEnd> {
  let { turnId } = options
  let started = false
  if (turnId !== null) options.onTurn?.(turnId)
  const stream = client.events.stream(sessionId, {
    after: options.after,
    deltas: options.deltas ? ['agent.message', 'agent.thinking'] : [],
    maxReconnects: MAX_RECONNECTS,
    onReconnect: tellLost(options.onLost),
  })
  for await (const frame of stream) {
    if (!('seq' in frame)) {
      // Before its start, what is being written belongs to another turn.
      if (started) options.onFrame(frame)
      continue
    }
    if (turnId === null && frame.type === 'user.message' && frame.turn_id !== null) {
      turnId = frame.turn_id
      options.onTurn?.(turnId)
    }
    if (turnId === null || frame.turn_id !== turnId) continue
    options.onFrame(frame)
    const stopReason = (frame.stop_reason as { type?: string } | undefined)?.type ?? null
    if (frame.type === 'turn.started') started = true
    else if (frame.type === 'session.status_idle' && stopReason === 'requires_action')
      return { status: 'waiting', stopReason }
    else if (frame.type === 'turn.completed' || frame.type === 'turn.failed' || frame.type === 'turn.cancelled')
      return { status: frame.type.slice('turn.'.length) as TurnEnd['status'], stopReason }
  }
  throw new Failure(`Session ${sessionId} was deleted while its turn was being watched.`)
}

/** What the exit code says of a turn's end. */
export function exitCodeOfTurn(end: TurnEnd, interrupted: boolean): ExitCode {
  if (end.status === 'waiting') return EXIT.needsApproval
  if (end.status === 'cancelled' && interrupted) return EXIT.interrupted
  return end.status === 'completed' ? EXIT.done : EXIT.failed
}

/** Whether an answer says that there was nothing left to stop. */
export const alreadyEnded = (error: unknown): boolean => (error as TroupeError).code === 'turn_not_running'
