import type { FastifyRequest } from 'fastify'

/** What the first request with this key did, where its answer was not kept; null when this is the first. */
export const doneBefore = ({ replayEffect }: FastifyRequest): { id: string; expires_at?: number } | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string })

/**
 * A secret is in no file: an answer that holds one is not stored under the request's idempotency key. The same request
 * again is not done again; it is answered without the secret.
 */
export function takeClaim(request: FastifyRequest) {
  const claim = request.idempotency
  request.idempotency = null
  return claim
}
