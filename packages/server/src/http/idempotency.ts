import { ApiError } from '@troupe/protocol/error'
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionContext } from '../sessions/context.ts'
import type { Idempotency } from '../sessions/create-session.ts'
import { errorMediaType } from './errors.ts'
import type { Server } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The key under which this request writes, when it has one. */
    idempotency: Idempotency | null
  }
}

/**
 * `Idempotency-Key` on POST and DELETE: the first request's answer is stored for 24 h and given again. The key is
 * claimed before the work and the work's effect is committed with it, so a server that dies in between neither repeats
 * the work nor forgets it. Streams, answers of 5xx and refusals that pass by themselves are not stored.
 */
export function idempotency(server: Server, { store, clock }: SessionContext): void {
  server.decorateRequest('idempotency', null)
  /** Requests that this process is at work on. */
  const taken = new Map<string, FastifyReply>()
  /** Whether the answer is still to come; of a stream it has begun. */
  const inFlight = (claim: string) => taken.get(claim)?.raw.headersSent === false

  server.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key']
    if (key === undefined || (request.method !== 'POST' && request.method !== 'DELETE')) return undefined
    if (typeof key !== 'string' || key === '' || key.length > 255)
      throw new ApiError('validation_failed', 'Idempotency-Key must have 1 to 255 characters.', {
        errors: [{ pointer: 'header:idempotency-key', code: 'too_big', detail: '1 to 255 characters' }],
      })
    const principal = `${request.caller.credential} ${request.method} ${request.url.split('?', 1)[0]}`
    const known = await store.beginIdempotent(principal, key, fingerprint(request), clock.now())
    const claim = `${principal}\n${key}`
    const take = () => {
      request.idempotency = { principal, key }
      taken.set(claim, reply)
      reply.raw.once('close', () => taken.get(claim) === reply && taken.delete(claim))
      return undefined
    }
    if (!known) return take()
    if (known.fingerprint !== fingerprint(request))
      throw new ApiError(
        'idempotency_key_reused',
        'This Idempotency-Key was used with another body; take a new key for a new request.',
      )
    const compares = request.routeOptions.config.comparesContent === true && known.effect !== null
    if (known.state === 'done' && !compares) {
      const status = known.status ?? 200
      // A refusal is replayed whole: without the header a client would try it again.
      if (status >= 400) void reply.header('x-should-retry', 'false')
      return reply
        .code(status)
        .type(status >= 400 ? errorMediaType(request) : 'application/json')
        .header('idempotent-replayed', 'true')
        .serializer((text: string) => text)
        .send(known.body ?? '')
    }
    if (known.state !== 'done' && (known.effect === null || inFlight(claim)))
      throw new ApiError(
        'idempotency_in_progress',
        'The first request with this Idempotency-Key is still running; ask again.',
        {
          retryAfter: 1,
        },
      )
    // The work was done and its answer was lost, with a server or on the way: the route answers from the effect.
    void reply.header('idempotent-replayed', 'true')
    request.replayEffect = known.effect
    request.replayBody = known.body
    // What was answered once stands, whatever comes of the comparison.
    return known.state === 'done' ? undefined : take()
  })
  server.decorateRequest('replayEffect', null)
  server.decorateRequest('replayBody', null)

  server.addHook('onSend', async (request, reply, payload) => {
    const { idempotency: claim } = request
    const passes = reply.statusCode >= 500 || reply.getHeader('x-should-retry') === 'true'
    if (!claim) return payload
    if (passes || typeof payload !== 'string') await store.abandonIdempotent(claim.principal, claim.key)
    else await store.finishIdempotent(claim.principal, claim.key, reply.statusCode, payload)
    request.idempotency = null
    return payload
  })
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What the first request with this key did before its server died, as JSON text. */
    replayEffect: string | null
    /** Its answer, where the route compares contents itself. */
    replayBody: string | null
  }
  interface FastifyContextConfig {
    /** The body is read by the route, which compares it with that of the first request with the key. */
    comparesContent?: true
  }
}

function fingerprint(request: FastifyRequest): string {
  return createHash('sha256')
    .update(request.url)
    .update('\0')
    .update(JSON.stringify(request.body ?? null))
    .digest('base64url')
}
