import type { PermissionRule, SessionAgent } from '@troupe/protocol/agent'
import type { ApprovalPolicy } from '@troupe/protocol/approval'
import { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { ResourceParam } from '@troupe/protocol/resource'
import type { CreateSession } from '@troupe/protocol/session'
import { agentOfSession } from '../agents/agent-of-session.ts'
import { startableEnvironment } from '../environments/find-environment.ts'
import { assertRules } from '../agents/resolve-agent.ts'
import type { ApprovalSettings, SessionOptions } from '../store/session-options.ts'
import { ExternalIdTaken } from '../store/errors.ts'
import { NO_USAGE } from '../store/usage.ts'
import type { SessionChange } from '../store/session-change.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { RunWrite } from '../store/deployments.ts'
import { assertCanRun, assertEnv, promptText } from './admission.ts'
import type { Caller } from './caller.ts'
import { budgetCents } from './budget.ts'
import { requireSession } from './change-session.ts'
import { assertCanConfine, assertServersFit } from './confined-agent.ts'
import type { SessionContext } from './context.ts'
import { newEvent } from './new-event.ts'
import { assertDailyBudget, withinPolicies } from './key-policy.ts'
import { type Input, queueTurn } from './queue-turn.ts'
import { type OwnRetention, retentionToKeep } from './retention.ts'
import { assertFits, defaultLimits, lesser } from './session-environment.ts'
import { reachableWorkdir } from './reachable-workdir.ts'
import { makeWorkdir, removeFolders } from './session-folders.ts'
import { placeOf, repositoriesOf } from './session-repositories.ts'
import { asFileNotFound, assertApart, assertFree, checkResources } from './session-resources.ts'
import { withOutputSchema } from './session-schema.ts'
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
  approvals: ApprovalSettings
  recovery: 'auto' | 'resume' | 'fail'
  rules: PermissionRule[]
  /** Absent: as the server is set. */
  snapshots?: 'auto' | 'on' | 'off' | undefined
  /** Absent: `auto`. */
  outputs?: 'auto' | 'on' | 'off' | undefined
  /** Absent: `env_default`. */
  environment?: SessionOptions['environment'] | undefined
  /** Absent: as its workspace, else the server, says. */
  retention?: OwnRetention | undefined
  /** What it is given. */
  resources?: ResourceParam[]
  /** Started by a deployment. */
  deployment?: FromDeployment | undefined
  /** Its place among those that wait; absent: the usual one. */
  queue?: { priority: number; concurrencyKey: string | null; maxQueueMs: number | null }
}

/** A run of a deployment, which is written with its session, and whose request it answers. */
export interface FromDeployment {
  id: string
  run(sessionId: string): RunWrite
  effect: SessionChange['effect']
}

/**
 * Checks a request of `/v1` and creates its session. With an `external_id` that is taken, answers the session that has
 * it (`converged`). Throws `ApiError`s; nothing is written then.
 */
export async function createFromRequest(
  context: SessionContext,
  caller: Caller,
  body: CreateSession,
  idempotency: Idempotency | null,
  deployment?: FromDeployment,
) {
  const { resources = [] } = body
  refuseLater(body)
  assertRules(body.permission_rules ?? [], '/permission_rules')
  if (body.external_id !== undefined) {
    const existing = await context.store.findByExternalId(caller.workspaceId, body.external_id)
    if (existing) return { session: existing, converged: true }
  }
  const messages = (body.initial_events ?? []).map((event) => {
    if (event.type !== 'user.message') throw unsupported(`initial_events of type "${event.type}"`)
    return event as Extract<typeof event, { content: unknown }>
  })
  const { store, settings } = context
  const named = await agentOfSession(store, caller.workspaceId, body.agent, settings)
  const agent = withOutputSchema(named, body.output_schema)
  const place = await startableEnvironment(store.environments, caller.workspaceId, body.environment_id)
  try {
    const session = await createSession(
      context,
      caller,
      {
        agent,
        cwd: body.cwd ?? null,
        environment: place.id === DEFAULT_ENVIRONMENT_ID ? undefined : { id: place.id, config: place.config },
        env: body.env ?? {},
        maxTurns: body.limits?.max_turns ?? null,
        turnTimeoutSeconds: body.limits?.turn_timeout_seconds ?? null,
        budgetCents: body.budget ? budgetCents(body.budget) : null,
        inputs: messages.length === 0 ? [] : messages.map((event) => newInput(event.content, event.client_id ?? null)),
        title: body.title ?? null,
        metadata: body.metadata ?? {},
        externalId: body.external_id ?? null,
        source: 'native',
        approvals: approvalSettings(body.approvals ?? {}),
        recovery: body.recovery ?? 'auto',
        rules: body.permission_rules ?? [],
        snapshots: body.snapshots,
        outputs: body.outputs,
        retention: retentionToKeep(body.retention),
        resources,
        deployment,
        queue: {
          priority: body.priority ?? 0,
          concurrencyKey: body.concurrency_key ?? null,
          maxQueueMs: inMs(body.limits?.max_queue_seconds ?? defaultLimits(place).max_queue_seconds),
        },
      },
      idempotency,
    )
    return { session, converged: false }
  } catch (error) {
    // Lost the race for the external_id: the winner is the answer.
    if (!(error instanceof ExternalIdTaken) || body.external_id === undefined) throw error
    const existing = await context.store.findByExternalId(caller.workspaceId, body.external_id)
    if (!existing) throw error
    return { session: existing, converged: true }
  }
}

