import { idToUuid } from '@troupe/protocol/ids'
import type { EventRow } from '../store/events.ts'

/** Where the inputs of a run's turns are: on their way to the agent, taken by it, or held back from it. */
export class TurnInputs {
  #taken = new Set<string>()
  /** Given to the live process, which may not have taken them yet; by the uuid it knows them by. */
  readonly #sent = new Map<string, EventRow>()
  /** Came for the turn while a call of it waits for an answer; they follow the answer. */
  #withheld: EventRow[] = []

  /** `taken`: the inputs that the turn's agent has, or is given as it begins. */
  beginTurn(taken: Iterable<string>): void {
    this.#taken = new Set(taken)
    this.#withheld = []
  }

  get taken(): ReadonlySet<string> {
    return this.#taken
  }

  /** Whether the process has been sent input that it has not taken. */
  get underway(): boolean {
    return this.#sent.size > 0
  }

  isSent({ id }: EventRow): boolean {
    return this.#sent.has(idToUuid(id))
  }

  sent(event: EventRow): void {
    this.#sent.set(idToUuid(event.id), event)
  }

  withhold(event: EventRow): void {
    this.#withheld.push(event)
  }

  /** What was held back; it is not held back any more. */
  released(): EventRow[] {
    return this.#withheld.splice(0)
  }

  /** The agent says it has taken an input; null when that is known. */
  take(uuid: string): EventRow | null {
    const event = this.#sent.get(uuid)
    this.#sent.delete(uuid)
    if (!event || this.#taken.has(event.id)) return null
    this.#taken.add(event.id)
    return event
  }

  /** The process is gone, and what it had not taken with it. */
  forgetSent(): void {
    this.#sent.clear()
  }
}
