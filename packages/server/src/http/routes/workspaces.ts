import { CreateWorkspace, ListWorkspaces, UpdateWorkspace, Workspace, WorkspaceList } from '@troupe/protocol/access'
import type { WorkspaceRetention } from '@troupe/protocol/retention'
import { z } from 'zod'
import { policyToKeep } from '../../access/keys.ts'
import { workspaceToWire } from '../../access/wire.ts'
import { archiveWorkspace, createWorkspace, requireWorkspace, updateWorkspace } from '../../access/workspaces.ts'
import { replies } from '../reply-schema.ts'
import { doneBefore } from '../claims.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Access']
const WorkspaceParams = z.object({ workspace_id: z.string().max(256).describe('`wrkspc_…`') })
const WORKSPACE = '/v1/workspaces/:workspace_id'

const retentionOf = (param: WorkspaceRetention | null | undefined) =>
  param ? { ttlMs: param.ttl_seconds === null ? null : param.ttl_seconds * 1000 } : null

export function workspaceRoutes(server: Server, { access, cursors }: RouteContext): void {
  const { keys } = access

  server.post(
    '/v1/workspaces',
    { schema: { tags, summary: 'Make a workspace', body: CreateWorkspace, response: replies(Workspace) } },
    async (request, reply) => {
      const done = doneBefore(request)
      const { name, policy, retention } = request.body
      const row = done
        ? await requireWorkspace(access, done.id)
        : await createWorkspace(access, name, policyToKeep(policy), retentionOf(retention), request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )

  server.get(
    '/v1/workspaces',
    {
      schema: {
        tags,
        summary: 'List workspaces, newest first',
        querystring: ListWorkspaces,
        response: replies(WorkspaceList),
      },
    },
    async (request, reply) => {
      const { query } = request
      const archived = query.include_archived ?? false
      const scope = ['workspaces', archived]
      const { rows, more } = await keys.listWorkspaces(archived, query.limit ?? 20, cursors.decode(query.page, scope))
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(workspaceToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    WORKSPACE,
    { schema: { tags, summary: 'Retrieve a workspace', params: WorkspaceParams, response: replies(Workspace) } },
    async (request, reply) => reply.send(workspaceToWire(await requireWorkspace(access, request.params.workspace_id))),
  )

  server.post(
    WORKSPACE,
    {
      schema: {
        tags,
        summary: 'Change a workspace',
        params: WorkspaceParams,
        body: UpdateWorkspace,
        response: replies(Workspace),
      },
    },
    async (request, reply) => {
      const id = request.params.workspace_id
      const { name, policy, retention } = request.body
      const patch = {
        ...(name !== undefined && { name }),
        ...(policy !== undefined && { policy: policyToKeep(policy) }),
        ...(retention !== undefined && { retention: retentionOf(retention) }),
      }
      const row = doneBefore(request)
        ? await requireWorkspace(access, id)
        : await updateWorkspace(access, id, patch, request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )

  server.post(
    `${WORKSPACE}/archive`,
    {
      schema: {
        tags,
        summary: 'Archive a workspace',
        description: 'Its keys are good no more, for good; what it owns stays.',
        params: WorkspaceParams,
        response: replies(Workspace),
      },
    },
    async (request, reply) => {
      const id = request.params.workspace_id
      const row = doneBefore(request)
        ? await requireWorkspace(access, id)
        : await archiveWorkspace(access, id, request.idempotency)
      return reply.send(workspaceToWire(row))
    },
  )
}
