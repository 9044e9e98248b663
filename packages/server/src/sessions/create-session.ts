import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { CreateSession } from '@troupe/protocol/session'
import { rm } from 'node:fs/promises'
import { DEFAULT_AGENT_ID, resolveAgent } from '../agents/resolve-agent.ts'
import { ExternalIdTaken, NO_USAGE, type SessionOptions, type SessionRow } from '../store/store.ts'
import { assertCanRun, assertEnv, assertWorkdir, makeWorkdir, promptText, sessionPaths } from './admission.ts'
import { budgetCents } from './budget.ts'
import { requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { newEvent } from './end-turn.ts'
import { type Input, queueTurn } from './queue-turn.ts'
import { idOfClient } from './send-events.ts'

/** Which idempotency key a write is made under; committed with it. */
export interface Idempotency {
  principal: string
  key: string
}

export interface NewSession {
  agent: SessionAgent
  cwd: string | null
  env: Record<string, string>
  maxTurns: number | null
  turnTimeoutSeconds?: number | null
  budgetCents?: number | null
  inputs: Input[]
  title: string | null
  metadata: Record<string, string>
  externalId: string | null
  source: 'native' | 'origin'
}

/**
 * Checks a request of `/v1` and creates its session. With an `external_id` that is taken, answers the session that has
 * it (`converged`). Throws `ApiError`s; nothing is written then.
 */
export async function createFromRequest(context: SessionContext, body: CreateSession, idempotency: Idempotency | null) {
  refuseLater(body)
  if (body.external_id !== undefined) {
    const existing = await context.store.findByExternalId(body.external_id)
    if (existing) return { session: existing, converged: true }
  }
  const messages = (body.initial_events ?? []).map((event) => {
    if (event.type !== 'user.message') throw unsupported(`initial_events of type "${event.type}"`)
    if ('delivery' in event && event.delivery !== undefined && event.delivery !== 'queue')
      throw unsupported(`delivery "${String(event.delivery)}"`)
    return event as Extract<typeof event, { content: unknown }>
  })
  try {
    const session = await createSession(
      context,
      {
        agent: resolveAgent(body.agent, context.settings.defaultModel),
        cwd: body.cwd ?? null,
        env: body.env ?? {},
        maxTurns: body.limits?.max_turns ?? null,
        turnTimeoutSeconds: body.limits?.turn_timeout_seconds ?? null,
        budgetCents: body.budget ? budgetCents(body.budget) : null,
        inputs: messages.length === 0 ? [] : messages.map((event) => newInput(event.content, event.client_id ?? null)),
        title: body.title ?? null,
        metadata: body.metadata ?? {},
        externalId: body.external_id ?? null,
        source: 'native',
      },
      idempotency,
    )
    return { session, converged: false }
  } catch (error) {
    // Lost the race for the external_id: the winner is the answer.
    if (!(error instanceof ExternalIdTaken) || body.external_id === undefined) throw error
    const existing = await context.store.findByExternalId(body.external_id)
    if (!existing) throw error
    return { session: existing, converged: true }
  }
}

export function newInput(content: Input['content'], clientId: string | null): Input {
  return { id: newId('sevt'), content, text: promptText(content), clientId }
}

/** Creates a session and queues its first turn, in one transaction. */
export async function createSession(
  context: SessionContext,
  request: NewSession,
  idempotency: Idempotency | null,
): Promise<SessionRow> {
  const { settings, log, clock } = context
  assertCanRun(settings, request.agent.permission_mode)
  assertEnv(request.env)
  const id = newId('sesn')
  const named = request.cwd ?? settings.defaultCwd
  if (named !== null) await assertWorkdir(named)
  const cwd = named ?? (await makeWorkdir(settings.sessionsDir, id))
  const at = clock.now()
  const options: SessionOptions = {
    env: request.env,
    maxTurns: request.maxTurns,
    turnTimeoutSeconds: request.turnTimeoutSeconds ?? null,
    budgetCents: request.budgetCents ?? null,
    ownWorkdir: named === null,
    source: request.source,
    modelSource: settings.modelSource === 'demo' ? 'demo' : 'configured',
  }
  const row = emptySession(id, request, cwd, options, at)
  const inputs = request.inputs.map((input) =>
    input.clientId === null ? input : { ...input, id: idOfClient(id, input.clientId) },
  )
  const created = newEvent('session.created', null, at, {
    agent_id: request.agent.id,
    model_source: options.modelSource,
  })
  const work =
    inputs.length === 0 ? null : queueTurn({ session: row, openTurns: [] }, inputs, at, settings.maxQueuedTurns)
  try {
    await log.createSession(row, {
      sessionId: id,
      at,
      session: work?.session ?? {},
      newTurns: work?.newTurns ?? [],
      events: [created, ...(work?.events ?? [])],
      ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ session_id: id }) } }),
    })
  } catch (error) {
    if (named === null) await rm(sessionPaths(settings.sessionsDir, id).root, { recursive: true, force: true })
    throw error
  }
  return requireSession(context, id)
}

function emptySession(id: string, request: NewSession, cwd: string, options: SessionOptions, at: number): SessionRow {
  return {
    id,
    status: 'idle',
    version: 0,
    lastSeq: 0,
    epoch: 0,
    holder: null,
    leaseUntil: null,
    queuedAt: null,
    currentTurnId: null,
    lastTurnStatus: null,
    turnCount: 0,
    messageCount: 0,
    agent: request.agent,
    options,
    cwd,
    title: request.title,
    metadata: request.metadata,
    externalId: request.externalId,
    prompt: '',
    stopReason: null,
    lastError: null,
    result: null,
    originResult: null,
    usage: NO_USAGE,
    sdkTotals: {},
    cachePrefix: null,
    activeMs: 0,
    startedAt: null,
    endedAt: null,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
  }
}

const unsupported = (what: string) =>
  new ApiError('unsupported_feature', `${what} is not supported by this version; see the capabilities at /v1/info.`)

/** Says no to what later versions bring, instead of ignoring it. */
function refuseLater(body: CreateSession): void {
  if (body.resources?.length) throw unsupported('resources')
  if (body.vault_ids?.length) throw unsupported('vault_ids')
  for (const field of ['output_schema', 'concurrency_key', 'approvals', 'retention'] as const)
    if (body[field] !== undefined && body[field] !== null) throw unsupported(field)
  if (body.priority) throw unsupported('priority')
  for (const field of ['max_queue_seconds'] as const)
    if (body.limits?.[field] !== undefined && body.limits[field] !== null) throw unsupported(`limits.${field}`)
  if (body.environment_id !== undefined && body.environment_id !== 'env_default')
    throw new ApiError(
      'environment_not_found',
      `Environment ${body.environment_id} does not exist; "env_default" is the only one so far.`,
    )
  if (typeof body.agent === 'object' && body.agent.type === 'agent' && body.agent.id !== DEFAULT_AGENT_ID)
    resolveAgent(body.agent, null)
}
