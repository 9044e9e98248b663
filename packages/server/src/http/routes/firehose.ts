import { FirehoseQuery } from '@troupe/protocol/session'
import { z } from 'zod'
import { firehosePosition, streamFirehose } from '../firehose.ts'
import { replies } from '../reply-schema.ts'
import { metadataFilter } from '../search-params.ts'
import type { RouteContext, Server } from '../server.ts'

export function firehoseRoutes(server: Server, context: RouteContext): void {
  server.get(
    '/v1/events/stream',
    {
      schema: {
        tags: ['Events'],
        summary: 'Stream what happens to all sessions of the workspace',
        description:
          'Server-sent events: those that webhooks are told, of the last three days and live. `Last-Event-ID`, `after` or `from=start` replay. `metadata[KEY]=VALUE` (up to 16) chooses sessions that have such pairs now.',
        querystring: FirehoseQuery,
        response: { ...replies(z.string().describe('text/event-stream; each frame holds one SessionEvent')) },
      },
    },
    async (request, reply) => {
      const { query, headers } = request
      const header = headers['last-event-id']
      const cursor = typeof header === 'string' && header !== '' ? header : query.after
      const metadata = metadataFilter(request.url) ?? []
      const position = await firehosePosition(context.sessions.store.firehose, cursor, query.from === 'start')
      return streamFirehose(context, request, reply, {
        workspaceId: request.caller.workspaceId,
        types: query['types[]'],
        metadata,
        ...position,
      })
    },
  )
}
