import type { SessionRow } from './session-row.ts'

/** What a claim must keep to. */
export interface ClaimLimits {
  /** Sessions that the holder may hold. */
  slots: number
  /** Sessions with the same `concurrencyKey` of one principal that may be held. */
  perKey: number
}

/** The part of the store's contract that is about who holds a session, and until when. */
export interface LeaseStore {
  /**
   * Takes the session that is next: the highest priority; within it the key (principal and `concurrencyKey`) with the
   * fewest sessions running; then the longest waiting. Nobody has more running than the policies of its key and workspace
   * let (`max_running`). New epoch, lease until `leaseUntil`. Null when none waits that
   * the limits allow. One atomic step, whose cost does not grow with the number of keys.
   */
  claimNext(holder: string, at: number, leaseUntil: number, limits: ClaimLimits): Promise<SessionRow | null>
  /** Takes a session whose last run is known to be dead, for reconciliation: new epoch. */
  seize(sessionId: string, holder: string, leaseUntil: number): Promise<SessionRow | null>
  /** Prolongs all leases of a holder. */
  renewLeases(holder: string, leaseUntil: number): Promise<void>
  /** Sessions that are held, by whomever, or have work and neither a holder nor a place in the queue. */
  findHeld(): Promise<string[]>
}
