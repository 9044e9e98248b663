import type { FastifyReply, FastifyRequest } from 'fastify'
import { once } from 'node:events'
import { oneLine } from '../lib/one-line.ts'

/** Milliseconds between heartbeats: proxies were seen to cut streams that were silent for 16 s. */
const HEARTBEAT_MS = 10_000
/** Milliseconds a reader may leave a full buffer unread before it is let go; it comes back where it was. */
const STALLED_MS = 60_000

/** One server-sent event stream. */
export interface EventStream {
  /** Aborted when the reader has gone, or the server closes. */
  readonly signal: AbortSignal
  /** Writes a frame; resolves when the reader has room for more. The slow reader slows only itself. */
  send(frame: string): Promise<void>
  end(): void
}

/** Every frame says `event: message`; the type is in the data: the one name that all clients read. */
export function eventFrame(json: string, seq: number | null): string {
  return `event: message\n${seq === null ? '' : `id: ${seq}\n`}data: ${oneLine(json)}\n\n`
}

/** Who counts those that read. */
export interface Readers {
  readerCame(): void
  /** `dropped`: it took nothing for too long and was let go. */
  readerWent(dropped: boolean): void
}

/** Answers with a stream: headers, `retry:`, and a heartbeat while nothing else is said. */
export function openStream(
  request: FastifyRequest,
  reply: FastifyReply,
  closing: AbortSignal,
  readers: Readers,
): EventStream {
  const gone = new AbortController()
  let dropped = false
  const { raw } = reply
  const headers = reply.getHeaders()
  reply.hijack()
  raw.writeHead(200, {
    ...(headers as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    connection: 'keep-alive',
  })
  readers.readerCame()
  raw.write('retry: 1000\n\n')
  request.raw.socket.setNoDelay(true)
  const heartbeat = setInterval(() => {
    // A reader that takes nothing needs no more to read.
    if (!raw.writableNeedDrain) raw.write(': hb\n\n')
  }, HEARTBEAT_MS)
  const end = () => {
    clearInterval(heartbeat)
    closing.removeEventListener('abort', end)
    if (!gone.signal.aborted) readers.readerWent(dropped)
    gone.abort()
    raw.end()
  }
  raw.once('close', end)
  raw.once('error', end)
  closing.addEventListener('abort', end, { once: true })
  if (closing.aborted) end()
  return {
    signal: gone.signal,
    async send(frame) {
      if (gone.signal.aborted || raw.write(frame)) return
      const patience = AbortSignal.timeout(STALLED_MS)
      await once(raw, 'drain', { signal: AbortSignal.any([gone.signal, patience]) }).catch(() => undefined)
      if (!patience.aborted || !raw.writableNeedDrain) return
      dropped = true
      raw.destroy()
    },
    end,
  }
}
