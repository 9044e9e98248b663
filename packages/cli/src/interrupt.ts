import { EXIT } from './exit.ts'

/**
 * Ctrl+C while work is watched: the first asks `stop` to end it, the second leaves at once. `stop` is called when there
 * is something to stop, even if that is later.
 */
export class InterruptKey implements Disposable {
  readonly #say: (message: string) => void
  #stop: (() => Promise<void>) | null = null
  #pressed = false

  constructor(say: (message: string) => void) {
    this.#say = say
    process.on('SIGINT', this.#onSignal)
  }

  get pressed(): boolean {
    return this.#pressed
  }

  /** From now on this is how the work is stopped. */
  arm(stop: () => Promise<void>): void {
    const isFirst = this.#stop === null
    this.#stop = stop
    if (isFirst && this.#pressed) this.#run()
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal)
  }

  readonly #onSignal = () => {
    if (this.#pressed) process.exit(EXIT.interrupted)
    this.#pressed = true
    this.#say('Interrupting; Ctrl+C again leaves at once.')
    this.#run()
  }

  #run(): void {
    this.#stop?.().catch((error: Error) => this.#say(`The interrupt was not sent: ${error.message}`))
  }
}
