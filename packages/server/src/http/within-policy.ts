import { parseId } from '@troupe/protocol/ids'
import type { SessionContext } from '../sessions/context.ts'
import { assertDailyBudget, assertMayDrive } from '../sessions/key-policy.ts'
import type { Server } from './server.ts'

/** Routes by which a session that is there is made to work, and what the path names it by. */
const DRIVES: Readonly<Record<string, 'session_id' | 'approval_id'>> = {
  'POST /v1/sessions/:session_id/events': 'session_id',
  'POST /v1/sessions/:session_id/compact': 'session_id',
  'POST /v1/sessions/:session_id/inputs/:event_id': 'session_id',
  'POST /v1/approvals/:approval_id': 'approval_id',
}

/**
 * A key with a policy makes no session work that it could not have had made. Looked at before any of the routes reads or
 * writes; those that make or change sessions look at it themselves.
 */
export function withinPolicyOnly(server: Server, context: SessionContext): void {
  const { store, settings } = context
  server.addHook('preHandler', async (request) => {
    const { caller, method, routeOptions } = request
    if (!caller || caller.policies.length === 0) return
    const named = DRIVES[`${method} ${routeOptions.url ?? ''}`]
    if (named === undefined) return
    const text = (request.params as Record<string, string>)[named] ?? ''
    const id = named === 'session_id' ? parseId('sesn', text) : ((await store.approvals.read(text))?.sessionId ?? null)
    const session = id === null ? null : await store.readSession(id)
    if (!session) return
    await assertMayDrive(caller, session, settings.defaultModel)
    await assertDailyBudget(context, caller)
  })
}
