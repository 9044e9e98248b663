import { CreateSessionToken, SessionToken } from '@troupe/protocol/access'
import { createSessionToken, tokenScopes } from '../../access/tokens.ts'
import { iso } from '../../log/wire.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import { doneBefore, takeClaim } from '../claims.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Access']

export function sessionTokenRoutes(server: Server, { access, sessions }: RouteContext): void {
  server.post(
    '/v1/sessions/:session_id/tokens',
    {
      schema: {
        tags,
        summary: 'Make a token for one session',
        description:
          'For a browser to hold: good for this session alone, as `Authorization: Bearer`, as cookie `troupe_session`, or as `?access_token=` of a stream. It ends with the key that made it.',
        params: SessionParams,
        body: CreateSessionToken,
        response: replies(SessionToken),
      },
    },
    async (request, reply) => {
      const sessionId = sessionIdOf(request.params.session_id)
      await requireSession(sessions, sessionId)
      const done = doneBefore(request)
      const { scopes } = request.body
      const made = done
        ? { id: done.id, scopes, expiresAt: done.expires_at ?? 0, token: null }
        : await createSessionToken(access, request.caller, sessionId, request.body, request.idempotency).then(
            ({ row, secret }) => ({ id: row.id, scopes: tokenScopes(row), expiresAt: row.expiresAt, token: secret }),
          )
      takeClaim(request)
      return reply.header('cache-control', 'no-store').send({
        type: 'session_token',
        id: made.id,
        session_id: sessionId,
        scopes: made.scopes,
        expires_at: iso(made.expiresAt),
        token: made.token,
      })
    },
  )
}
