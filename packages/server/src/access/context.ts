import type { Clock } from '../lib/clock.ts'
import type { KeyStore } from '../store/keys.ts'
import type { SessionChange } from '../store/session-change.ts'

/** What the use cases of this room work with. */
export interface AccessContext {
  keys: KeyStore
  clock: Clock
  /** Whether a key is needed; otherwise whoever asks is `LOCAL_CALLER`. */
  required: boolean
}

/** The idempotency key of a request; what it did is noted with it. */
export type Key = { principal: string; key: string } | null

export const effectOf = (key: Key, result: object): SessionChange['effect'] =>
  key ? { ...key, result: JSON.stringify(result) } : undefined
