import type { Conversation } from './conversation.ts'
import { parseSteps, type Failure, type Step } from './step.ts'

/** Scripts and failure counts that are kept; the oldest go first. */
const MAX_KEPT = 10_000

/** What the endpoint remembers besides its log: the scripts it was given, and how often a step has failed already. */
export class ScriptBook {
  readonly #scripts = new Map<string, Step[]>()
  readonly #failures = new Map<string, number>()

  /** The script holds for every prompt of the session from now on. Throws a StepError for unusable steps. */
  set(sessionId: string, steps: unknown): Step[] {
    const script = parseSteps(structuredClone(steps))
    keep(this.#scripts, sessionId, script)
    for (const key of this.#failures.keys())
      if (key.startsWith(`[${JSON.stringify(sessionId)},`)) this.#failures.delete(key)
    return script
  }

  get(sessionId: string | null): Step[] | undefined {
    return sessionId === null ? undefined : this.#scripts.get(sessionId)
  }

  delete(sessionId: string): boolean {
    return this.#scripts.delete(sessionId)
  }

  /** Whether this request is one of those that fail; counts it if so. A new prompt of the session counts anew. */
  fails(failure: Failure, conversation: Conversation): boolean {
    if (failure.times === undefined) return true
    const { sessionId, agentId, promptNumber, prompt, step } = conversation
    const key = JSON.stringify([sessionId, agentId, promptNumber, prompt, step])
    const failed = this.#failures.get(key) ?? 0
    if (failed >= failure.times) return false
    keep(this.#failures, key, failed + 1)
    return true
  }
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > MAX_KEPT) map.delete(map.keys().next().value ?? key)
}
