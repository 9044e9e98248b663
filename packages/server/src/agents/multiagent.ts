import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { Multiagent, MultiagentParam, RosterEntry } from '@troupe/protocol/multiagent'
import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import type { AgentStore } from '../store/agents.ts'
import { requireAgent } from './find-agent.ts'
import { sessionAgent } from './resolve-agent.ts'
import { distinct, subagentsOf } from './subagents.ts'
import type { FetchDomains } from './web-fetch.ts'

interface Policed {
  permission_policy: { type: string }
}

const unsupported = (what: string) => new ApiError('unsupported_feature', `multiagent: ${what} not supported.`)
const OFF = { type: 'disabled' } as const
const ON = { type: 'enabled' } as const

/**
 * The roster of an agent with each of its agents at one version. Absent stays absent; of two configurations of the newer
 * form the given one is merged into the old. Throws `agent_not_found`, `agent_archived`, `validation_failed`, and
 * `unsupported_feature` for what a subagent cannot have here.
 */
export async function rosterOf(
  store: AgentStore,
  workspaceId: string,
  given: MultiagentParam | null | undefined,
  old: Multiagent | null,
): Promise<Multiagent | null | undefined> {
  if (!given) return given
  if (given.type === 'coordinator')
    return { type: 'coordinator', agents: await references(store, workspaceId, given.agents) }
  if (given.workflows?.type === 'enabled') throw unsupported('workflows are')
  if (given.advisor?.type === 'enabled') throw unsupported('an advisor is')
  const before = old?.type === 'multiagent_20261001' ? old.subagents : null
  const { subagents } = given
  const kept = { type: 'multiagent_20261001', workflows: OFF, advisor: OFF } as const
  if (subagents === undefined && before) return { ...kept, subagents: before }
  if (subagents?.type === 'disabled') return { ...kept, subagents: OFF }
  const known = subagents && before?.type === 'enabled' ? before : { inline_agents: ON, predefined_agents: [] }
  const predefined = subagents?.predefined_agents
  const inline = subagents?.inline_agents
  const enabled = {
    type: 'enabled' as const,
    inline_agents: inline === undefined ? known.inline_agents : { type: inline?.type ?? 'enabled' },
    predefined_agents:
      predefined === undefined ? known.predefined_agents : await references(store, workspaceId, predefined ?? []),
  }
  if (enabled.inline_agents.type === 'disabled' && enabled.predefined_agents.length === 0)
    throw new ApiError(
      'validation_failed',
      'multiagent: without inline agents predefined_agents must name at least one.',
    )
  return { ...kept, subagents: enabled }
}

async function references(store: AgentStore, workspaceId: string, entries: RosterEntry[]) {
  const found: { id: string; version: number; name: string }[] = []
  for (const entry of entries) {
    if (typeof entry === 'object' && entry.type !== 'agent') throw unsupported(`"${entry.type}" in a roster is`)
    const { id, version } = typeof entry === 'string' ? { id: entry, version: undefined } : entry
    const row = await requireAgent(store, workspaceId, id, version ?? undefined)
    if (row.archivedAt !== null) throw new ApiError('agent_archived', `Agent ${id} is archived and joins no roster.`)
    assertSubagent(id, row.definition)
    if (found.some((other) => other.id === row.id))
      throw new ApiError('validation_failed', `multiagent: agent ${id} is named twice.`)
    found.push({ id: row.id, version: row.version, name: row.definition.name })
  }
  return distinct(found).map(({ id, version }) => ({ type: 'agent' as const, id, version }))
}

/** A subagent is judged by its session's policy, so one with a stricter policy of its own is refused, not run without it. */
function assertSubagent(id: string, definition: AgentDefinition): void {
  const { tools, mcp_servers, skills, multiagent, subagents, permission_rules, disallowed_tools, name } = definition
  if (multiagent || subagents.length > 0)
    throw new ApiError('validation_failed', `multiagent: agent ${id} starts agents itself; a roster is one level deep.`)
  if (!/^[^\p{Cc}(),*]{1,64}$/u.test(name))
    throw new ApiError(
      'validation_failed',
      `multiagent: the name of agent ${id} must have at most 64 characters, and no ( ) , or *.`,
    )
  if (skills.length > 0) throw unsupported(`agent ${id} has skills, which subagents are`)
  if (mcp_servers.length > 0) throw unsupported(`agent ${id} has MCP servers, which subagents are`)
  if (tools.some(({ type }) => type === 'custom'))
    throw unsupported(`agent ${id} has custom tools, which subagents are`)
  const configs = tools.flatMap((tool) => (tool.configs ?? []) as (Partial<FetchDomains> & Policed)[])
  const stricter =
    permission_rules.some(({ policy }) => policy === 'deny' || policy === 'always_ask') ||
    disallowed_tools.some((rule) => rule.includes('(')) ||
    configs.some(({ permission_policy: { type } }) => type === 'deny' || type === 'always_ask') ||
    configs.some(({ allowed_domains, blocked_domains }) => allowed_domains ?? blocked_domains)
  if (stricter) throw unsupported(`agent ${id} asks about or denies calls by rules of its own, which subagents are`)
}

/** Puts whole agents, at their versions, in the place of references. Throws `validation_failed` where names meet. */
export async function wholeRoster(
  store: AgentStore,
  workspaceId: string,
  agent: SessionAgent,
  defaultModel: string | null,
): Promise<SessionAgent> {
  const kept = agent.multiagent as Multiagent | null
  const whole = async (entries: { id: string; version: number }[]): Promise<SessionAgent[]> => {
    const agents = []
    for (const { id, version } of entries) {
      const row = await requireAgent(store, workspaceId, id, version)
      agents.push(sessionAgent(row.definition, row.id, row.version, defaultModel))
    }
    return agents
  }
  let multiagent: Multiagent<SessionAgent> | null = null
  if (kept?.type === 'coordinator') multiagent = { ...kept, agents: await whole(kept.agents) }
  else if (kept) {
    const { subagents } = kept
    multiagent = {
      ...kept,
      subagents:
        subagents.type === 'disabled'
          ? subagents
          : { ...subagents, predefined_agents: await whole(subagents.predefined_agents) },
    }
  }
  const resolved = { ...agent, multiagent }
  distinct(subagentsOf(resolved))
  return resolved
}
