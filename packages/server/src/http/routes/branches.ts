import { Diff, DiffQuery } from '@troupe/protocol/branch'
import { diffSession } from '../../sessions/diff-session.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Branches']

export function branchRoutes(server: Server, { sessions }: RouteContext): void {
  server.get(
    '/v1/sessions/:session_id/diff',
    {
      schema: {
        tags,
        summary: 'What changed in the workdir',
        description:
          'By a turn, or by the whole session: files with their lines, unified hunks of text, size and hash of what is binary or large. At most 1,000 files, 100,000 characters a patch and 2,000,000 in all; `truncated` says where that cut.',
        params: SessionParams,
        querystring: DiffQuery,
        response: replies(Diff),
      },
    },
    async (request, reply) =>
      reply.send(await diffSession(sessions, sessionIdOf(request.params.session_id), request.query.turn_id ?? null)),
  )
}
