import type { FastifyRequest } from 'fastify'
import type { Refusals } from '../audit/refusals.ts'
import { DEFAULT_WORKSPACE, NOBODY } from '../sessions/caller.ts'
import type { Actor } from '../store/audit.ts'
import type { Store } from '../store/store.ts'
import type { Server } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The code of the error that it is answered with. */
    refusedWith: string | null
  }
}

/** Characters of what a client calls itself that are kept. */
const MAX_USER_AGENT = 256

/** What is an id: whatever else somebody puts there may be a secret. */
const ID = /^[a-z]{1,16}_[0-9a-hjkmnp-tv-z]{26}$/

/** Refusals that say somebody wanted more than they may. */
const TOLD = new Set([
  'invalid_api_key',
  'token_expired',
  'scope_missing',
  'origin_not_allowed',
  'misdirected_host',
  'permission_mode_not_allowed',
  'model_not_allowed',
  'cwd_not_allowed',
  'env_not_allowed',
  'limit_not_allowed',
  'daily_budget_reached',
])

/** Whatever a request writes is written on behalf of who sent it, and what is refused to somebody is noted. */
export function audited(server: Server, store: Pick<Store, 'audit'>, refusals: Refusals): void {
  server.decorateRequest('refusedWith', null)
  server.addHook('preHandler', (request, _reply, done) => {
    if (request.method === 'GET') done()
    else store.audit.as(actorOf(request), done)
  })

  server.addHook('onResponse', (request, _reply, done) => {
    if (request.refusedWith !== null && TOLD.has(request.refusedWith)) {
      const [name, id] = Object.entries((request.params ?? {}) as Record<string, string>)[0] ?? []
      refusals.note({
        ...actorOf(request),
        workspaceId: request.caller?.workspaceId ?? DEFAULT_WORKSPACE,
        reason: request.refusedWith,
        ...(name?.endsWith('_id') && id !== undefined && ID.test(id)
          ? { resourceType: name.slice(0, -3), resourceId: id }
          : { resourceType: null, resourceId: null }),
        details: {},
      })
    }
    done()
  })
  server.addHook('onClose', () => refusals.write())
}

/** Who asks, and from where. Of the request nothing is kept that could hold a secret: no query, body or header but one. */
function actorOf(request: FastifyRequest): Actor {
  const { principal, credential } = request.caller ?? NOBODY
  const agent = request.headers['user-agent']
  return {
    principal,
    credential,
    reason: null,
    request: {
      id: request.id,
      route: `${request.method} ${request.routeOptions.url ?? 'none'}`,
      address: request.ip,
      userAgent: agent === undefined ? null : agent.slice(0, MAX_USER_AGENT),
    },
  }
}
