import {
  CreateWebhookEndpoint,
  DeletedWebhookEndpoint,
  ListWebhookDeliveries,
  Replayed,
  ReplayWebhooks,
  RotateSecret,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookEndpoint,
  WebhookEndpointList,
} from '@troupe/protocol/webhook'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { isoOr } from '../../log/wire.ts'
import { type Replay, redeliver, replay, requireDelivery, testEndpoint } from '../../webhooks/deliveries.ts'
import {
  createEndpoint,
  deleteEndpoint,
  requireEndpoint,
  rotateSecret,
  updateEndpoint,
} from '../../webhooks/endpoints.ts'
import { deliveryToWire, endpointToWire } from '../../webhooks/wire.ts'
import { createdAtRange, sessionIdOf } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { callerGone } from '../wait.ts'

const tags = ['Webhooks']
const EndpointParams = z.object({ webhook_endpoint_id: z.string().max(256).describe('`whk_…`') })
const DeliveryParams = EndpointParams.extend({ delivery_id: z.string().max(256).describe('`whd_…`') })
const ENDPOINTS = '/v1/webhook_endpoints'
const ENDPOINT = `${ENDPOINTS}/:webhook_endpoint_id` as const

/** What the first request with this key did before its answer was lost; null when this is the first. */
const doneBefore = <T>({ replayEffect }: FastifyRequest): T | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as T)

