import { ApiError } from '@troupe/protocol/error'
import type { AgentRow, AgentStore } from '../store/agents.ts'
import { DEFAULT_AGENT_ID, DEFAULT_AGENT_NAME, defineAgent } from './resolve-agent.ts'

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
