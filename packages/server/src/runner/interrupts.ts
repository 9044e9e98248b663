import type { EventRow } from '../store/store.ts'
import { StaleEpoch } from '../store/store.ts'
import type { AgentProcess } from './agent-process.ts'
import type { RunContext } from './session-run.ts'

/** Milliseconds a graceful interrupt may take before it becomes a kill, unless the caller says otherwise. */
const DEFAULT_GRACE_MS = 5_000

/**
 * Reads the interrupts of one turn from the session's log while the turn runs, notes each as taken, and stops the
 * agent: gracefully first, by force when the grace is over or the caller said `now`.
 */
export function watchInterrupts(
  context: RunContext,
  sessionId: string,
  epoch: number,
  turnId: string,
  agent: AgentProcess,
  signal: AbortSignal,
): { seen(): boolean; ended: Promise<void> } {
  let seen = false
  let grace: NodeJS.Timeout | undefined
  const { store, log, clock } = context.sessions

  const obey = (event: EventRow) => {
    seen = true
    const { mode, grace_ms } = JSON.parse(event.body) as { mode: 'graceful' | 'now'; grace_ms?: number }
    clearTimeout(grace)
    if (mode === 'now') return agent.kill()
    grace = setTimeout(() => agent.kill(), grace_ms ?? DEFAULT_GRACE_MS)
    void agent.interrupt()
  }

  const watch = async () => {
    using wakeup = context.wakeups.subscribe(sessionId)
    let cursor = 0
    while (!signal.aborted) {
      for (const event of await store.readInbox(sessionId, cursor, ['user.interrupt'])) {
        cursor = event.seq
        if (event.turnId !== turnId || event.processedAt !== null) continue
        const at = clock.now()
        obey(event)
        await log.commit({
          sessionId,
          at,
          epoch,
          events: [
            {
              id: event.id,
              type: event.type,
              turnId,
              threadId: null,
              processedAt: at,
              body: JSON.parse(event.body) as Record<string, unknown>,
              repeats: event.seq,
            },
          ],
        })
      }
      await wakeup.next(signal)
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
