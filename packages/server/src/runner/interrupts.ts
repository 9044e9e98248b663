import type { EventRow } from '../store/store.ts'
import { StaleEpoch } from '../store/store.ts'
import type { AgentProcess } from './agent-process.ts'
import type { RunContext } from './session-run.ts'

/** Milliseconds a graceful interrupt may take before it becomes a kill, unless the caller says otherwise. */
const DEFAULT_GRACE_MS = 5_000

/**
 * Reads the interrupts of one turn from the session's log while the turn runs, notes each as taken, and stops the
 * agent: gracefully first, by force when the grace is over or the caller said `now`. `after` is the `seq` at which the
 * turn began; each event is looked at once.
 */
export function watchInterrupts(
  context: RunContext,
  sessionId: string,
  epoch: number,
  turnId: string,
  agent: AgentProcess,
  after: number,
  signal: AbortSignal,
): { seen(): boolean; ended: Promise<void> } {
  let seen = false
  let grace: NodeJS.Timeout | undefined
  const { log, clock } = context.sessions

  const obey = (event: EventRow) => {
    seen = true
    const { mode, grace_ms } = JSON.parse(event.body) as { mode: 'graceful' | 'now'; grace_ms?: number }
    clearTimeout(grace)
    if (mode === 'now') return agent.kill()
    grace = setTimeout(() => agent.kill(), grace_ms ?? DEFAULT_GRACE_MS)
    void agent.interrupt()
  }

  const watch = async () => {
    for await (const { row: event } of log.tail(sessionId, after, signal)) {
      if (event.type !== 'user.interrupt' || event.repeats !== null || event.turnId !== turnId) continue
      obey(event)
      const at = clock.now()
      const { id, type, seq } = event
      const body = JSON.parse(event.body) as Record<string, unknown>
      const taken = { id, type, turnId, threadId: null, processedAt: at, body, repeats: seq }
      await log.commit({ sessionId, at, epoch, events: [taken] })
    }
  }

  const ended = watch()
    .catch((error: unknown) => {
      // The run itself meets the same trouble and decides what to do about it.
      if (!(error instanceof StaleEpoch))
        context.logger.warn({ session: sessionId, err: error }, 'an interrupt could not be noted')
    })
    .finally(() => clearTimeout(grace))
  return { seen: () => seen, ended }
}
