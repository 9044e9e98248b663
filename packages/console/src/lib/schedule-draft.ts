import { blocksOf, textOf } from '@troupe/client/content'
import type { CreateDeployment, Deployment } from '@troupe/protocol/deployment'

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
})

/** The prompt, where it is one message of text; null where there is more, which the form leaves as it is. */
export function promptOf({ initial_events }: Deployment): string | null {
  const [first, ...others] = initial_events
  if (!first || others.length > 0 || first.type !== 'user.message') return null
  const blocks = blocksOf(first.content)
  return blocks.every(({ type }) => type === 'text') ? textOf(blocks) : null
}

export function draftOfSchedule(deployment: Deployment): ScheduleDraft {
  const { schedule } = deployment
  return {
    ...emptySchedule(),
    name: deployment.name,
    agentId: deployment.agent.id,
    prompt: promptOf(deployment) ?? '',
    clock: schedule !== null,
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
  const body = {
    name: draft.name.trim(),
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
