import type { SessionRow } from './session-row.ts'

/** Where a waiting session stands. */
export interface QueuePlace {
  /** 1 is next; 1,000 means that or more. */
  position: number
  /** As many sessions run as may with its `concurrencyKey`, or by the policy of its key or workspace; null: neither. */
  capped: 'concurrency_key' | 'policy' | null
}

export interface QueueKey {
  workspaceId: string
  principal: string
  concurrencyKey: string | null
  waiting: number
  running: number
  oldestQueuedAt: number | null
}

export interface QueueView {
  depth: number
  running: number
  oldestQueuedAt: number | null
  /** At most 100, those with the most waiting first. */
  keys: QueueKey[]
  /** The first in line, in order. */
  first: {
    position: number
    id: string
    priority: number
    concurrencyKey: string | null
    queuedAt: number
    capped: QueuePlace['capped']
  }[]
}

/** The part of the store's contract that is about sessions that wait for a slot. */
export interface QueueStore {
  /** Where a waiting session stands, by the order in which sessions would be taken if nothing that runs ended. */
  queuePlace(session: SessionRow, perKey: number): Promise<QueuePlace>
  queueDepth(): Promise<number>
  /** The line as one workspace sees it: its own sessions and keys, at their places among all. */
  readQueue(workspaceId: string, limit: number, perKey: number): Promise<QueueView>
  /** Sessions that have waited as long as they may, and when the next one will have. */
  findOverdue(at: number, limit: number): Promise<{ ids: string[]; next: number | null }>
}
