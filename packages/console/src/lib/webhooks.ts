import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { WebhookDelivery, WebhookEndpoint } from '@troupe/protocol/webhook'
import { json } from './api.ts'

export const ENDPOINTS_PATH = '/v1/webhook_endpoints'
export const endpointPath = (id: string, ...rest: string[]) =>
  [ENDPOINTS_PATH, ...[id, ...rest].map(encodeURIComponent)].join('/')

/** Deliveries that are shown at first, and more each time. */
export const DELIVERIES = 25
const KEY = ['webhooks'] as const
/** Everything that is shown of webhooks. */
export const webhooksKey = KEY

/** All of them: a server has at most 32. */
export const endpointsQuery = queryOptions({
  queryKey: [...KEY, 'endpoints'],
  queryFn: ({ signal }) => json<Page<WebhookEndpoint>>('GET', ENDPOINTS_PATH, { query: { limit: 100 }, signal }),
  refetchInterval: 10_000,
})
/** The newest `limit` deliveries of an endpoint, at most 1,000. */
export const deliveriesQuery = (id: string, limit: number) =>
  queryOptions({
    queryKey: [...KEY, 'deliveries', id, limit],
    queryFn: ({ signal }) =>
      json<Page<WebhookDelivery>>('GET', endpointPath(id, 'deliveries'), { query: { limit }, signal }),
    refetchInterval: 5_000,
    placeholderData: (previous) => previous,
  })

export interface NewEndpoint {
  url: string
  description?: string
  types: string[]
}
/** The answer holds the secret that signs; null or absent where an earlier try's answer was lost. */
export const createEndpoint = (body: NewEndpoint) => json<WebhookEndpoint>('POST', ENDPOINTS_PATH, { body })
export const changeEndpoint = (id: string, status: 'enabled' | 'disabled') =>
  json<WebhookEndpoint>('POST', endpointPath(id), { body: { status } })
export const deleteEndpoint = (id: string) => json<unknown>('DELETE', endpointPath(id))
/** As `createEndpoint`; the old secret signs for a day too. */
export const rotateSecret = (id: string) =>
  json<WebhookEndpoint>('POST', endpointPath(id, 'rotate_secret'), { body: {} })
/** Resolves within 12 s with what came of one attempt. */
export const testEndpoint = (id: string) => json<WebhookDelivery>('POST', endpointPath(id, 'test'), { body: {} })
export const redeliver = (id: string, deliveryId: string) =>
  json<WebhookDelivery>('POST', endpointPath(id, 'deliveries', deliveryId, 'redeliver'), { body: {} })
