import type { AgentParam, SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { McpServer } from '@troupe/protocol/mcp'
import type { Store } from '../store/store.ts'
import { requireAgent } from './find-agent.ts'
import { assertAllowed } from './mcp-servers.ts'
import { mergeFields } from './merge-agent.ts'
import { wholeRoster, rosterOf } from './multiagent.ts'
import { pinSkills } from './pin-skills.ts'
import { type AgentLimits, resolveAgent, sessionAgent } from './resolve-agent.ts'

/**
 * The agent a session will run, whole, from what its request named: later versions do not change it, nor those of its
 * subagents. Throws `agent_not_found`, `agent_archived`, and what `defineAgent` throws.
 */
export async function agentOfSession(
  { agents: store, skills }: Pick<Store, 'agents' | 'skills'>,
  workspaceId: string,
  param: AgentParam | undefined,
  { defaultModel, ...limits }: AgentLimits & { defaultModel: string | null },
): Promise<SessionAgent> {
  const whole = (agent: SessionAgent) => wholeRoster(store, workspaceId, agent, defaultModel)
  if (param === undefined) return resolveAgent(param, defaultModel)
  if (typeof param === 'object' && param.type === 'inline') {
    const multiagent = await rosterOf(store, workspaceId, param.multiagent, null)
    const pinned = await pinSkills(skills, workspaceId, param.skills)
    return whole(resolveAgent({ ...param, multiagent, skills: pinned }, defaultModel, limits))
  }
  const { id, version } = typeof param === 'string' ? { id: param, version: undefined } : param
  const found = await requireAgent(store, workspaceId, id, version ?? undefined)
  if (found.archivedAt !== null)
    throw new ApiError('agent_archived', `Agent ${id} is archived; sessions that have it go on, new ones do not begin.`)
  let { definition } = found
  if (typeof param === 'object' && param.type === 'agent_with_overrides') {
    const multiagent = await rosterOf(store, workspaceId, param.multiagent, definition.multiagent)
    const pinned = await pinSkills(skills, workspaceId, param.skills)
    definition = mergeFields(definition, { ...param, multiagent, skills: pinned }, limits)
  }
  // What it was saved with may be gone.
  await pinSkills(skills, workspaceId, definition.skills)
  // What was allowed when it was saved may not be any more.
  for (const server of definition.mcp_servers as McpServer[]) assertAllowed(server, limits.allowStdioMcp)
  return whole(sessionAgent(definition, found.id, found.version, defaultModel))
}
