import type { DeliveryStatus, WebhookNames } from '@troupe/protocol/webhook'
import type { Effect } from './idempotency.ts'

export type DisabledReason = 'requested' | 'gone' | 'redirected' | 'address_refused' | 'failing'

export interface EndpointRow {
  id: string
  /** It hears of what belongs to this workspace. */
  workspaceId: string
  url: string
  description: string | null
  types: string[]
  names: WebhookNames
  include: 'session'[]
  status: 'enabled' | 'disabled'
  disabledReason: DisabledReason | null
  disabledAt: number | null
  /** `whsec_…`, as it is: signing needs it. */
  secret: string
  /** Signs too until `previousUntil`. */
  previousSecret: string | null
  previousUntil: number | null
  /** Only what stands in the outbox after this place is queued by itself: an endpoint hears what comes after it. */
  afterN: number
  enabledAt: number
  lastDeliveredAt: number | null
  createdAt: number
  updatedAt: number
}

/** The fields a caller may change. */
export type EndpointPatch = Partial<Pick<EndpointRow, 'url' | 'description' | 'types' | 'names' | 'include' | 'status'>>

/** What is told, as the outbox holds it: names and numbers, nothing of what was said. */
export interface ToldEvent {
  eventId: string
  /** The stream name. */
  type: string
  /** The session; of `webhook*` the endpoint. */
  sessionId: string
  turnId: string | null
  threadId: string | null
  /** 0 where the event is not in a log. */
  seq: number
  occurredAt: number
}

export interface OutboxRow extends ToldEvent {
  workspaceId: string
  /** Grows with each row and is never used again. */
  n: number
}

/** One attempt, as the delivery log keeps it. */
export interface Attempt {
  at: number
  durationMs: number
  httpStatus: number | null
  error: string | null
}

export interface DeliveryRow extends ToldEvent {
  id: string
  endpointId: string
  status: DeliveryStatus
  /** Since it was last queued. */
  attemptCount: number
  /** Number of the newest claim: what an older one learnt is not noted. */
  claim: number
  nextAt: number | null
  /** The newest, newest last. */
  attempts: Attempt[]
  responseBody: string | null
  createdAt: number
  /** When it was last queued: at first, by a redelivery or by a replay. */
  queuedAt: number
  deliveredAt: number | null
}

export interface NewDelivery extends ToldEvent {
  id: string
  endpointId: string
}

/** What an attempt came to. */
export interface AttemptNote {
  id: string
  claim: number
  attempt: Attempt
  responseBody: string | null
  status: DeliveryStatus
  /** When to try again, while it is pending. */
  nextAt: number | null
  /**
   * Why the endpoint is to be disabled with it. `failing` is done only if nothing has got through since the delivery
   * was queued, and the endpoint was enabled all that time.
   */
  disable: DisabledReason | null
  /** Id of the event that tells of it. */
  disabledEventId: string
}

export interface DeliveryFilter {
  statuses?: DeliveryStatus[] | undefined
  types?: string[] | undefined
  sessionId?: string | undefined
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
}

/** There are as many endpoints as there may be. */
export class EndpointLimit extends Error {
  override readonly name = 'EndpointLimit'
}

/** The endpoint (or delivery) is gone. */
export class NoSuchWebhook extends Error {
  override readonly name = 'NoSuchWebhook'
}

/** The part of the store's contract that is about webhooks. Like the rest: what a resolved write wrote is on disk. */
export interface WebhookStore {
  /** Adds an endpoint that hears what is told from now on. Throws `EndpointLimit` when its workspace has `limit`. */
  createEndpoint(row: Omit<EndpointRow, 'afterN' | 'enabledAt'>, limit: number, effect?: Effect): Promise<EndpointRow>
  /**
   * Changes an endpoint. One that is enabled anew hears what is told from then on, and what waited is sent; one that is
   * disabled here has the reason `requested`. Throws `NoSuchWebhook`.
   */
  updateEndpoint(id: string, at: number, patch: EndpointPatch, effect?: Effect): Promise<EndpointRow>
  /** The new secret signs at once, the one before it until `previousUntil`. Throws `NoSuchWebhook`. */
  rotateSecret(id: string, at: number, secret: string, previousUntil: number, effect?: Effect): Promise<EndpointRow>
  /** Takes an endpoint away, its secrets at once; its log goes by `purge`. Throws `NoSuchWebhook`. */
  deleteEndpoint(id: string, at: number, effect?: Effect): Promise<void>
  readEndpoint(id: string): Promise<EndpointRow | null>
  /** Those of a workspace (null: of all), oldest first. */
  listEndpoints(workspaceId: string | null): Promise<EndpointRow[]>

  /** What the outbox holds after the fan-out's cursor, in order, and that cursor. */
  readUntold(limit: number): Promise<{ cursor: number; rows: OutboxRow[] }>
  /**
   * Queues deliveries and moves the cursor from where they were read to `to`, in one transaction. Does nothing, and
   * says false, when the cursor stands elsewhere. Deliveries to endpoints that are gone, disabled or younger than the
   * row are left out, and so is what is queued already.
   */
  fanOut(cursor: number, to: number, deliveries: (NewDelivery & { n: number })[], at: number): Promise<boolean>
  /** Outbox rows of a workspace with `from <= occurredAt < to`, by (time, n), after `after`. */
  readTold(
    workspaceId: string,
    from: number,
    to: number,
    after: { at: number; n: number } | null,
    limit: number,
  ): Promise<OutboxRow[]>
  /** Queues deliveries of an endpoint, anew where they are known, for now; says how many. What is under way stays so. */
  queueAgain(deliveries: NewDelivery[], at: number, effect?: Effect): Promise<number>

  /** When the next delivery of an enabled endpoint is due, a claimed one at the end of its claim; null when none is. */
  nextDue(): Promise<number | null>
  /**
   * Takes deliveries that are due, oldest first: of each enabled endpoint as many as `perEndpoint` leaves beside those
   * it has in flight. If no `note` follows they are due again at `until`.
   */
  claimDue(
    claim: { holder: string; at: number; until: number },
    perEndpoint: number,
    inFlight: Record<string, number>,
  ): Promise<DeliveryRow[]>
  /** Notes an attempt unless the delivery was claimed anew; says whether the endpoint was disabled by it. */
  note(note: AttemptNote): Promise<boolean>
  /** Frees the claims `of` a holder, or of all `but` it as at boot; they are due at once. */
  releaseClaims(which: 'of' | 'but', holder: string, at: number): Promise<void>

  readDelivery(endpointId: string, id: string): Promise<DeliveryRow | null>
  listDeliveries(
    endpointId: string,
    filter: DeliveryFilter,
    order: 'asc' | 'desc',
    limit: number,
    from: { at: number; id: string } | null,
  ): Promise<{ rows: DeliveryRow[]; more: boolean }>
  /**
   * Drops up to `limit` deliveries: those of deleted endpoints, and those made before `before` that have ended or wait
   * for a disabled endpoint. Says how many; 0 means that nothing is left to drop.
   */
  purge(before: number, limit: number): Promise<number>
}
