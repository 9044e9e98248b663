import { setTimeout as delay } from 'node:timers/promises'
import type { MemoryBudget } from './memory-budget.ts'
import { measureTrees } from './process-memory.ts'

/** Between two measurements, in ms; longer where there are so many processes that one takes long. */
const EVERY_MS = 2_000
/** A measurement may take this part of the time. */
const PART = 20

/** Measures what the agents take, every couple of seconds while there are any, until `signal` ends it. Never rejects. */
export async function meterMemory(
  budget: MemoryBudget,
  agents: () => ReadonlyMap<number, string>,
  onMeasured: () => void,
  signal: AbortSignal,
): Promise<void> {
  let pause = EVERY_MS
  while (!signal.aborted) {
    await delay(pause, undefined, { signal }).catch(() => undefined)
    if (signal.aborted || agents().size === 0) continue
    const begun = performance.now()
    await measureAgents(budget, agents()).catch(() => undefined)
    onMeasured()
    pause = Math.max(EVERY_MS, (performance.now() - begun) * PART)
  }
}

/** One measurement. A session whose last agent is still on its way out has two. */
export async function measureAgents(budget: MemoryBudget, agents: ReadonlyMap<number, string>): Promise<void> {
  const sessionOf = new Map(agents)
  const sums = new Map<string, number>()
  for (const [pid, bytes] of await measureTrees([...sessionOf.keys()])) {
    const sessionId = sessionOf.get(pid)!
    sums.set(sessionId, (sums.get(sessionId) ?? 0) + bytes)
  }
  budget.note(sums)
}
