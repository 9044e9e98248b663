import { Queue, QueueQuery } from '@troupe/protocol/queue'
import { queueView } from '../../sessions/queue-status.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

export function queueRoutes(server: Server, { about, sessions }: RouteContext): void {
  server.get(
    '/v1/queue',
    {
      schema: {
        tags: ['Server'],
        summary: 'Who waits, who runs, and what keeps the next one',
        querystring: QueueQuery,
        response: replies(Queue),
      },
    },
    async (request, reply) =>
      reply.send(
        await queueView(sessions.store, request.caller.workspaceId, about.admission(), request.query.limit ?? 20),
      ),
  )
}
