import { Approval, DecideApproval, Grant, ListApprovals } from '@troupe/protocol/approval'
import { ApiError } from '@troupe/protocol/error'
import { EditInput, PendingInput } from '@troupe/protocol/input'
import { page } from '@troupe/protocol/session'
import { z } from 'zod'
import { iso } from '../../log/wire.ts'
import { decideApproval, requireApproval } from '../../sessions/decide-approval.ts'
import { cancelInput, editInput, listInputs } from '../../sessions/pending-inputs.ts'
import { approvalToWire } from '../../sessions/session-status.ts'
import type { ApprovalRow, GrantRow } from '../../store/approvals.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Approvals']
const ApprovalParams = z.object({ approval_id: z.string().max(256) })
const InputParams = SessionParams.extend({ event_id: z.string().max(256) })

export function approvalRoutes(server: Server, { sessions, cursors }: RouteContext): void {
  const { store } = sessions
  const wire = async (row: ApprovalRow) => approvalToWire(row, (await store.readSession(row.sessionId))?.title ?? null)

  server.get(
    '/v1/approvals',
    {
      schema: {
        tags,
        summary: 'List approvals over all sessions',
        description: 'What waits for an answer, oldest first; `status` shows what was answered, newest first.',
        querystring: ListApprovals,
        response: replies(page(Approval)),
      },
    },
    async (request, reply) => {
      const { status = 'pending', session_id, limit = 20 } = request.query
      const order = request.query.order ?? (status === 'pending' ? 'asc' : 'desc')
      const sessionId = session_id === undefined ? null : sessionIdOf(session_id)
      const scope = ['approvals', status, sessionId, order]
      const from = cursors.decode(request.query.page, scope)
      const filter = { workspaceId: request.caller.workspaceId, status: status === 'all' ? null : status, sessionId }
      const { rows, more } = await store.approvals.list(filter, order, limit, from)
      const last = rows.at(-1)
      return reply.send({
        data: await Promise.all(rows.map(wire)),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    '/v1/approvals/:approval_id',
    { schema: { tags, summary: 'Retrieve an approval', params: ApprovalParams, response: replies(Approval) } },
    async (request, reply) => reply.send(await wire(await requireApproval(sessions, request.params.approval_id))),
  )

  server.post(
    '/v1/approvals/:approval_id',
    {
      schema: {
        tags,
        summary: 'Answer an approval',
        description:
          'The first answer wins; a later one is refused with 409 `approval_not_pending`. The same as `user.tool_confirmation` and `user.custom_tool_result`.',
        params: ApprovalParams,
        body: DecideApproval,
        response: replies(Approval),
      },
    },
    async (request, reply) => {
      const id = request.params.approval_id
      const row = request.replayEffect
        ? await requireApproval(sessions, id)
        : await decideApproval(sessions, id, request.body, request.idempotency)
      return reply.send(await wire(row))
    },
  )

  server.get(
    '/v1/grants',
    {
      schema: {
        tags,
        summary: 'List what answers have allowed for good',
        querystring: z.object({ agent_id: z.string().max(128).optional(), session_id: z.string().max(128).optional() }),
        response: replies(z.object({ data: z.array(Grant) })),
      },
    },
    async (request, reply) => {
      const { agent_id, session_id } = request.query
      const sessionId = session_id === undefined ? null : sessionIdOf(session_id)
      return reply.send({
        data: (await store.approvals.grants(request.caller.workspaceId, agent_id ?? null, sessionId)).map(grantToWire),
      })
    },
  )

  server.delete(
    '/v1/grants/:grant_id',
    {
      schema: {
        tags,
        summary: 'Take back what an answer has allowed',
        description: 'Counts from the next turn on.',
        params: z.object({ grant_id: z.string().max(128) }),
        response: replies(z.object({ type: z.literal('grant_deleted'), id: z.string() })),
      },
    },
    async (request, reply) => {
      const id = request.params.grant_id
      if (!(await store.approvals.deleteGrant(request.caller.workspaceId, id)))
        throw new ApiError('grant_not_found', `Grant ${id} does not exist.`)
      return reply.send({ type: 'grant_deleted', id })
    },
  )

  server.get(
    '/v1/sessions/:session_id/inputs',
    {
      schema: {
        tags: ['Events'],
        summary: 'List inputs that the agent has not taken yet',
        params: SessionParams,
        response: replies(z.object({ data: z.array(PendingInput) })),
      },
    },
    async (request, reply) => reply.send({ data: await listInputs(sessions, sessionIdOf(request.params.session_id)) }),
  )

  server.post(
    '/v1/sessions/:session_id/inputs/:event_id',
    {
      schema: {
        tags: ['Events'],
        summary: 'Edit or move a waiting input',
        params: InputParams,
        body: EditInput,
        response: replies(PendingInput),
      },
    },
    async (request, reply) =>
      reply.send(
        await editInput(sessions, sessionIdOf(request.params.session_id), request.params.event_id, request.body),
      ),
  )

  server.delete(
    '/v1/sessions/:session_id/inputs/:event_id',
    {
      schema: {
        tags: ['Events'],
        summary: 'Cancel a waiting input',
        params: InputParams,
        response: replies(z.object({ type: z.literal('input_cancelled'), id: z.string() })),
      },
    },
    async (request, reply) => {
      const { event_id } = request.params
      await cancelInput(sessions, sessionIdOf(request.params.session_id), event_id)
      return reply.send({ type: 'input_cancelled', id: event_id })
    },
  )
}

const grantToWire = (row: GrantRow): z.infer<typeof Grant> => ({
  type: 'grant',
  id: row.id,
  scope: row.sessionId === null ? 'agent' : 'session',
  session_id: row.sessionId,
  agent_id: row.agentId,
  rule: row.rule,
  actor: row.actor,
  created_at: iso(row.createdAt),
})
