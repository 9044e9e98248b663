import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { Multiagent, Subagent } from '@troupe/protocol/multiagent'

/** The tools by which an agent starts others, as its versions call it. */
const STARTING = new Set(['Agent', 'Task'])

/** Throws `validation_failed` where two have one name: which one was meant could not be said. */
export function distinct<T extends { name: string }>(subagents: T[]): T[] {
  const names = subagents.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new ApiError('validation_failed', `There are two subagents named ${JSON.stringify(twice)}.`)
  return subagents
}

/** Tools that an agent does not have because it may start no others. */
export const noSubagents = (multiagent: Multiagent | null): string[] =>
  multiagent?.type === 'multiagent_20261001' && multiagent.subagents.type === 'disabled' ? ['Agent'] : []

/** A session's agents that its own may start, whole. */
const rosterOf = ({ multiagent }: Pick<SessionAgent, 'multiagent'>): SessionAgent[] => {
  const kept = multiagent as Multiagent<SessionAgent> | null
  if (kept?.type === 'coordinator') return kept.agents
  return kept?.subagents.type === 'enabled' ? kept.subagents.predefined_agents : []
}

/** Everything that an agent may start by name, in one form: those of its roster, and those defined with it. */
export function subagentsOf(agent: SessionAgent): Subagent[] {
  const roster = rosterOf(agent).map((each) => ({
    name: each.name,
    description: each.description ?? each.name,
    system: each.system ?? `You are ${each.name}. ${each.description ?? ''}`.trim(),
    ...(each.model.id !== 'default' && { model: each.model.id }),
    ...(each.model.effort && { effort: each.model.effort.type }),
    disallowed_tools: each.disallowed_tools,
  }))
  return [...roster, ...(agent.subagents ?? [])]
}

/** Whether a call would start a subagent that the agent's roster leaves out. */
export function isSubagentOff(agent: SessionAgent, name: string, input: unknown): boolean {
  const kept = agent.multiagent as Multiagent<SessionAgent> | null
  if (!kept || !STARTING.has(name)) return false
  const onlyNamed =
    kept.type === 'coordinator' ||
    kept.subagents.type === 'disabled' ||
    kept.subagents.inline_agents.type === 'disabled'
  if (!onlyNamed) return false
  const { subagent_type: kind } = (input ?? {}) as { subagent_type?: unknown }
  return !subagentsOf(agent).some((each) => each.name === kind)
}
