import { type Paint, paintFor } from './paint.ts'

/** The parts of a stream that are needed to write to it. */
export type Out = Pick<NodeJS.WriteStream, 'write'> & { isTTY?: boolean; columns?: number }

/**
 * Where a command shows work: the agent's words on one stream, everything about them on the other, so that
 * `troupe run … > answer.txt` holds the answer alone. Both may be one terminal.
 */
export class Screen {
  readonly paint: Paint
  readonly #words: Out
  readonly #notes: Out
  #midLine = false
  #passing = false

  constructor(words: Out = process.stdout, notes: Out = process.stderr) {
    this.#words = words
    this.#notes = notes
    this.paint = paintFor(notes)
  }

  /** Columns of a terminal; a file has as many as it needs. */
  get width(): number {
    return this.#notes.isTTY ? this.#notes.columns || 80 : Infinity
  }

  /** Writes clean text as it comes. */
  write(text: string): void {
    if (text === '') return
    this.#clearPassing()
    this.#words.write(text)
    this.#midLine = !text.endsWith('\n')
  }

  endLine(): void {
    if (this.#midLine) this.write('\n')
  }

  /** A whole line about the work. */
  note(text: string): void {
    this.endLine()
    this.#clearPassing()
    this.#notes.write(`${text}\n`)
  }

  /** A line that the next output replaces; only a terminal shows it, and never inside the agent's words. */
  passing(text: string): void {
    if (!this.#notes.isTTY || this.#midLine) return
    this.#clearPassing()
    this.#notes.write(text)
    this.#passing = true
  }

  #clearPassing(): void {
    if (this.#passing) this.#notes.write('\r\x1b[K')
    this.#passing = false
  }
}
