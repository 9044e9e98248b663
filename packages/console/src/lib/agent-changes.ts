import type { Agent } from '@troupe/protocol/saved-agent'

/** Of a version, what can differ from another one, each field as text. */
const COMPARED = [
  'name',
  'description',
  'model',
  'system',
  'permission_mode',
  'tools',
  'mcp_servers',
  'allowed_tools',
  'disallowed_tools',
  'permission_rules',
  'output_schema',
  'skills',
  'subagents',
  'multiagent',
  'metadata',
] as const satisfies readonly (keyof Agent)[]

interface Toolset {
  type: string
  configs?: {
    name: string
    enabled?: boolean
    permission_policy?: { type: string }
    allowed_domains?: string[]
    blocked_domains?: string[]
  }[]
}

/** A toolset as a line for each tool: written out it is a page of JSON, in which one word differs. */
function toolLines(tool: Toolset): string {
  if (tool.type !== 'agent_toolset_20260401' || !tool.configs) return JSON.stringify(tool, null, 2)
  return tool.configs
    .map(({ name, enabled, permission_policy, ...bounds }) =>
      [
        `${name}: ${enabled === false ? 'none' : permission_policy?.type}`,
        ...(bounds.allowed_domains ? [`allowed_domains: ${bounds.allowed_domains.join(', ')}`] : []),
        ...(bounds.blocked_domains ? [`blocked_domains: ${bounds.blocked_domains.join(', ')}`] : []),
      ].join('; '),
    )
    .join('\n')
}

function written(field: (typeof COMPARED)[number], agent: Agent): string {
  const value: unknown = agent[field]
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return ''
  if (field === 'tools') return `${(value as Toolset[]).map(toolLines).join('\n')}\n`
  return `${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}\n`
}

/** The fields in which two versions differ, as text. */
export const changesBetween = (older: Agent, newer: Agent): { field: string; before: string; after: string }[] =>
  COMPARED.map((field) => ({ field, before: written(field, older), after: written(field, newer) })).filter(
    ({ before, after }) => before !== after,
  )
