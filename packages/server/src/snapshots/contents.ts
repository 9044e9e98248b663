import { exitOf, type Git } from './git.ts'
import { NoSnapshot } from './limits.ts'

/** Contents by name, in the order asked for. One in memory at a time. Throws `NoSnapshot` where one is missing. */
export async function* readContents(git: Git, gitDir: string, oids: string[]): AsyncGenerator<Buffer, void, void> {
  if (oids.length === 0) return
  const child = git.start(gitDir, ['cat-file', '--batch'])
  const exit = exitOf(child, 'cat-file')
  try {
    child.stdin.end(`${oids.join('\n')}\n`)
    const answer = new Answer((child.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]())
    for (const oid of oids) {
      const line = (await answer.until(10)).toString()
      const match = /^[0-9a-f]{40} blob (\d+)\n$/.exec(line)
      if (!match) throw new NoSnapshot('failed', `A content of the snapshot cannot be read: ${line.trim()} (${oid}).`)
      const data = await answer.take(Number(match[1]) + 1)
      yield data.subarray(0, -1)
    }
    await exit
  } finally {
    child.kill('SIGKILL')
  }
}

/** Takes pieces from what a process says. */
class Answer {
  readonly #chunks: AsyncIterator<Buffer>
  #held: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterator<Buffer>) {
    this.#chunks = chunks
  }

  /** Up to and including the next byte of this value. */
  async until(byte: number): Promise<Buffer> {
    for (let at = this.#held.indexOf(byte); ; at = this.#held.indexOf(byte)) {
      if (at >= 0) return this.take(at + 1)
      this.#held = Buffer.concat([this.#held, await this.#next()])
    }
  }

  async take(length: number): Promise<Buffer> {
    const pieces = [this.#held]
    let size = this.#held.length
    for (; size < length; size += pieces.at(-1)!.length) pieces.push(await this.#next())
    const all = pieces.length === 1 ? this.#held : Buffer.concat(pieces)
    this.#held = all.subarray(length)
    return all.subarray(0, length)
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#chunks.next()
    if (done) throw new NoSnapshot('failed', 'git cat-file ended early.')
    return value
  }
}
