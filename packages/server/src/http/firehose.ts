import { ApiError } from '@troupe/protocol/error'
import { chooses, isWebhookType } from '@troupe/protocol/webhook'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { OUTBOX } from '../log/wakeups.ts'
import { eventJson } from '../log/wire.ts'
import type { FirehoseStore } from '../store/firehose.ts'
import type { RouteContext } from './server.ts'
import { eventFrame, openStream } from './sse.ts'

export interface FirehoseOptions {
  workspaceId: string
  after: number
  /** Numbers that may have had events, and are kept no more. */
  gap: { from: number; to: number } | null
  /** Names and globs; absent: all. */
  types: string[] | undefined
  metadata: [string, string][]
}

/**
 * Where a reader goes on, and what it has missed for good. Without a cursor: now. Throws `invalid_cursor` for what is
 * no number, or one that was never given.
 */
export async function firehosePosition(
  firehose: FirehoseStore,
  cursor: string | undefined,
  fromStart: boolean,
): Promise<Pick<FirehoseOptions, 'after' | 'gap'>> {
  const { first, last } = await firehose.bounds()
  if (cursor === undefined) return { after: fromStart ? (first ?? last + 1) - 1 : last, gap: null }
  const after = /^\d{1,15}$/.test(cursor) ? Number(cursor) : null
  if (after === null || after > last)
    throw new ApiError('invalid_cursor', `${JSON.stringify(cursor)} is not the id of a frame of this stream.`)
  const kept = (first ?? last + 1) - 1
  return after < kept ? { after: kept, gap: { from: after + 1, to: kept } } : { after, gap: null }
}

/** Streams what happens to the sessions of a workspace: replay, then live, each event once and in one order for all. */
export async function streamFirehose(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { workspaceId, after, gap, types, metadata }: FirehoseOptions,
): Promise<FastifyReply> {
  const { firehose } = context.sessions.store
  const stream = openStream(request, reply, context.closing, context.metrics)
  // Subscribed before the first read, so what is told during a read wakes the next one.
  using wakeup = context.webhooks.wakeups.subscribe(OUTBOX)
  let cursor = after
  try {
    if (gap) await stream.send(eventFrame(JSON.stringify({ type: 'session.stream_gap', ...gap }), gap.to))
    while (!stream.signal.aborted) {
      const { rows, to } = await firehose.read(workspaceId, metadata, cursor)
      for (const { n, event } of rows)
        if (isWebhookType(event.type) && (types === undefined || chooses(types, event.type)))
          await stream.send(eventFrame(eventJson(event), n))
      if (to === cursor) await wakeup.next(stream.signal)
      // What is passed over takes no time to send: others are let in.
      else await setImmediate()
      cursor = to
    }
  } catch (error) {
    context.logger.warn({ req: request.id, err: error }, 'a stream broke off')
  } finally {
    stream.end()
  }
  return reply
}
