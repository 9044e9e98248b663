import { AuditEventList, ExportAuditEvents, ListAuditEvents } from '@troupe/protocol/audit'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { workspaceAsked } from '../../access/keys.ts'
import { auditToWire } from '../../audit/wire.ts'
import { oneLine } from '../../lib/one-line.ts'
import { type Caller, holds } from '../../sessions/caller.ts'
import type { AuditFilter } from '../../store/audit.ts'
import { createdAtRange } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Audit']
/** Lines that an export reads at once. */
const STEP = 500

const FILE: Record<number, z.ZodType<never>> = replies(z.string().describe('The file')) as never

function filterOf(caller: Caller, query: z.infer<typeof ExportAuditEvents>): AuditFilter {
  const all = query.workspace_id === 'all' && holds(caller, 'operator')
  return {
    workspaceId: all ? null : workspaceAsked(caller, query.workspace_id),
    actions: query['action[]'],
    principal: query.principal,
    resourceId: query.resource_id,
    outcome: query.outcome,
    at: createdAtRange(query),
  }
}

export function auditRoutes(server: Server, { sessions: { store }, cursors }: RouteContext): void {
  server.get(
    '/v1/audit_events',
    {
      schema: {
        tags,
        summary: 'Who did what, newest first',
        description: 'Decisions and acts of administration in the own workspace; an operator sees those of others too.',
        querystring: ListAuditEvents,
        response: replies(AuditEventList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const filter = filterOf(request.caller, query)
      const order = query.order ?? 'desc'
      const scope = ['audit_events', order, filter]
      const { rows, more } = await store.audit.list(filter, order, query.limit ?? 50, cursors.decode(query.page, scope))
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(auditToWire),
        next_page: more && last ? cursors.encode({ at: last.at, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    '/v1/audit_events/export',
    {
      schema: {
        tags,
        summary: 'Export the audit log',
        description: 'Oldest first, a line of JSON each, with the filters of the list.',
        querystring: ExportAuditEvents,
        response: FILE,
      },
    },
    async (request, reply) => {
      const filter = filterOf(request.caller, request.query)
      async function* lines() {
        let after: { at: number; id: string } | null = null
        for (let more = true; more;) {
          const page: Awaited<ReturnType<typeof store.audit.list>> = await store.audit.list(filter, 'asc', STEP, after)
          yield page.rows.map((row) => `${oneLine(JSON.stringify(auditToWire(row)))}\n`).join('')
          const last = page.rows.at(-1)
          after = last ? { at: last.at, id: last.id } : after
          more = page.more
        }
      }
      return reply
        .type('application/x-ndjson')
        .header('content-disposition', 'attachment; filename="audit.jsonl"')
        .header('x-content-type-options', 'nosniff')
        .header('cache-control', 'no-store')
        .send(Readable.from(lines(), { objectMode: false }))
    },
  )
}
