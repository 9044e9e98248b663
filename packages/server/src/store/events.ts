export interface NewEvent {
  id: string
  type: string
  turnId: string | null
  threadId: string | null
  /** When the agent took it; null for an input it has not taken yet. */
  processedAt: number | null
  /** The payload fields, which stand beside the envelope's on the wire. */
  body: Record<string, unknown>
  /** The `seq` of the event this one repeats under the same id. */
  repeats?: number
}

/** One entry of a session's log as stored. `body` is JSON text: most readers only pass it on. */
export interface EventRow {
  sessionId: string
  seq: number
  id: string
  repeats: number | null
  type: string
  turnId: string | null
  threadId: string | null
  createdAt: number
  processedAt: number | null
  body: string
}

export interface EventFilter {
  /** Events of one subagent; null: what is not inside of any subagent. */
  threadId?: string | null | undefined
  types?: string[] | undefined
  turnId?: string | undefined
  afterSeq?: number | undefined
  beforeSeq?: number | undefined
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
}

export interface MessageRow {
  n: number
  turnId: string | null
  createdAt: number
  /** The SDK's message, whole, as JSON text. */
  body: string
}

/** The part of the store's contract that reads logs. They are written by changes. */
export interface EventStore {
  /**
   * Events with `seq` greater than `after`, in order: what a tail reads. At most `limit`, and no more once their bodies
   * exceed a million characters; empty only when there are none.
   */
  readEvents(sessionId: string, after: number, limit: number): Promise<EventRow[]>
  /** Each event once: its newest form, at its first `seq`. */
  listEvents(
    sessionId: string,
    filter: EventFilter,
    order: 'asc' | 'desc',
    limit: number,
  ): Promise<{ rows: EventRow[]; more: boolean }>
  /** The newest form of an event. */
  readEvent(sessionId: string, eventId: string): Promise<EventRow | null>
  readMessages(sessionId: string, after: number, limit: number): Promise<MessageRow[]>
}
