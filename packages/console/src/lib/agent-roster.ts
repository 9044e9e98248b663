import type { Agent } from '@troupe/protocol/saved-agent'
import type { SkillDraft } from './agent-parts.ts'

/** Whom an agent may start: the helpers of its own, saved agents only, both, nobody. */
export const DELEGATIONS = ['own', 'roster', 'both', 'nobody'] as const
export type Delegation = (typeof DELEGATIONS)[number]

/** Saved agents as subagents; without a version the newest, as of when it is saved. */
export interface RosterDraft {
  delegation: Delegation
  agents: SkillDraft[]
}

/** Saved agents of one roster, at most. */
export const MOST_AGENTS = 20
export const NO_ROSTER: RosterDraft = { delegation: 'own', agents: [] }

type Multiagent =
  | { type: 'coordinator'; agents: Reference[] }
  | {
      type: 'multiagent_20261001'
      subagents:
        | { type: 'disabled' }
        | { type: 'enabled'; inline_agents: { type: 'enabled' | 'disabled' }; predefined_agents: Reference[] }
    }
interface Reference {
  id: string
  version: number
}

export function rosterOf(agent: Pick<Agent, 'multiagent'>): RosterDraft {
  const multiagent = agent.multiagent as Multiagent | null | undefined
  const drafts = (entries: Reference[]) => entries.map(({ id, version }) => ({ id, version: String(version) }))
  if (!multiagent) return NO_ROSTER
  if (multiagent.type === 'coordinator') return { delegation: 'roster', agents: drafts(multiagent.agents) }
  const { subagents } = multiagent
  if (subagents.type === 'disabled') return { delegation: 'nobody', agents: [] }
  const delegation = subagents.inline_agents.type === 'enabled' ? 'both' : 'roster'
  return { delegation, agents: drafts(subagents.predefined_agents) }
}

/** As it is sent: a roster alone in the form that the agent had it in. */
export function rosterBody({ delegation, agents }: RosterDraft, base: Pick<Agent, 'multiagent'> | null): object | null {
  const entries = agents.map(({ id, version }) => ({
    type: 'agent',
    id,
    ...(version !== null && { version: Number(version) }),
  }))
  const newer = (subagents: object) => ({ type: 'multiagent_20261001', subagents })
  if (delegation === 'own') return null
  if (delegation === 'nobody') return newer({ type: 'disabled' })
  const had = (base?.multiagent as Multiagent | null | undefined)?.type
  if (delegation === 'roster' && had !== 'multiagent_20261001') return { type: 'coordinator', agents: entries }
  const inline = { type: delegation === 'both' ? 'enabled' : 'disabled' }
  return newer({ type: 'enabled', inline_agents: inline, predefined_agents: entries })
}

/** Whether saved agents alone may be started, and none is named. */
export const lacksAgents = ({ delegation, agents }: RosterDraft): boolean =>
  delegation === 'roster' && agents.length === 0
