import type { Usage } from './step.ts'

export interface RecordedRequest {
  /** When it arrived, in milliseconds since the epoch. */
  readonly at: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly sessionId: string | null
  /** Set for a request of a subagent. */
  readonly agentId: string | null
  readonly model: string | null
  readonly stream: boolean
  /** The latest prompt of a person, without reminders. */
  readonly lastUserText: string | null
  /** Responses that follow that prompt already: the index of the step this request plays. */
  readonly step: number
  readonly messageCount: number
  readonly toolNames: readonly string[]
  readonly systemText: string
  /** What the system says in the midst of the conversation, oldest first. */
  readonly systemMessages: readonly string[]
  /** Null until the answer begins; a request that hangs never gets one. */
  readonly status: number | null
  /** What the answer says it used; null until it says so, and for errors. */
  readonly usage: Readonly<Usage> | null
  /** `disconnected`: the client left, or the endpoint closed, before the answer was complete. */
  readonly outcome: 'pending' | 'answered' | 'disconnected'
}

type Waiter = (request: RecordedRequest) => void
type Match = (request: RecordedRequest) => boolean
type Change = Partial<Pick<RecordedRequest, 'status' | 'usage' | 'outcome'>>

const MAX_REQUESTS = 10_000
/** System prompts make up nearly all of what is kept. */
const MAX_CHARS = 64_000_000

/**
 * The requests so far, oldest first. Keeps the latest 10,000, or fewer when they hold more than 64 million characters
 * of text. An entry is recorded when its request arrives, and its last three fields fill in as it is answered.
 */
export class RequestLog {
  #entries: RecordedRequest[] = []
  #chars = 0
  readonly #waiters = new Set<Waiter>()

  get length(): number {
    return this.#entries.length
  }

  [Symbol.iterator](): IterableIterator<RecordedRequest> {
    return this.#entries.values()
  }

  /** The entries in a list of their own; only those of one session if it is named. */
  list(sessionId?: string): RecordedRequest[] {
    return this.#entries.filter((entry) => sessionId === undefined || entry.sessionId === sessionId)
  }

  clear(): void {
    this.#entries = []
    this.#chars = 0
  }

  /** Records a request; the function returned fills in how it went on. */
  add(request: RecordedRequest): (change: Change) => void {
    const entry = { ...request }
    this.#entries.push(entry)
    this.#chars += sizeOf(entry)
    while (this.#entries.length > MAX_REQUESTS || (this.#chars > MAX_CHARS && this.#entries.length > 1)) {
      this.#chars -= sizeOf(this.#entries.shift() ?? entry)
    }
    this.#tell(entry)
    return (change) => {
      Object.assign(entry, change)
      this.#tell(entry)
    }
  }

  /**
   * The first request that matches, of those recorded already or else of those to come. Every request is looked at
   * when it arrives and again at each change. Rejects with the signal's reason, if that is aborted first.
   */
  async next(match: Match, signal?: AbortSignal): Promise<RecordedRequest> {
    signal?.throwIfAborted()
    const known = this.#entries.find(match)
    if (known) return known
    const { promise, resolve, reject } = Promise.withResolvers<RecordedRequest>()
    const waiter: Waiter = (request) => {
      try {
        if (match(request)) resolve(request)
      } catch (error) {
        reject(error)
      }
    }
    const aborted = () => reject(signal?.reason)
    signal?.addEventListener('abort', aborted)
    this.#waiters.add(waiter)
    try {
      return await promise
    } finally {
      this.#waiters.delete(waiter)
      signal?.removeEventListener('abort', aborted)
    }
  }

  #tell(request: RecordedRequest): void {
    for (const waiter of this.#waiters) waiter(request)
  }
}

function sizeOf(entry: RecordedRequest): number {
  return entry.systemText.length + entry.systemMessages.join('').length + (entry.lastUserText?.length ?? 0) + 500
}
