import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import type { McpServer } from '@troupe/protocol/mcp'
import { type AgentLimits, type DefinedFields, defineAgent } from './resolve-agent.ts'

/** Some fields of an agent replaced, each whole: absent keeps, null and `[]` clear. Throws as `defineAgent` does. */
export function mergeFields(
  old: AgentDefinition,
  change: DefinedFields & { name?: string | undefined },
  limits: AgentLimits,
): AgentDefinition {
  const { metadata, ...fields } = old
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
  const model = typeof change.model === 'string' ? { id: change.model } : change.model
  // A model that says nothing of effort leaves it as it is.
  const effort = [change.effort, model?.effort].find((level) => level !== undefined)
  const merged: DefinedFields = {
    ...fields,
    ...given,
    mcp_servers: change.mcp_servers === undefined ? (fields.mcp_servers as McpServer[]) : change.mcp_servers,
    model: { ...model, id: model?.id ?? old.model.id, effort: effort === undefined ? old.model.effort : effort },
    effort: null,
  }
  return { ...defineAgent(merged, change.name ?? old.name, limits), metadata }
}
