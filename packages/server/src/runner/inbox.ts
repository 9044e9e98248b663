import { takenInput } from '../sessions/taken-input.ts'
import type { EventRow } from '../store/events.ts'
import { StaleEpoch } from '../store/errors.ts'
import type { AgentProcess } from './agent-process.ts'
import type { RunContext } from './run-context.ts'

/** Milliseconds a graceful interrupt may take before it becomes a kill, unless the caller says otherwise. */
const DEFAULT_GRACE_MS = 5_000

export interface Inbox {
  sessionId: string
  epoch: number
  turnId: string
  /** The `seq` at which the turn began; each event after it is looked at once. */
  after: number
  signal: AbortSignal
  /** An interrupt has come, and the agent is being stopped. */
  onInterrupt(): void
  /** One subagent is to stop; the turn goes on. */
  onThreadInterrupt(threadId: string): void
  /** Input for the turn that runs. */
  onSteer(event: EventRow): void
}

/**
 * Reads what comes for one turn from the session's log while it runs. An interrupt is noted as taken and stops the
 * agent: gracefully first, by force when the grace is over or the caller said `now`. Input that steers is handed on.
 */
export function watchInbox(
  context: RunContext,
  agent: Pick<AgentProcess, 'interrupt' | 'kill'>,
  inbox: Inbox,
): { interrupted(): boolean; ended: Promise<void> } {
  const { sessionId, epoch, turnId, after, signal } = inbox
  const { log, clock } = context.sessions
  let interrupted = false
  let grace: NodeJS.Timeout | undefined

  const obey = (event: EventRow) => {
    if (event.threadId !== null) return inbox.onThreadInterrupt(event.threadId)
    interrupted = true
    const { mode, grace_ms } = JSON.parse(event.body) as { mode: 'graceful' | 'now'; grace_ms?: number }
    clearTimeout(grace)
    if (mode === 'now') agent.kill()
    else {
      grace = setTimeout(() => agent.kill(), grace_ms ?? DEFAULT_GRACE_MS)
      void agent.interrupt()
    }
    inbox.onInterrupt()
  }

  const watch = async () => {
    for await (const { row: event } of log.tail(sessionId, after, signal)) {
      if (event.turnId !== turnId || event.repeats !== null || event.processedAt !== null) continue
      if (event.type === 'user.message') inbox.onSteer(event)
      if (event.type !== 'user.interrupt') continue
      obey(event)
      const at = clock.now()
      await log.commit({ sessionId, at, epoch, events: [takenInput(event, at)] })
    }
  }

  const ended = watch()
    .catch((error: unknown) => {
      // The run itself meets the same trouble and decides what to do about it.
      if (!(error instanceof StaleEpoch))
        context.logger.warn({ session: sessionId, err: error }, 'an interrupt could not be noted')
    })
    .finally(() => clearTimeout(grace))
  return { interrupted: () => interrupted, ended }
}
