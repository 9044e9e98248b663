import { ApiError } from '@troupe/protocol/error'
import { DELTA_TYPES, type DeltaType, SendEvents, SessionEvent } from '@troupe/protocol/event'
import { ListEvents, page, StreamQuery } from '@troupe/protocol/session'
import { z } from 'zod'
import { requireSession } from '../../sessions/change-session.ts'
import { sendEvents } from '../../sessions/send-events.ts'
import { eventToWire } from '../../log/wire.ts'
import type { EventRow } from '../../store/events.ts'
import type { SessionRow } from '../../store/session-row.ts'
import { answerEvents } from '../list-events.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { positionOf } from '../stream-position.ts'
import { streamSession } from '../stream.ts'
import { callerGone, preferredWait, waitForIdle } from '../wait.ts'

const tags = ['Events']

/** A stream without a cursor also tells a turn that ended at most this long ago, if nobody was watching, in ms. */
const MISSED_TURN_MS = 60_000

export function eventRoutes(server: Server, context: RouteContext): void {
  const { sessions, clock } = context
  const { store } = sessions
  const watched = new Watched()

  server.post(
    '/v1/sessions/:session_id/events',
    {
      schema: {
        tags,
        summary: 'Send events to a session',
        description:
          'Messages for the agent, and interrupts. The messages of one call are one turn; during a run it is queued. Answers when they are on disk.',
        params: SessionParams,
        body: SendEvents,
        response: replies(z.object({ data: z.array(SessionEvent) })),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      if (request.caller.sessionId !== null && request.body.events.some(({ type }) => type === 'system.message'))
        throw new ApiError('scope_missing', 'A token of a session writes as its user; a key may send a system.message.')
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { event_ids: string[] })
      const events: EventRow[] = effect
        ? (await Promise.all(effect.event_ids.map((event) => store.readEvent(id, event)))).filter(
            (event) => event !== null,
          )
        : await sendEvents(sessions, id, request.body.events, request.idempotency, request.caller.traceparent)
      const wait = preferredWait(request)
      if (wait > 0) await waitForIdle(context, id, wait, callerGone(reply, context.closing))
      return reply.send({ data: events.map(eventToWire) })
    },
  )

  server.get(
    '/v1/sessions/:session_id/events',
    {
      schema: {
        tags,
        summary: "List a session's events",
        description: 'Each event once, in its newest form. Oldest first unless `order=desc`.',
        params: SessionParams,
        querystring: ListEvents,
        response: replies(page(SessionEvent)),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      await requireSession(sessions, id)
      return answerEvents(context, reply, id, request.query)
    },
  )

  server.get(
    '/v1/sessions/:session_id/events/stream',
    {
      schema: {
        tags,
        summary: "Stream a session's events",
        description:
          'Server-sent events. `Last-Event-ID`, `after` or `from=start` replay from there without gap or repetition. Without them: live, and the turn that is running or ended unwatched within the last minute.',
        params: SessionParams,
        querystring: StreamQuery,
        response: { ...replies(z.string().describe('text/event-stream; each frame holds one SessionEvent')) },
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const session = await requireSession(sessions, id)
      const { query } = request
      const header = request.headers['last-event-id']
      const from = typeof header === 'string' && header !== '' ? header : query.after
      const after =
        from !== undefined
          ? await positionOf(store, session, from)
          : query.from === 'start'
            ? 0
            : await liveStart(session, watched)
      const deltas = (query['event_deltas[]'] ?? []).filter((type): type is DeltaType =>
        DELTA_TYPES.includes(type as DeltaType),
      )
      using _watching = watched.watch(id)
      return await streamSession(context, request, reply, id, { after, until: query.until ?? null, deltas })
    },
  )

  /** Where a stream without a cursor begins: now, or before the turn that its reader has just missed. */
  async function liveStart(session: SessionRow, streams: Watched): Promise<number> {
    const { rows } = await store.listTurns(session.id, 'desc', 1, null)
    let [turn] = rows
    if (turn?.status === 'queued' && session.currentTurnId)
      turn = (await store.readTurn(session.id, session.currentTurnId)) ?? turn
    if (!turn) return session.lastSeq
    const missed =
      turn.endedAt !== null && clock.now() - turn.endedAt < MISSED_TURN_MS && !streams.since(session.id, turn.createdAt)
    if (turn.endedAt !== null && !missed) return session.lastSeq
    const first = turn.inputEventIds[0] && (await store.readEvent(session.id, turn.inputEventIds[0]))
    return first ? first.seq - 1 : session.lastSeq
  }
}

/** Remembers, for a minute, which sessions were being watched: a turn that was seen is not told again. */
class Watched {
  readonly #readers = new Map<string, { open: number; until: number }>()

  watch(sessionId: string): Disposable {
    const entry = this.#readers.get(sessionId) ?? { open: 0, until: 0 }
    entry.open++
    this.#readers.set(sessionId, entry)
    return {
      [Symbol.dispose]: () => {
        entry.open--
        entry.until = Date.now()
        if (this.#readers.size > 10_000) this.#forget()
      },
    }
  }

  /** Whether somebody watched the session at or after this time. */
  since(sessionId: string, time: number): boolean {
    const entry = this.#readers.get(sessionId)
    return entry !== undefined && (entry.open > 0 || entry.until >= time)
  }

  #forget(): void {
    const old = Date.now() - MISSED_TURN_MS
    for (const [id, entry] of this.#readers) if (entry.open === 0 && entry.until < old) this.#readers.delete(id)
  }
}
