import { ApiError } from '@troupe/protocol/error'
import type { FastifyReply } from 'fastify'
import { isIP } from 'node:net'
import { isLoopback } from '../lib/loopback.ts'
import type { Server } from './server.ts'

const LOCAL_NAMES = new Set(['localhost', '[::1]', '::1'])

/**
 * Keeps web pages of other sites and rebound names away from a local server. A request must name this machine in
 * `Host`; one that comes from a page must come from our own or from an origin that was configured; a body must be
 * JSON, which a foreign form cannot send, or the form of an upload, with which every browser says where it comes from.
 * CORS is never combined with credentials.
 */
export function closedDoors(
  server: Server,
  config: { host: string; corsOrigins: string[]; allowedHosts: string[] },
  needsKey: boolean,
): void {
  const anyOrigin = config.corsOrigins.includes('*')
  const origins = new Set(config.corsOrigins)

  const hosts = new Set(config.allowedHosts.map((name) => name.toLowerCase()))

  const hostAllowed = (host: string | undefined) => {
    if (host === undefined) return false
    const name = host.replace(/:\d+$/, '').toLowerCase()
    if (LOCAL_NAMES.has(name) || name === config.host.toLowerCase() || isLoopback(name)) return true
    // Whoever is reached from elsewhere has names; a rebound one is none of them. An address cannot be rebound.
    if (needsKey && !isLoopback(config.host) && isIP(name.replace(/^\[|\]$/g, '')) !== 0) return true
    return hosts.has(name) || hosts.has('*')
  }
  const allowOrigin = (reply: FastifyReply, origin: string) => {
    void reply.header('access-control-allow-origin', anyOrigin ? '*' : origin)
    if (!anyOrigin) void reply.header('vary', 'origin')
    void reply.header(
      'access-control-expose-headers',
      'request-id, retry-after, ratelimit, ratelimit-policy, www-authenticate, x-should-retry, idempotent-replayed',
    )
  }

  server.addHook('onRequest', (request, reply, done) => {
    const { host, origin } = request.headers
    void reply.header('x-content-type-options', 'nosniff')
    const hosts = request.raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
    // RFC 9112, 3.2: whoever is in between may have gone by another one than we would.
    if (hosts.length > 1) return done(new ApiError('validation_failed', 'The request names more than one Host.'))
    if (!hostAllowed(host))
      return done(
        new ApiError(
          'misdirected_host',
          `Host ${JSON.stringify(host ?? '')} does not name this server; use 127.0.0.1 or localhost, or let its operator allow the name with TROUPE_ALLOWED_HOSTS.`,
        ),
      )
    // Behind a proxy that ends TLS our own pages are https; the name was looked at above.
    if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return done()
    if (!anyOrigin && !origins.has(origin))
      return done(
        new ApiError(
          'origin_not_allowed',
          `Pages of ${JSON.stringify(origin)} may not use this server; its operator can allow them with TROUPE_CORS_ORIGINS.`,
        ),
      )
    allowOrigin(reply, origin)
    return done()
  })

  server.options('/*', { schema: { hide: true } as never }, (request, reply) => {
    if (request.headers.origin !== undefined && request.headers['access-control-request-method'] !== undefined)
      void reply
        .header('access-control-allow-methods', 'GET, POST, DELETE')
        .header(
          'access-control-allow-headers',
          request.headers['access-control-request-headers'] ?? 'content-type, idempotency-key, last-event-id',
        )
        .header('access-control-max-age', '600')
    return reply.code(204).send()
  })

  // A body of any other type is answered 415 before anything reads it.
  server.removeContentTypeParser('text/plain')
}
