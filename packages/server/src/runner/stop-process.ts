import { setTimeout as delay } from 'node:timers/promises'
import type { AgentChild, AgentExit } from './spawn-agent.ts'

/** Milliseconds each step is given before the next. */
export const STOP_STEPS = { afterEof: 3_000, afterTerm: 2_000 }
/** The same behind an interrupt: the agent has answered it, and only waits for a tool that does not end (1.5 s, measured). */
export const INTERRUPTED_STEPS = { afterEof: 300, afterTerm: 100 }

/**
 * Stops an agent in steps: its input has ended; then TERM to the group, then KILL to the group. Resolves when the
 * process is gone and its group swept.
 */
export async function stopProcess(child: AgentChild, endInput: () => void, steps = STOP_STEPS): Promise<AgentExit> {
  endInput()
  if (!(await endsWithin(child, steps.afterEof))) {
    child.signal('SIGTERM')
    if (!(await endsWithin(child, steps.afterTerm))) child.signal('SIGKILL')
  }
  return child.exited
}

async function endsWithin(child: AgentChild, ms: number): Promise<boolean> {
  const patience = new AbortController()
  const ended = child.exited.then(() => true)
  const timedOut = delay(ms, false, { signal: patience.signal }).catch(() => false)
  try {
    return await Promise.race([ended, timedOut])
  } finally {
    patience.abort()
  }
}
