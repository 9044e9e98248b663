import { parseId } from '@troupe/protocol/ids'
import type { SessionContext } from '../sessions/context.ts'
import { assertDailyBudget, assertMayDrive } from '../sessions/key-policy.ts'
import type { Server } from './server.ts'

const EVENTS = 'POST /v1/sessions/:session_id/events'

/**
 * Routes by which a session that is there is made to work or set back, and what the path names it by. `spends`: the
 * model is asked, so the day's budget counts. A test walks all routes that write to a session.
 */
const DRIVES: Readonly<Record<string, { by: 'session_id' | 'approval_id'; spends: boolean }>> = {
  [EVENTS]: { by: 'session_id', spends: true },
  'POST /v1/sessions/:session_id/compact': { by: 'session_id', spends: true },
  'POST /v1/sessions/:session_id/inputs/:event_id': { by: 'session_id', spends: true },
  'POST /v1/sessions/:session_id/rewind': { by: 'session_id', spends: false },
  'POST /v1/sessions/:session_id/resources': { by: 'session_id', spends: false },
  'POST /v1/sessions/:session_id/resources/:resource_id': { by: 'session_id', spends: false },
  'DELETE /v1/sessions/:session_id/resources/:resource_id': { by: 'session_id', spends: false },
  'POST /v1/approvals/:approval_id': { by: 'approval_id', spends: true },
}

/**
 * A key with a policy makes no session work that it could not have had made; stopping one it always may. Looked at
 * before any of the routes reads or writes; those that make or change sessions look at it themselves.
 */
export function withinPolicyOnly(server: Server, context: SessionContext): void {
  const { store, settings } = context
  server.addHook('preHandler', async (request) => {
    const { caller, method, routeOptions } = request
    if (!caller || caller.policies.length === 0) return
    const name = `${method} ${routeOptions.url ?? ''}`
    const route = DRIVES[name]
    if (route === undefined || (name === EVENTS && onlyStops(request.body))) return
    const text = (request.params as Record<string, string>)[route.by] ?? ''
    const id =
      route.by === 'session_id' ? parseId('sesn', text) : ((await store.approvals.read(text))?.sessionId ?? null)
    const session = id === null ? null : await store.readSession(id)
    if (!session) return
    await assertMayDrive(caller, session, settings.defaultModel)
    if (route.spends) await assertDailyBudget(context, caller)
  })
}

/** Whether a body has nothing but interrupts: they cost nothing, and keep what runs from costing more. */
function onlyStops(body: unknown): boolean {
  const { events } = (body ?? {}) as { events?: { type?: unknown }[] }
  return Array.isArray(events) && events.length > 0 && events.every(({ type }) => type === 'user.interrupt')
}
