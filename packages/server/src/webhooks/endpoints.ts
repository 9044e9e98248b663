import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { type CreateWebhookEndpoint, MAX_ENDPOINTS, type UpdateWebhookEndpoint } from '@troupe/protocol/webhook'
import type { Clock } from '../lib/clock.ts'
import { OUTBOX, type Wakeups } from '../log/wakeups.ts'
import type { SessionChange } from '../store/session-change.ts'
import {
  EndpointLimit,
  type EndpointPatch,
  type EndpointRow,
  NoSuchWebhook,
  type WebhookStore,
} from '../store/webhooks.ts'
import { newSecret } from './sign.ts'
import { AddressRefused, targetOf } from './target.ts'

/** What the use cases work with. They only write rows and ring; the deliverer is never called. */
export interface WebhookContext {
  store: WebhookStore
  wakeups: Wakeups
  clock: Clock
  /** Whether private addresses and plain http are allowed. */
  allowPrivate: boolean
}

/** The idempotency key of a request; what it did is noted with it. */
export type Key = { principal: string; key: string } | null

/** What was done, so that an answer that was lost can be given again. */
export const effectOf = (key: Key, result: object): SessionChange['effect'] =>
  key ? { ...key, result: JSON.stringify(result) } : undefined

/** How long an old secret signs beside the new one, unless the caller says otherwise. */
const OVERLAP_SECONDS = 86_400

/** Throws `webhook_url_refused`. */
function checkedUrl(text: string, allowPrivate: boolean): string {
  try {
    return targetOf(text, allowPrivate).href
  } catch (error) {
    if (error instanceof AddressRefused) throw new ApiError('webhook_url_refused', error.message)
    throw error
  }
}

const noEndpoint = (id: string) =>
  new ApiError('webhook_endpoint_not_found', `Webhook endpoint ${JSON.stringify(id)} does not exist.`)

/** Lets the store's "gone" be the caller's 404. */
async function known<T>(id: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof NoSuchWebhook ? noEndpoint(id) : error
  }
}

/** Throws `webhook_endpoint_not_found`. */
export async function requireEndpoint({ store }: WebhookContext, id: string): Promise<EndpointRow> {
  const endpoint = await store.readEndpoint(id)
  if (!endpoint) throw noEndpoint(id)
  return endpoint
}

/** Adds an endpoint; it hears what happens from now on. Throws `webhook_url_refused`, `webhook_endpoint_limit`. */
export async function createEndpoint(
  { store, clock, allowPrivate }: WebhookContext,
  workspaceId: string,
  request: CreateWebhookEndpoint,
  key: Key,
): Promise<EndpointRow> {
  const at = clock.now()
  const id = newId('whk')
  const row = {
    id,
    workspaceId,
    url: checkedUrl(request.url, allowPrivate),
    description: request.description ?? null,
    types: request.types ?? ['*'],
    names: request.names ?? ('stream' as const),
    include: request.include ?? [],
    status: 'enabled' as const,
    disabledReason: null,
    disabledAt: null,
    secret: newSecret(),
    previousSecret: null,
    previousUntil: null,
    lastDeliveredAt: null,
    createdAt: at,
    updatedAt: at,
  }
  try {
    return await store.createEndpoint(row, MAX_ENDPOINTS, effectOf(key, { id }))
  } catch (error) {
    if (!(error instanceof EndpointLimit)) throw error
    throw new ApiError('webhook_endpoint_limit', `There are ${MAX_ENDPOINTS} endpoints; delete one that is not needed.`)
  }
}

/** Changes what is given. An endpoint that is enabled anew is sent what waited. */
export async function updateEndpoint(
  { store, clock, wakeups, allowPrivate }: WebhookContext,
  id: string,
  { url, description, types, names, include, status }: UpdateWebhookEndpoint,
  key: Key,
): Promise<EndpointRow> {
  const patch: EndpointPatch = {
    ...(url !== undefined && { url: checkedUrl(url, allowPrivate) }),
    ...(description !== undefined && { description }),
    ...(types && { types }),
    ...(names && { names }),
    ...(include && { include }),
    ...(status && { status }),
  }
  const endpoint = await known(id, store.updateEndpoint(id, clock.now(), patch, effectOf(key, { id })))
  wakeups.ring(OUTBOX)
  return endpoint
}

/** Makes a new secret. The old one signs too for a while; one that was older still does not any more. */
export function rotateSecret(
  { store, clock }: WebhookContext,
  id: string,
  overlapSeconds: number | undefined,
  key: Key,
): Promise<EndpointRow> {
  const at = clock.now()
  const until = at + (overlapSeconds ?? OVERLAP_SECONDS) * 1000
  return known(id, store.rotateSecret(id, at, newSecret(), until, effectOf(key, { id })))
}

/** Ends an endpoint: what waits for it is not sent, and its log goes. */
export function deleteEndpoint({ store, clock }: WebhookContext, id: string, key: Key): Promise<void> {
  return known(id, store.deleteEndpoint(id, clock.now(), effectOf(key, { id })))
}
