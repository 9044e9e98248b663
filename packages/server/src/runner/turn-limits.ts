import type { TurnOutcome } from '../sessions/end-turn.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import type { AgentProcess } from './agent-process.ts'
import { turnTimedOut } from './session-errors.ts'

/** Milliseconds an agent that reached a limit is given to end its turn before it is killed. */
const GRACE_MS = 5_000

/** Longest time a timer can be set to, in ms; a longer one is set again. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Ends a turn that has reached a limit: asks the agent to stop, kills it when the grace is over, and says so in the
 * outcome. `end` must be called when the turn is over.
 */
export class TurnLimits {
  readonly #agent: AgentProcess
  readonly #seconds: number | null
  #timer: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined
  #reached: 'timeout' | 'budget' | null = null
  #over = false

  /** The time counts from when the agent first took the turn, over restarts of server and agent too. */
  constructor(agent: AgentProcess, session: SessionRow, turn: TurnRow, now: () => number) {
    this.#agent = agent
    this.#seconds = session.options.turnTimeoutSeconds ?? null
    if (this.#seconds === null) return
    const until = (turn.startedAt ?? now()) + this.#seconds * 1000
    const wait = () => {
      const left = until - now()
      if (left <= 0) this.reach('timeout')
      else this.#timer = setTimeout(wait, Math.min(left, MAX_TIMER_MS))
    }
    wait()
  }

  /** Stops the turn for this limit; only the first one counts. */
  reach(limit: 'timeout' | 'budget'): void {
    if (this.#reached || this.#over) return
    this.#reached = limit
    this.#grace = setTimeout(() => this.#agent.kill(), GRACE_MS)
    void this.#agent.interrupt()
  }

  /** Whether the agent was asked to stop, and must not be given another turn. */
  get reached(): boolean {
    return this.#reached !== null
  }

  end(): void {
    this.#over = true
    clearTimeout(this.#timer)
    clearTimeout(this.#grace)
  }

  /**
   * The outcome as the limit makes it. A turn that was done all the same, that somebody stopped, or that waits for a
   * person stays what it is.
   */
  overrule(outcome: TurnOutcome, interrupted: boolean): TurnOutcome {
    if (!this.#reached || interrupted || outcome.status === 'completed') return outcome
    if (outcome.status === 'failed' && outcome.error?.code === 'server_restarted') return outcome
    if (this.#reached === 'budget')
      return { ...outcome, status: 'completed', stopReason: { type: 'budget_reached' }, error: null }
    return { ...outcome, status: 'failed', stopReason: { type: 'timeout' }, error: turnTimedOut(this.#seconds!) }
  }
}
