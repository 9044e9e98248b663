import type { AgentFields, AgentParam, SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { McpServer } from '@troupe/protocol/mcp'
import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import type { AgentRow, AgentStore } from '../store/agents.ts'
import { assertAllowed } from './mcp-servers.ts'
import {
  type AgentLimits,
  DEFAULT_AGENT_ID,
  DEFAULT_AGENT_NAME,
  defineAgent,
  resolveAgent,
  sessionAgent,
} from './resolve-agent.ts'

/**
 * The agent a session will run, whole, from what its request named: later versions do not change it. Throws
 * `agent_not_found`, `agent_archived`, and what `defineAgent` throws.
 */
export async function agentOfSession(
  store: AgentStore,
  workspaceId: string,
  param: AgentParam | undefined,
  { defaultModel, ...limits }: AgentLimits & { defaultModel: string | null },
): Promise<SessionAgent> {
  if (param === undefined || (typeof param === 'object' && param.type === 'inline'))
    return resolveAgent(param, defaultModel, limits)
  const { id, version } = typeof param === 'string' ? { id: param, version: undefined } : param
  const found = await requireAgent(store, workspaceId, id, version ?? undefined)
  if (found.archivedAt !== null)
    throw new ApiError('agent_archived', `Agent ${id} is archived; sessions that have it go on, new ones do not begin.`)
  const definition =
    typeof param === 'object' && param.type === 'agent_with_overrides'
      ? mergeFields(found.definition, param, limits)
      : found.definition
  // What was allowed when it was saved may not be any more.
  for (const server of definition.mcp_servers as McpServer[]) assertAllowed(server, limits.allowStdioMcp)
  return sessionAgent(definition, found.id, found.version, defaultModel)
}

/** Throws `agent_not_found`, for an agent of another workspace too. */
export async function requireAgent(
  store: AgentStore,
  workspaceId: string,
  id: string,
  version?: number,
): Promise<AgentRow> {
  const row = id === DEFAULT_AGENT_ID ? builtIn(workspaceId, version) : await store.read(workspaceId, id, version)
  if (row) return row
  const known = version === undefined ? null : await requireAgent(store, workspaceId, id)
  throw new ApiError(
    'agent_not_found',
    known
      ? `Agent ${id} has no version ${version}; its newest is ${known.newest}.`
      : `Agent ${JSON.stringify(id)} does not exist.`,
  )
}

/** The built-in agent as a row: it belongs to every workspace, and to none. */
const builtIn = (workspaceId: string, version = 1): AgentRow | null =>
  version === 1
    ? {
        id: DEFAULT_AGENT_ID,
        workspaceId,
        version,
        newest: 1,
        definition: defineAgent({}, DEFAULT_AGENT_NAME),
        source: 'built_in',
        file: null,
        contentHash: null,
        createdAt: 0,
        updatedAt: 0,
        archivedAt: null,
      }
    : null

/** Some fields of an agent replaced, each whole: absent keeps, null and `[]` clear. Throws as `defineAgent` does. */
export function mergeFields(
  old: AgentDefinition,
  change: AgentFields & { name?: string | undefined },
  limits: AgentLimits,
): AgentDefinition {
  const { metadata, ...fields } = old
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
  const model = typeof change.model === 'string' ? { id: change.model } : change.model
  // A model that says nothing of effort leaves it as it is.
  const effort = [change.effort, model?.effort].find((level) => level !== undefined)
  const merged: AgentFields = {
    ...fields,
    ...given,
    mcp_servers: change.mcp_servers === undefined ? (fields.mcp_servers as McpServer[]) : change.mcp_servers,
    model: { ...model, id: model?.id ?? old.model.id, effort: effort === undefined ? old.model.effort : effort },
    effort: null,
  }
  return { ...defineAgent(merged, change.name ?? old.name, limits), metadata }
}
