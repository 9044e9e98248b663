import type { DeltaType, PreviewFrame } from '@troupe/protocol/event'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Preview } from '../log/previews.ts'
import type { EventRow } from '../store/events.ts'
import type { RouteContext } from './server.ts'
import { eventFrame, openStream } from './sse.ts'
import { eventFor } from './strict.ts'

export interface StreamOptions {
  /** Replay what follows this `seq`, then go on live. */
  after: number
  /** Close after the next idle or terminated. */
  until: 'idle' | null
  /** Kinds of messages that are shown while they are being written. */
  deltas: DeltaType[]
  /** Only the events of this subagent; null: only what is not inside of any. Absent: all. */
  threadId?: string | null
}

/** Streams a session's log: replay, then live, with no gap and no repetition; previews between events, for those who asked. */
export async function streamSession(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  sessionId: string,
  options: StreamOptions,
): Promise<FastifyReply> {
  const stream = openStream(request, reply, context.closing, context.metrics)
  const { strict } = request
  const shown: Shown = { eventId: null, length: 0 }
  let cursor = options.after
  try {
    for await (const page of context.sessions.log.follow(sessionId, options.after, stream.signal)) {
      for (const event of page) {
        cursor = event.seq
        if (!isShown(event.row, options.threadId)) continue
        const json = strict ? eventFor(strict, event.row) : event.json
        if (json !== null) await stream.send(eventFrame(json, event.seq))
        if (options.until === 'idle' && isEnd(event.row, options.threadId)) return reply
      }
      if (page.length > 0) continue
      if (options.deltas.length > 0) {
        const preview = context.previews.get(sessionId)
        if (preview && preview.afterSeq <= cursor && options.deltas.includes(preview.type))
          for (const frame of news(preview, shown)) await stream.send(eventFrame(JSON.stringify(frame), null))
      }
      if (await context.sessions.store.isDeleted(sessionId)) return reply
    }
  } catch (error) {
    context.logger.warn({ req: request.id, session: sessionId, err: error }, 'a stream broke off')
  } finally {
    stream.end()
  }
  return reply
}

function isShown({ threadId, type }: EventRow, wanted: string | null | undefined): boolean {
  if (wanted === undefined) return true
  return wanted === null ? threadId === null || type.startsWith('session.thread_') : threadId === wanted
}

/** The end of a session's work, or of the one subagent's that is shown. */
function isEnd({ type }: EventRow, wanted: string | null | undefined): boolean {
  return wanted
    ? /^session\.thread_status_(idle|terminated)$/.test(type)
    : /^session\.status_(idle|terminated)$/.test(type)
}

interface Shown {
  eventId: string | null
  length: number
}

/** What of a preview a reader has not seen yet. */
function news(preview: Preview, shown: Shown): PreviewFrame[] {
  const frames: PreviewFrame[] = []
  if (shown.eventId !== preview.eventId) {
    shown.eventId = preview.eventId
    shown.length = 0
    frames.push({ type: 'event_start', event: { type: preview.type, id: preview.eventId } })
  }
  const text = preview.text.slice(shown.length)
  if (text !== '') {
    shown.length = preview.text.length
    frames.push({
      type: 'event_delta',
      event_id: preview.eventId,
      delta: { type: 'content_delta', index: 0, content: { type: 'text', text } },
    })
  }
  return frames
}