const inMs = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1000)

export const approvalSettings = (policy: ApprovalPolicy): ApprovalSettings => ({
  holdSeconds: policy.hold_seconds ?? 0,
  timeoutSeconds: policy.timeout_seconds ?? null,
  onTimeout: policy.on_timeout ?? 'deny',
})

export function newInput(content: Input['content'], clientId: string | null): Input {
  return { id: newId('sevt'), content, text: promptText(content), clientId }
}

/** Creates a session within the caller's policies and queues its first turn, in one transaction. */
export async function createSession(
  context: SessionContext,
  caller: Caller,
  asked: NewSession,
  idempotency: Idempotency | null,
): Promise<SessionRow> {
  const { settings, log, clock } = context
  const { environment } = asked
  const bounded = {
    ...asked,
    budgetCents: asked.budgetCents ?? null,
    environmentId: environment?.id ?? DEFAULT_ENVIRONMENT_ID,
  }
  const request = await withinPolicies(caller.policies, bounded, settings.defaultModel)
  if (request.inputs.length > 0) await assertDailyBudget(context, caller)
  assertCanRun(settings, request.agent.permission_mode)
  assertEnv(request.env)
  assertServersFit({ environment }, request.agent)
  await assertCanConfine({ environment }, settings)
  const usual = defaultLimits(environment)
  // An environment of one's own says where workdirs are; the server's default is that of the built-in one.
  const place = request.cwd ?? (environment ? null : settings.defaultCwd)
  const named = place === null ? null : await reachableWorkdir(place, settings.agentUser)
  await assertFits({ environment }, { cwd: named, env: request.env }, settings)
  const given = await checkResources(context, caller, request.resources ?? [], '/resources/*')
  const cloned = repositoriesOf(context, caller, request.resources ?? [], '/resources/*')
  const places = cloned('', 0).map(placeOf)
  assertApart(places)
  await assertFree(named, [...given('', 0, places), ...cloned('', 0)])
  const options: SessionOptions = {
    env: request.env,
    maxTurns: asked.maxTurns ?? lesser(request.maxTurns, usual.max_turns),
    turnTimeoutSeconds: request.turnTimeoutSeconds ?? usual.turn_timeout_seconds,
    budgetCents: request.budgetCents ?? null,
    ownWorkdir: named === null,
    source: request.source,
    approvals: request.approvals,
    recovery: request.recovery,
    rules: request.rules,
    ...(request.snapshots && { snapshots: request.snapshots }),
    ...(request.outputs && { outputs: request.outputs }),
    ...(request.retention && { retention: request.retention }),
    ...(environment && { environment }),
    modelSource: settings.modelSource === 'demo' ? 'demo' : 'configured',
  }
  const like = { workspaceId: caller.workspaceId, agent: request.agent, options }
  const spare = named === null ? context.spares.take(like) : null
  const id = spare ?? newId('sesn')
  const cwd = named ?? (await makeWorkdir(settings.sessionsDir, id, options, settings.agentUser))
  const at = clock.now()
  const { deployment } = request
  const origin = deployment ? { ...options, deploymentId: deployment.id } : options
  const row = emptySession(id, caller, request, cwd, origin, at)
  const inputs = request.inputs.map((input) => ({
    ...input,
    ...(input.clientId !== null && { id: idOfClient(id, input.clientId) }),
    traceparent: caller.traceparent,
  }))
  const created = newEvent('session.created', null, at, {
    agent_id: request.agent.id,
    model_source: options.modelSource,
  })
  const work =
    inputs.length === 0 ? null : queueTurn({ session: row, openTurns: [], approvals: [] }, inputs, at, settings)
  try {
    await log.createSession(row, {
      sessionId: id,
      at,
      session: work?.session ?? {},
      newTurns: work?.newTurns ?? [],
      ...(work?.queueLimit !== undefined && { queueLimit: work.queueLimit }),
      events: [created, ...(work?.events ?? [])],
      newResources: given(id, at, places),
      repositories: { add: cloned(id, at) },
      ...(deployment && { deploymentRun: deployment.run(id) }),
      ...(deployment?.effect && { effect: deployment.effect }),
      ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ session_id: id }) } }),
    })
  } catch (error) {
    if (named === null) await removeFolders(settings.sessionsDir, id)
    throw asFileNotFound(error)
  }
  return requireSession(context, id)
}

export function emptySession(
  id: string,
  caller: Caller,
  request: NewSession,
  cwd: string,
  options: SessionOptions,
  at: number,
): SessionRow {
  return {
    id,
    status: 'idle',
    version: 0,
    lastSeq: 0,
    epoch: 0,
    holder: null,
    leaseUntil: null,
    queuedAt: null,
    priority: request.queue?.priority ?? 0,
    principal: caller.principal,
    workspaceId: caller.workspaceId,
    concurrencyKey: request.queue?.concurrencyKey ?? null,
    maxQueueMs: request.queue?.maxQueueMs ?? null,
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
    context: null,
    activeMs: 0,
    startedAt: null,
    endedAt: null,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
  }
}

export const unsupported = (what: string) =>
  new ApiError('unsupported_feature', `${what} is not supported by this version; see the capabilities at /v1/info.`)

/** Says no to what later versions bring, instead of ignoring it. */
export function refuseLater(body: Pick<CreateSession, 'vault_ids'>): void {
  if (body.vault_ids?.length) throw unsupported('vault_ids')
}
