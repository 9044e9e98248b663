import type { SessionAgent } from '@troupe/protocol/agent'
import { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { subagentsOf } from '../agents/subagents.ts'
import { fits } from '../agents/wildcards.ts'
import type { SessionOptions } from '../store/session-options.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Caller, PolicyOf } from './caller.ts'
import type { SessionContext } from './context.ts'

/** What of a session policies are about. */
export interface Bounded {
  agent: SessionAgent
  /** A workdir that was named; null: the server made one, or chose its own. */
  cwd: string | null
  env: Record<string, string>
  /** Where it is to begin, or has begun; null: not asked about. */
  environmentId: string | null
  maxTurns: number | null
  budgetCents: number | null
}

const whose = ({ kind }: PolicyOf): string => `The policy of the ${kind}`

/**
 * What was asked for within the policies that hold: tools that they deny are denied, and where nothing was named their
 * bounds stand. Throws `permission_mode_not_allowed`, `model_not_allowed`, `cwd_not_allowed`, `env_not_allowed`,
 * `environment_not_allowed` and `limit_not_allowed` for what goes beyond one of them.
 */
export async function withinPolicies<T extends Bounded>(
  policies: readonly PolicyOf[],
  asked: T,
  defaultModel: string | null,
): Promise<T> {
  let bounded = asked
  for (const each of policies) bounded = await within(each, bounded, defaultModel)
  const turns = (each: PolicyOf) => each.policy.max_turns ?? null
  const cents = ({ policy }: PolicyOf) =>
    policy.session_budget_cents == null ? null : Number(policy.session_budget_cents)
  return {
    ...bounded,
    maxTurns: atMost(policies, 'limits.max_turns', asked.maxTurns, turns, 'turns'),
    budgetCents: atMost(policies, 'budget.max_list_cost', asked.budgetCents, cents, 'cents'),
  }
}

async function within<T extends Bounded>(each: PolicyOf, asked: T, defaultModel: string | null): Promise<T> {
  const { policy } = each
  const { agent, cwd, env } = asked
  const modes = policy.permission_modes
  if (modes && !modes.includes(agent.permission_mode))
    throw new ApiError(
      'permission_mode_not_allowed',
      `${whose(each)} does not have the permission mode ${agent.permission_mode}; it has ${list(modes)}.`,
    )
  const { models } = policy
  if (models)
    for (const model of modelsOf(agent))
      if (!isModelIn(models, model, defaultModel))
        throw new ApiError(
          'model_not_allowed',
          `${whose(each)} does not have the model ${model}; it has ${list(models)}.`,
        )
  const roots = policy.cwd_roots
  if (roots && cwd !== null && !(await liesIn(cwd, roots)))
    throw new ApiError(
      'cwd_not_allowed',
      `${whose(each)} does not have the workdir ${JSON.stringify(cwd)}; it has ${list(roots)}, links followed. Leave cwd out for a fresh one.`,
    )
  const places = policy.environments
  if (places && asked.environmentId !== null && !places.includes(asked.environmentId))
    throw new ApiError(
      'environment_not_allowed',
      `${whose(each)} does not have the environment ${asked.environmentId}; it has ${list(places)}.`,
    )
  const names = policy.env_names
  const strange = names && Object.keys(env).find((name) => !names.some((pattern) => fits(pattern, name, true)))
  if (strange !== undefined && names)
    throw new ApiError('env_not_allowed', `${whose(each)} does not have ${strange}; it has ${list(names)}.`)
  const denied = policy.disallowed_tools ?? []
  return {
    ...asked,
    agent: denied.every((tool) => agent.disallowed_tools.includes(tool))
      ? agent
      : { ...agent, disallowed_tools: [...new Set([...agent.disallowed_tools, ...denied])] },
  }
}

const list = (values: readonly string[]): string => (values.length === 0 ? 'none' : values.join(', '))

const modelsOf = (agent: SessionAgent): string[] => [
  agent.model.id,
  ...subagentsOf(agent).flatMap(({ model }) => (typeof model === 'string' && model !== 'inherit' ? [model] : [])),
]

/** `default` is whatever the server chooses. */
const isModelIn = (models: readonly string[], model: string, defaultModel: string | null): boolean =>
  models.some((pattern) => fits(pattern, model, true) || (pattern === 'default' && model === defaultModel))

/** Whether a folder lies in one of others, or is one, where links lead. One that is not there lies nowhere. */
export async function liesIn(cwd: string, roots: readonly string[]): Promise<boolean> {
  const place = await realpath(cwd).catch(() => null)
  if (place === null) return false
  for (const root of roots) {
    const whole = await realpath(root).catch(() => null)
    if (whole !== null && (place === whole || place.startsWith(whole.endsWith(sep) ? whole : whole + sep))) return true
  }
  return false
}

/** The narrowest bound where nothing was asked for. */
function atMost(
  policies: readonly PolicyOf[],
  name: string,
  asked: number | null,
  boundOf: (each: PolicyOf) => number | null,
  unit: string,
): number | null {
  let least = asked
  for (const each of policies) {
    const bound = boundOf(each)
    if (bound === null) continue
    if (asked !== null && asked > bound)
      throw new ApiError(
        'limit_not_allowed',
        `${whose(each)} allows ${name} of ${bound} ${unit} at most; ${asked} were asked for.`,
      )
    least = Math.min(least ?? bound, bound)
  }
  return asked ?? least
}

const boundedOf = ({ agent, cwd, options }: Pick<SessionRow, 'agent' | 'cwd' | 'options'>): Bounded => ({
  agent,
  cwd: options.ownWorkdir ? null : cwd,
  env: options.env,
  environmentId: options.environment?.id ?? DEFAULT_ENVIRONMENT_ID,
  maxTurns: options.maxTurns,
  budgetCents: options.budgetCents ?? null,
})

/** A session that is there, as a caller may have it made again, or changed. Throws what `withinPolicies` throws. */
export async function sessionWithin<T extends Pick<SessionRow, 'agent' | 'cwd' | 'options'>>(
  { policies }: Pick<Caller, 'policies'>,
  session: T,
  defaultModel: string | null,
): Promise<T> {
  if (policies.length === 0) return session
  const { agent, maxTurns, budgetCents } = await withinPolicies(policies, boundedOf(session), defaultModel)
  const options: SessionOptions = { ...session.options, maxTurns, budgetCents }
  return { ...session, agent, options }
}

/** An agent as a caller may have sessions with it. Throws what `withinPolicies` throws of modes and models. */
export async function agentWithin(
  { policies }: Pick<Caller, 'policies'>,
  agent: SessionAgent,
  defaultModel: string | null,
): Promise<SessionAgent> {
  const plain = { agent, cwd: null, env: {}, environmentId: null, maxTurns: null, budgetCents: null }
  return (await withinPolicies(policies, plain, defaultModel)).agent
}

/**
 * Nobody makes a session do by a bounded key what that key could not have had made: throws what `withinPolicies` throws,
 * and `limit_not_allowed` where its tools, its turns or its budget are less bounded.
 */
export async function assertMayDrive(
  caller: Pick<Caller, 'policies'>,
  session: Pick<SessionRow, 'id' | 'agent' | 'cwd' | 'options'>,
  defaultModel: string | null,
): Promise<void> {
  const bounded = await sessionWithin(caller, session, defaultModel)
  const { options } = session
  if (
    bounded.agent !== session.agent ||
    bounded.options.maxTurns !== options.maxTurns ||
    (bounded.options.budgetCents ?? null) !== (options.budgetCents ?? null)
  )
    throw new ApiError(
      'limit_not_allowed',
      `Session ${session.id} is less bounded than your key or workspace; whoever made it can make it go on.`,
    )
}

/** Throws `daily_budget_reached` when what may be spent in a day (UTC) has been spent. Reads the day's entries of the ledger. */
export async function assertDailyBudget(
  { store, clock }: Pick<SessionContext, 'store' | 'clock'>,
  { policies }: Pick<Caller, 'policies'>,
): Promise<void> {
  const day = new Date(clock.now()).toISOString().slice(0, 10)
  for (const { kind, id, policy } of policies) {
    if (policy.daily_budget_cents == null) continue
    const spent = await store.keys.costOf(kind, id, day)
    if (spent * 100 < Number(policy.daily_budget_cents)) continue
    throw new ApiError(
      'daily_budget_reached',
      `The ${kind} has spent its ${policy.daily_budget_cents} cents of ${day}; the next day begins at midnight UTC.`,
      { retryAfter: Math.ceil((Date.parse(`${day}T00:00:00Z`) + 86_400_000 - clock.now()) / 1000) },
    )
  }
}
