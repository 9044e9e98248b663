import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionRow } from '../store/session-row.ts'
import { requireSession } from '../sessions/change-session.ts'
import type { RouteContext } from './server.ts'

/** Aborts when the caller has gone or the server closes. */
export function callerGone(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return AbortSignal.any([gone.signal, closing])
}

/** Resolves with the session when it is idle or terminated, or as it is when `seconds` are over. */
export async function waitForIdle(
  context: RouteContext,
  sessionId: string,
  seconds: number,
  gone: AbortSignal,
): Promise<SessionRow> {
  const { sessions } = context
  let session = await requireSession(sessions, sessionId)
  const done = () => session.status === 'idle' || session.status === 'terminated'
  if (done() || seconds <= 0) return session
  const signal = AbortSignal.any([gone, AbortSignal.timeout(seconds * 1000)])
  for await (const _page of sessions.log.follow(sessionId, session.lastSeq, signal)) {
    session = await requireSession(sessions, sessionId)
    if (done()) break
  }
  return session
}

/** Seconds of `Prefer: wait=N` (RFC 7240), at most 600; 0 when the caller does not wait. */
export function preferredWait(request: FastifyRequest): number {
  const match = /(?:^|,|;)\s*wait\s*=\s*(\d{1,6})/.exec(String(request.headers.prefer ?? ''))
  return match ? Math.min(600, Number(match[1])) : 0
}
