import { blocksOf, textOf } from '@troupe/client/content'
import type { CreateDeployment, Deployment } from '@troupe/protocol/deployment'
import type { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'

// The schemas beside it in its file are not for the page.
const BUILT_IN: typeof DEFAULT_ENVIRONMENT_ID = 'env_default'

/** What the form of a schedule holds, as it was typed. */
export interface ScheduleDraft {
  name: string
  agentId: string
  /** The newest version of the agent instead of the one that is pinned. */
  newest: boolean
  prompt: string
  /** Without: it runs only by hand. */
  clock: boolean
  expression: string
  timezone: string
  jitter: string
  missed: 'latest' | 'skip'
  /** Empty: the one that sessions have by themselves. */
  environmentId: string
  /** Dollars that one session may cost; empty: any. */
  budget: string
  cwd: string
}

export const ownTimezone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'

export const emptySchedule = (): ScheduleDraft => ({
  name: '',
  agentId: '',
  newest: false,
  prompt: '',
  clock: true,
  expression: '0 9 * * 1-5',
  timezone: ownTimezone(),
  jitter: '10',
  missed: 'latest',
  environmentId: '',
  budget: '',
  cwd: '',
})

/** The prompt, where it is one message of text; null where there is more, which the form leaves as it is. */
export function promptOf({ initial_events }: Deployment): string | null {
  const [first, ...others] = initial_events
  if (!first || others.length > 0 || first.type !== 'user.message') return null
  const blocks = blocksOf(first.content)
  return blocks.every(({ type }) => type === 'text') ? textOf(blocks) : null
}

/** Whole cents of an amount in dollars; null for none, undefined for what is no amount. */
export function centsOf(dollars: string): string | null | undefined {
  const text = dollars.trim()
  if (text === '') return null
  const [, whole, part = ''] = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  const cents = `${whole}${part.padEnd(2, '0')}`.replace(/^0+/, '')
  return cents === '' ? undefined : cents
}

const dollarsOf = (cents: string) => `${cents.padStart(3, '0').slice(0, -2)}.${cents.padStart(2, '0').slice(-2)}`

export function draftOfSchedule(deployment: Deployment): ScheduleDraft {
  const { schedule } = deployment
  return {
    ...emptySchedule(),
    name: deployment.name,
    agentId: deployment.agent.id,
    prompt: promptOf(deployment) ?? '',
    clock: schedule !== null,
    environmentId: deployment.environment_id === BUILT_IN ? '' : deployment.environment_id,
    budget: deployment.budget ? dollarsOf(deployment.budget.max_list_cost.amount) : '',
    cwd: deployment.cwd ?? '',
    ...(schedule && {
      expression: schedule.expression,
      timezone: schedule.timezone,
      jitter: String(schedule.jitter_seconds),
      missed: schedule.missed,
    }),
  }
}

/** What is sent. `base`: the deployment that is changed; of it the prompt stays where the form could not show it. */
export function scheduleBody(draft: ScheduleDraft, base: Deployment | null): CreateDeployment {
  const was = base && draftOfSchedule(base)
  const cents = centsOf(draft.budget) ?? null
  const body = {
    name: draft.name.trim(),
    ...(draft.environmentId !== (was?.environmentId ?? '') && {
      environment_id: draft.environmentId || BUILT_IN,
    }),
    ...(draft.budget.trim() !== (was?.budget ?? '') && {
      budget: cents && { type: 'limit' as const, max_list_cost: { amount: cents, currency: 'USD' as const } },
    }),
    ...(draft.cwd.trim() !== (was?.cwd ?? '') && { cwd: draft.cwd.trim() || null }),
    // Without an agent the version that is pinned stays.
    ...((!base || draft.newest || base.agent.id !== draft.agentId) && { agent: draft.agentId }),
    ...((!base || promptOf(base) !== null) && {
      initial_events: [{ type: 'user.message' as const, content: draft.prompt }],
    }),
    schedule: draft.clock
      ? {
          type: 'cron' as const,
          expression: draft.expression.trim(),
          timezone: draft.timezone.trim(),
          jitter_seconds: Number(draft.jitter) || 0,
          missed: draft.missed,
        }
      : null,
  }
  // A plain string is one text block, which the type, being of what the server has read, does not say.
  return body as unknown as CreateDeployment
}
