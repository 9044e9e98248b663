import type { CallJudge } from './agent-process.ts'
import { BROKEN } from './approval-gate.ts'

/** Where the run sits that an agent process works for: it judges the calls. With nobody in it, every call is refused. */
export class Seat {
  #judge: CallJudge | null = null

  take(judge: CallJudge): void {
    this.#judge = judge
  }

  leave(): void {
    this.#judge = null
  }

  readonly judge: CallJudge = (...call) =>
    this.#judge?.(...call) ?? Promise.resolve({ type: 'deny' as const, message: BROKEN })
}
