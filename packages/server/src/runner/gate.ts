import type { Clock } from '../lib/clock.ts'
import type { Admission, Hold } from '../sessions/queue-status.ts'
import type { ClaimLimits } from '../store/leases.ts'
import type { MemoryBudget } from './memory-budget.ts'
import type { ModelBackoff } from './model-backoff.ts'

/** Leave to run one session: a slot and a share of the memory, held until the last process is gone. */
export interface Pass {
  assign(sessionId: string): void
  release(): void
}

/**
 * What must be there before a session is claimed: a slot, room in memory, and a model that is not being left alone. A
 * pass takes slot and memory in one step.
 */
export class Gate {
  readonly limits: ClaimLimits
  readonly #memory: MemoryBudget
  readonly #backoff: ModelBackoff
  readonly #clock: Clock
  readonly #makeRoom: () => void
  #used = 0

  /** `makeRoom` ends an agent that only rests, if there is one. */
  constructor(
    limits: ClaimLimits,
    memory: MemoryBudget,
    backoff: ModelBackoff,
    clock: Clock,
    makeRoom: () => void = () => undefined,
  ) {
    this.#makeRoom = makeRoom
    this.limits = limits
    this.#memory = memory
    this.#backoff = backoff
    this.#clock = clock
  }

  /** Slots that are taken. */
  get used(): number {
    return this.#used
  }

  /** Null when the next session has to wait; `admission` says for what. */
  pass(): Pass | null {
    if (this.#used >= this.limits.slots || this.#backoff.waitMs() > 0) return null
    const share = this.#memory.reserve(this.#clock.now())
    if (!share) {
      this.#makeRoom()
      return null
    }
    this.#used++
    let holder: string | undefined
    let released = false
    return {
      assign: (sessionId) => {
        holder = sessionId
        share.assign(sessionId)
        this.#backoff.taken()
      },
      release: () => {
        if (released) return
        released = true
        this.#used--
        share.release(holder)
      },
    }
  }

  /** Milliseconds after which a pass may be had without anybody's doing; null when something must end first. */
  waitMs(): number | null {
    return this.#backoff.waitMs() || null
  }

  get admission(): Admission {
    const now = this.#clock.now()
    return {
      slots: { max: this.limits.slots, used: this.#used },
      maxRunningPerKey: this.limits.perKey,
      memory: this.#memory.view(now),
      hold: this.#hold(now),
      backoffUntil: this.#backoff.until,
    }
  }

  #hold(now: number): Hold {
    if (this.#backoff.waitMs() > 0) return 'model_backoff'
    return this.#used < this.limits.slots && !this.#memory.hasRoom(now) ? 'waiting_for_memory' : 'waiting_for_slot'
  }
}
