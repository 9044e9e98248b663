import { LoggedIn, LoggedOut, Login } from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import { authenticate } from '../../access/authenticate.ts'
import { hashOf } from '../../access/secrets.ts'
import { createLogin, LOGIN_MS } from '../../access/tokens.ts'
import { iso } from '../../log/wire.ts'
import { credentialOf, loginCookie } from '../credentials.ts'
import { replies } from '../reply-schema.ts'
import { takeClaim } from '../claims.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Access']

export function loginRoutes(server: Server, { access }: RouteContext): void {
  const { keys } = access

  server.post(
    '/v1/login',
    {
      schema: {
        tags,
        summary: 'Log a browser in',
        description: 'By a key, for 12 hours: sets the cookie `troupe_session`, which scripts cannot read.',
        body: Login,
        response: replies(LoggedIn),
      },
    },
    async (request, reply) => {
      takeClaim(request)
      const caller = access.required ? await authenticate(access, request.body.api_key) : request.caller
      if (caller.sessionId !== null || caller.credential !== caller.principal)
        throw new ApiError('invalid_api_key', 'Log in with a key, which begins with sk_troupe_; a token is none.')
      const { row, secret } = await createLogin(access, caller)
      const secure = request.headers.origin?.startsWith('https:') ?? false
      return reply
        .header('set-cookie', loginCookie(secret, LOGIN_MS / 1000, secure))
        .header('cache-control', 'no-store')
        .send({
          type: 'login',
          workspace_id: caller.workspaceId,
          scopes: [...caller.scopes],
          expires_at: iso(row.expiresAt),
        })
    },
  )

  server.post(
    '/v1/logout',
    { schema: { tags, summary: 'Log a browser out', response: replies(LoggedOut) } },
    async (request, reply) => {
      const credential = credentialOf(request)
      if (credential?.from === 'cookie') {
        const { origin, host } = request.headers
        // Another page must not log anybody out; the cookie does not come along from there, but for other ports.
        if (origin !== `http://${host}` && origin !== `https://${host}`)
          throw new ApiError('origin_not_allowed', 'Only pages of this server log their reader out.')
        const row = await keys.findToken(hashOf(credential.secret))
        if (row) await keys.deleteToken(row.id)
      }
      return reply.header('set-cookie', loginCookie('', 0, false)).send({ type: 'logged_out' })
    },
  )
}
