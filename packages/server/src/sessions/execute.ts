import type { PermissionMode, SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import { resolveAgent } from '../agents/resolve-agent.ts'
import type { SessionRow } from '../store/session-row.ts'
import { assertCanRun, assertEnv } from './admission.ts'
import { reachableWorkdir } from './reachable-workdir.ts'
import { assertFits } from './session-environment.ts'
import { changeSession, requireSession } from './change-session.ts'
import type { OutputSchema } from '@troupe/protocol/output-schema'
import type { Caller } from './caller.ts'
import type { SessionContext } from './context.ts'
import { withOutputSchema } from './session-schema.ts'
import { createSession, type Idempotency, newInput } from './create-session.ts'
import { originStatus } from './origin-view.ts'
import { assertDailyBudget, sessionWithin } from './key-policy.ts'
import { queueTurn } from './queue-turn.ts'

/** The origin API's request, checked. Undefined: not sent. */
export interface Execute {
  prompt: string
  allowedTools?: string[]
  disallowedTools?: string[]
  systemPrompt?: string | null
  permissionMode?: PermissionMode
  model?: string
  cwd?: string
  maxTurns?: number
  outputSchema?: OutputSchema
  env?: Record<string, string>
  resumeSessionId?: string
}

/** A refusal in the origin API's own words, which its clients read. */
export class OriginRefusal extends Error {
  override readonly name = 'OriginRefusal'
}

/** Starts a session, or goes on with one, as the origin API does. Throws `OriginRefusal` and `ApiError`s. */
export async function execute(
  context: SessionContext,
  caller: Caller,
  request: Execute,
  idempotency: Idempotency | null,
): Promise<SessionRow> {
  if (request.resumeSessionId !== undefined)
    return resume(context, caller, request.resumeSessionId, request, idempotency)
  const agent = applyTo(resolveAgent({ type: 'inline' }, context.settings.defaultModel), request)
  return createSession(
    context,
    caller,
    {
      agent,
      cwd: request.cwd ?? null,
      env: request.env ?? {},
      maxTurns: request.maxTurns ?? null,
      inputs: [newInput([{ type: 'text', text: request.prompt }], null)],
      title: null,
      metadata: {},
      externalId: null,
      source: 'origin',
      approvals: { holdSeconds: 0, timeoutSeconds: context.settings.originApprovalSeconds, onTimeout: 'deny' },
      recovery: 'auto',
      rules: [],
    },
    idempotency,
  )
}

/** Options that are sent again replace the session's; the others keep their earlier value. Of two resumes at once exactly one wins. */
async function resume(
  context: SessionContext,
  caller: Caller,
  given: string,
  request: Execute,
  idempotency: Idempotency | null,
): Promise<SessionRow> {
  const id = parseId('sesn', given)
  const known = id === null ? null : await context.store.readSession(id)
  if (id === null || known?.workspaceId !== caller.workspaceId) throw new OriginRefusal(`Session ${given} not found.`)
  assertCanRun(context.settings, request.permissionMode ?? known.agent.permission_mode)
  assertEnv(request.env ?? {})
  const place = request.cwd === undefined ? undefined : await reachableWorkdir(request.cwd, context.settings.agentUser)
  await assertFits(known.options, { cwd: place ?? null, env: request.env ?? {} }, context.settings)
  await assertDailyBudget(context, caller)
  const input = { ...newInput([{ type: 'text', text: request.prompt }], null), traceparent: caller.traceparent }
  await changeSession(context, id, async (state, at) => {
    const { session } = state
    if (originStatus(session) === 'running' || session.status === 'running' || session.status === 'rescheduling')
      throw new OriginRefusal(`Session ${given} is currently running`)
    if (session.messageCount === 0)
      throw new OriginRefusal(`Session ${given} has no recorded Claude session ID. Cannot resume.`)
    const queued = queueTurn(state, [input], at, context.settings)
    const changed = {
      agent: applyTo(session.agent, request),
      options: {
        ...session.options,
        ...(request.env && { env: request.env }),
        ...(request.maxTurns !== undefined && { maxTurns: request.maxTurns }),
        ...(place !== undefined && { ownWorkdir: false }),
        modelSource: context.settings.modelSource === 'demo' ? ('demo' as const) : ('configured' as const),
      },
      cwd: place ?? session.cwd,
    }
    const bounded = await sessionWithin(caller, changed, context.settings.defaultModel)
    return {
      ...queued,
      session: { ...queued.session, ...bounded },
      ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ session_id: id }) } }),
    }
  }).catch((error: unknown) => {
    throw error instanceof ApiError && error.code === 'session_not_found'
      ? new OriginRefusal(`Session ${given} not found.`)
      : error
  })
  return requireSession(context, id)
}

function applyTo(agent: SessionAgent, request: Execute): SessionAgent {
  return {
    ...withOutputSchema(agent, request.outputSchema),
    ...(request.model !== undefined && { model: { ...agent.model, id: request.model } }),
    ...(request.systemPrompt !== undefined && { system: request.systemPrompt }),
    ...(request.permissionMode !== undefined && { permission_mode: request.permissionMode }),
    ...(request.allowedTools !== undefined && { allowed_tools: request.allowedTools }),
    ...(request.disallowedTools !== undefined && { disallowed_tools: request.disallowedTools }),
  }
}
