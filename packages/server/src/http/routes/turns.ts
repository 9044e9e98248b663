import { ApiError } from '@troupe/protocol/error'
import { page, PageQuery } from '@troupe/protocol/session'
import { CancelTurn, Turn } from '@troupe/protocol/turn'
import { z } from 'zod'
import { cancelTurn } from '../../sessions/cancel-turn.ts'
import { requireSession } from '../../sessions/change-session.ts'
import { turnToWire } from '../../sessions/session-status.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Turns']
const TurnParams = SessionParams.extend({ turn_id: z.string().max(256) })

export function turnRoutes(server: Server, { sessions, cursors }: RouteContext): void {
  const { store } = sessions

  server.get(
    '/v1/sessions/:session_id/turns',
    {
      schema: {
        tags,
        summary: "List a session's turns",
        params: SessionParams,
        querystring: PageQuery,
        response: replies(page(Turn)),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      await requireSession(sessions, id)
      const order = request.query.order ?? 'asc'
      const scope = ['turns', id, order]
      const from = cursors.decode(request.query.page, scope)
      const { rows, more } = await store.listTurns(id, order, request.query.limit ?? 20, from?.at ?? null)
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(turnToWire),
        next_page: more && last ? cursors.encode({ at: last.number, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    '/v1/sessions/:session_id/turns/:turn_id',
    { schema: { tags, summary: 'Retrieve a turn', params: TurnParams, response: replies(Turn) } },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      await requireSession(sessions, id)
      const turn = await store.readTurn(id, request.params.turn_id)
      if (!turn) throw new ApiError('turn_not_found', `Session ${id} has no turn ${request.params.turn_id}.`)
      return reply.send(turnToWire(turn))
    },
  )

  server.post(
    '/v1/sessions/:session_id/turns/:turn_id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a turn',
        description:
          'A waiting turn ends at once; a running one as by `user.interrupt`. Answers when it has ended, within 15 s.',
        params: TurnParams,
        body: CancelTurn,
        response: replies(Turn),
      },
    },
    async (request, reply) => {
      const id = sessionIdOf(request.params.session_id)
      const { mode, grace_ms } = request.body ?? {}
      const turn = await cancelTurn(sessions, id, request.params.turn_id, mode ?? 'graceful', grace_ms ?? null)
      return reply.send(turnToWire(turn))
    },
  )
}
