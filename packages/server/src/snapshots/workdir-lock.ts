/** One at a time for each folder, in the order asked: a snapshot, a copy, a rewind. Within this server. */
export class WorkdirLock {
  readonly #last = new Map<string, Promise<unknown>>()

  async run<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(folder) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.catch(() => undefined)
    this.#last.set(folder, settled)
    try {
      return await mine
    } finally {
      if (this.#last.get(folder) === settled) this.#last.delete(folder)
    }
  }
}
