import { CompactSession, SessionContextUsage } from '@troupe/protocol/context'
import { SessionEvent } from '@troupe/protocol/event'
import { z } from 'zod'
import { eventToWire } from '../../log/wire.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { compactSession } from '../../sessions/compact-session.ts'
import { contextUsage } from '../../sessions/context-usage.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Sessions']

export function contextRoutes(server: Server, { sessions }: RouteContext): void {
  server.get(
    '/v1/sessions/:session_id/context',
    {
      schema: {
        tags,
        summary: "What fills the agent's context",
        description: 'As measured behind its last answer; asks neither agent nor model.',
        params: SessionParams,
        response: replies(SessionContextUsage),
      },
    },
    async (request, reply) =>
      reply.send(contextUsage(await requireSession(sessions, sessionIdOf(request.params.session_id)))),
  )

  server.post(
    '/v1/sessions/:session_id/compact',
    {
      schema: {
        tags,
        summary: 'Compact the conversation',
        description:
          'Queues a turn in which the agent puts a summary in the place of the conversation so far: one request to the model. The log keeps everything.',
        params: SessionParams,
        body: CompactSession,
        response: replies(z.object({ data: z.array(SessionEvent) })),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { event_ids: string[] })
      const event = effect
        ? await sessions.store.readEvent(id, effect.event_ids[0]!)
        : await compactSession(sessions, id, request.body, request.idempotency, request.caller.traceparent)
      return reply.send({ data: event ? [eventToWire(event)] : [] })
    },
  )
}
