import { ApiError } from '@troupe/protocol/error'
import type { SessionPatch, SessionRow } from '../store/session-row.ts'

/**
 * What of a session's place in the queue a request changes; null: nothing. Throws `session_running` and
 * `session_terminated` where it has no place any more, so that a change is never without effect.
 */
export function changedPlace(
  session: SessionRow,
  body: { priority?: number | null | undefined; concurrency_key?: string | null | undefined },
): { session: SessionPatch; shown: Record<string, unknown> } | null {
  const patch: SessionPatch = {}
  if (body.priority !== undefined && (body.priority ?? 0) !== session.priority) patch.priority = body.priority ?? 0
  if (body.concurrency_key !== undefined && body.concurrency_key !== session.concurrencyKey)
    patch.concurrencyKey = body.concurrency_key
  if (Object.keys(patch).length === 0) return null
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived and waits for nothing any more.`)
  if (session.status !== 'idle' && session.queuedAt === null)
    throw new ApiError(
      'session_running',
      `Session ${session.id} has a slot; priority and concurrency_key can be changed while it is idle or waits for one.`,
    )
  return {
    session: patch,
    shown: {
      ...(patch.priority !== undefined && { priority: patch.priority }),
      ...(patch.concurrencyKey !== undefined && { concurrency_key: patch.concurrencyKey }),
    },
  }
}
