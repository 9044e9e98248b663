import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import { UsageQuery, UsageReport } from '@troupe/protocol/usage-report'
import { compareKeys, reportUsage } from '../../sessions/report-usage.ts'
import type { UsageFilter, UsageGroup } from '../../store/ledger.ts'
import { createdAtRange } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

/** Groups a report may be made by, at most. */
const MAX_GROUPS = 4

export function usageRoutes(server: Server, { sessions, cursors }: RouteContext): void {
  server.get(
    '/v1/usage',
    {
      schema: {
        tags: ['Usage'],
        summary: 'What was used, by day, model, agent, key, session, turn or metadata',
        description:
          'Tokens, cost, requests and cache hits out of the ledger, which outlives deleted sessions. An entry counts at the time and on the day (UTC) of its first report.',
        querystring: UsageQuery,
        response: replies(UsageReport),
      },
    },
    async (request, reply) => {
      const { query } = request
      const groups = [...new Set([...(query['group_by[]'] ?? []), ...(query.group_by ?? [])])] as UsageGroup[]
      if (groups.length > MAX_GROUPS)
        throw new ApiError(
          'validation_failed',
          `group_by has ${groups.length} words; at most ${MAX_GROUPS} are taken.`,
          {
            errors: [{ pointer: 'group_by', code: 'too_big', detail: `at most ${MAX_GROUPS}` }],
          },
        )
      const filter: UsageFilter = {
        workspaceId: request.caller.workspaceId,
        at: createdAtRange(query),
        agentId: query.agent_id,
        // What cannot be the id of a session has used nothing.
        sessionId: query.session_id === undefined ? undefined : (parseId('sesn', query.session_id) ?? query.session_id),
      }
      const order = query.order ?? 'asc'
      const scope = ['usage', order, groups, filter]
      const from = cursors.decode(query.page, scope)
      const { rows, totals } = await reportUsage(sessions.store, filter, groups)
      if (order === 'desc') rows.reverse()
      const sign = order === 'asc' ? 1 : -1
      const last = from && (JSON.parse(from.id) as (string | null)[])
      const rest = last ? rows.filter(({ keys }) => compareKeys(keys, last) * sign > 0) : rows
      const limit = query.limit ?? 100
      const shown = rest.slice(0, limit)
      const end = shown.at(-1)
      return reply.send({
        data: shown.map(({ row }) => row),
        totals,
        next_page:
          rest.length > limit && end
            ? cursors.encode({ at: 0, id: JSON.stringify(end.keys), backward: false }, scope)
            : null,
        prev_page: null,
      })
    },
  )
}
