import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import { unknownSession } from '../sessions/change-session.ts'
import type { SessionContext } from '../sessions/context.ts'
import type { Server } from './server.ts'

interface Owned {
  /** The workspace that a thing is of; null: there is no such thing. */
  workspaceOf(context: SessionContext, id: string): Promise<string | null>
  /** The very error of something that never was, so that nobody learns what others have. */
  missing(id: string, origin: boolean): ApiError
}

/** What a path can name, by the name of its parameter. */
const OWNED: Record<string, Owned> = {
  session_id: {
    async workspaceOf({ store }, text) {
      const id = parseId('sesn', text)
      return id && store.workspaceOf(id)
    },
    missing: (text, origin) =>
      origin
        ? new ApiError('session_not_found', `Session ${text} not found`)
        : unknownSession(parseId('sesn', text) ?? text),
  },
  approval_id: {
    async workspaceOf({ store }, id) {
      const approval = await store.approvals.read(id)
      return approval && store.workspaceOf(approval.sessionId)
    },
    missing: (id) => new ApiError('approval_not_found', `Approval ${id} does not exist.`),
  },
  webhook_endpoint_id: {
    workspaceOf: async ({ store }, id) => (await store.webhooks.readEndpoint(id))?.workspaceId ?? null,
    missing: (id) =>
      new ApiError('webhook_endpoint_not_found', `Webhook endpoint ${JSON.stringify(id)} does not exist.`),
  },
}

/**
 * Nothing of another workspace is found: a path that names it is answered as if there were no such thing. Looked at here
 * for every route, those that are yet to come too, before any of them reads or writes; what a body or a query names
 * is looked at where it is used.
 */
export function ownWorkspaceOnly(server: Server, context: SessionContext): void {
  server.addHook('preHandler', async (request) => {
    const origin = !request.url.startsWith('/v1/')
    for (const [name, id] of Object.entries((request.params ?? {}) as Record<string, string>)) {
      const owned = OWNED[name]
      if (!owned || request.url.startsWith('/internal/')) continue
      const workspaceId = await owned.workspaceOf(context, id)
      if (workspaceId !== null && workspaceId !== request.caller.workspaceId) throw owned.missing(id, origin)
    }
  })
}
