import { Diff, DiffQuery, ForkSession, Rewind, RewindSession } from '@troupe/protocol/branch'
import { Session } from '@troupe/protocol/session'
import { requireSession } from '../../sessions/change-session.ts'
import { diffSession } from '../../sessions/diff-session.ts'
import { forkSession } from '../../sessions/fork-session.ts'
import { rewindSession } from '../../sessions/rewind-session.ts'
import { sessionToWire } from '../../sessions/session-status.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Branches']

export function branchRoutes(server: Server, { sessions, clock, about }: RouteContext): void {
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

  server.post(
    '/v1/sessions/:session_id/fork',
    {
      schema: {
        tags,
        summary: 'Fork a session',
        description:
          'A new session with the history, the conversation and the files of this one, which is not changed. While it runs, by an event of a turn that has ended.',
        params: SessionParams,
        body: ForkSession,
        response: replies(Session),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { session_id: string })
      const session = effect
        ? await requireSession(sessions, effect.session_id)
        : await forkSession(sessions, request.caller, id, request.body, request.idempotency)
      return reply.send(await sessionToWire(sessions.store, session, clock.now(), about.admission()))
    },
  )

  server.post(
    '/v1/sessions/:session_id/rewind',
    {
      schema: {
        tags,
        summary: 'Set a session back',
        description:
          'Conversation, files or both, to where an earlier turn left them. The log keeps what came after. `dry_run` says what would change.',
        params: SessionParams,
        body: RewindSession,
        response: replies(Rewind),
      },
    },
    async (request, reply) =>
      reply.send(
        request.replayEffect === null
          ? await rewindSession(sessions, sessionIdOf(request.params.session_id), request.body, request.idempotency)
          : (JSON.parse(request.replayEffect) as Rewind),
      ),
  )
}