export function webhookRoutes(server: Server, { webhooks, cursors, clock, closing }: RouteContext): void {
  const { store } = webhooks

  server.post(
    ENDPOINTS,
    {
      schema: {
        tags,
        summary: 'Create a webhook endpoint',
        description: 'It hears what happens from now on. The answer holds its secret, and no later one does.',
        body: CreateWebhookEndpoint,
        response: replies(WebhookEndpoint),
      },
    },
    async (request, reply) => {
      const done = doneBefore<{ id: string }>(request)
      const endpoint = done
        ? await requireEndpoint(webhooks, done.id)
        : await createEndpoint(webhooks, request.caller.workspaceId, request.body, request.idempotency)
      return reply.send(endpointToWire(endpoint, clock.now(), true))
    },
  )

  server.get(
    ENDPOINTS,
    { schema: { tags, summary: 'List webhook endpoints, oldest first', response: replies(WebhookEndpointList) } },
    async (request, reply) => {
      const now = clock.now()
      const endpoints = await store.listEndpoints(request.caller.workspaceId)
      return reply.send({
        data: endpoints.map((endpoint) => endpointToWire(endpoint, now)),
        next_page: null,
        prev_page: null,
      })
    },
  )

  server.get(
    ENDPOINT,
    {
      schema: {
        tags,
        summary: 'Retrieve a webhook endpoint',
        params: EndpointParams,
        response: replies(WebhookEndpoint),
      },
    },
    async (request, reply) => {
      const endpoint = await requireEndpoint(webhooks, request.params.webhook_endpoint_id)
      return reply.send(endpointToWire(endpoint, clock.now()))
    },
  )

  server.post(
    ENDPOINT,
    {
      schema: {
        tags,
        summary: 'Change a webhook endpoint',
        params: EndpointParams,
        body: UpdateWebhookEndpoint,
        response: replies(WebhookEndpoint),
      },
    },
    async (request, reply) => {
      const id = request.params.webhook_endpoint_id
      const endpoint = doneBefore(request)
        ? await requireEndpoint(webhooks, id)
        : await updateEndpoint(webhooks, id, request.body, request.idempotency)
      return reply.send(endpointToWire(endpoint, clock.now()))
    },
  )

  server.delete(
    ENDPOINT,
    {
      schema: {
        tags,
        summary: 'Delete a webhook endpoint',
        description: 'What waits for it is not sent, and its log goes with it.',
        params: EndpointParams,
        response: replies(DeletedWebhookEndpoint),
      },
    },
    async (request, reply) => {
      const id = request.params.webhook_endpoint_id
      if (!doneBefore(request)) await deleteEndpoint(webhooks, id, request.idempotency)
      return reply.send({ type: 'webhook_endpoint_deleted', id })
    },
  )

  server.post(
    `${ENDPOINT}/rotate_secret`,
    {
      schema: {
        tags,
        summary: 'Make a new secret',
        description: 'The old one signs too until the overlap is over, so that receivers can change it without a gap.',
        params: EndpointParams,
        body: RotateSecret,
        response: replies(WebhookEndpoint),
      },
    },
    async (request, reply) => {
      const id = request.params.webhook_endpoint_id
      const endpoint = doneBefore(request)
        ? await requireEndpoint(webhooks, id)
        : await rotateSecret(webhooks, id, request.body?.overlap_seconds, request.idempotency)
      return reply.send(endpointToWire(endpoint, clock.now(), true))
    },
  )

  server.post(
    `${ENDPOINT}/test`,
    {
      schema: {
        tags,
        summary: 'Send webhook.test',
        description: 'One attempt, without consequences; the answer says what came of it, within 12 s.',
        params: EndpointParams,
        response: replies(WebhookDelivery),
      },
    },
    async (request, reply) => {
      const id = request.params.webhook_endpoint_id
      const done = doneBefore<{ id: string }>(request)
      const delivery = done
        ? await requireDelivery(webhooks, id, done.id)
        : await testEndpoint(webhooks, id, request.idempotency, callerGone(reply, closing))
      return reply.send(deliveryToWire(delivery))
    },
  )

  server.get(
    `${ENDPOINT}/deliveries`,
    {
      schema: {
        tags,
        summary: 'List what was sent and what waits, newest first',
        description: 'Kept for 30 days.',
        params: EndpointParams,
        querystring: ListWebhookDeliveries,
        response: replies(WebhookDeliveryList),
      },
    },
    async (request, reply) => {
      const id = request.params.webhook_endpoint_id
      const query = request.query
      await requireEndpoint(webhooks, id)
      const order = query.order ?? 'desc'
      const filter = {
        statuses: query['statuses[]'],
        types: query['types[]'],
        sessionId: query.session_id === undefined ? undefined : sessionIdOf(query.session_id),
        createdAt: createdAtRange(query),
      }
      const scope = ['webhook_deliveries', id, order, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, more } = await store.listDeliveries(id, filter, order, query.limit ?? 20, from)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(deliveryToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    `${ENDPOINT}/deliveries/:delivery_id`,
    {
      schema: { tags, summary: 'Retrieve a delivery', params: DeliveryParams, response: replies(WebhookDelivery) },
    },
    async (request, reply) => {
      const { webhook_endpoint_id, delivery_id } = request.params
      await requireEndpoint(webhooks, webhook_endpoint_id)
      return reply.send(deliveryToWire(await requireDelivery(webhooks, webhook_endpoint_id, delivery_id)))
    },
  )

  server.post(
    `${ENDPOINT}/deliveries/:delivery_id/redeliver`,
    {
      schema: {
        tags,
        summary: 'Send a delivery again',
        description: 'Now, and with all its attempts before it; under the same `webhook-id`.',
        params: DeliveryParams,
        response: replies(WebhookDelivery),
      },
    },
    async (request, reply) => {
      const { webhook_endpoint_id: id, delivery_id } = request.params
      const delivery = doneBefore(request)
        ? await requireDelivery(webhooks, id, delivery_id)
        : await redeliver(webhooks, id, delivery_id, request.idempotency)
      return reply.send(deliveryToWire(delivery))
    },
  )

  server.post(
    `${ENDPOINT}/replay`,
    {
      schema: {
        tags,
        summary: 'Send a range of time again',
        description:
          'Events of the last three days that the endpoint chooses, sent before or not, under the `webhook-id` they had. At most 10,000 events a call.',
        params: EndpointParams,
        body: ReplayWebhooks,
        response: replies(Replayed),
      },
    },
    async (request, reply) => {
      const { from, to } = request.body
      const until = to === undefined ? clock.now() + 1 : Date.parse(to)
      const { matched, queued, nextFrom } =
        doneBefore<Replay>(request) ??
        (await replay(webhooks, request.params.webhook_endpoint_id, Date.parse(from), until, request.idempotency))
      return reply.send({ type: 'webhook_replay', matched, queued, next_from: isoOr(nextFrom) })
    },
  )
}
