/** The idempotency key under which something was done, and what it was. */
export interface Effect {
  principal: string
  key: string
  result: string
}

export interface IdempotencyRecord {
  fingerprint: string
  state: 'running' | 'done'
  effect: string | null
  status: number | null
  body: string | null
}

/** The part of the store's contract that is about requests that may come twice. */
export interface IdempotencyStore {
  /** Claims an idempotency key: null when it was free, else what is known of its first use. */
  beginIdempotent(principal: string, key: string, fingerprint: string, at: number): Promise<IdempotencyRecord | null>
  finishIdempotent(principal: string, key: string, status: number, body: string): Promise<void>
  /** Frees a key whose request had no effect. */
  abandonIdempotent(principal: string, key: string): Promise<void>
}
