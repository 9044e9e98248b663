import type { AgentFields, InlineAgent, SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { Multiagent } from '@troupe/protocol/multiagent'
import type { PinnedSkill } from '@troupe/protocol/attached-skill'
import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import { distinct, noSubagents } from './subagents.ts'
import { toolRules } from './agent-tools.ts'
import { mcpServers } from './mcp-servers.ts'
import { checkOutputSchema } from './output-schema.ts'
import { parseRule } from './permission-rules.ts'

/** The built-in agent: Claude Code's own system prompt and tools, the server's default model. */
export const DEFAULT_AGENT_ID = 'agent_default'
export const DEFAULT_AGENT_NAME = 'Claude'
/** The model of an agent that names none. */
const NO_MODEL = 'default'

const unsupported = (detail: string) => new ApiError('unsupported_feature', detail)

/** What the operator lets agents have. */
export interface AgentLimits {
  /** Whether MCP servers may be programs that the agent starts. */
  allowStdioMcp: boolean
}
const STRICTEST: AgentLimits = { allowStdioMcp: false }

/** Fields of a request, its subagents and skills looked up. */
export type DefinedFields = Omit<AgentFields, 'multiagent' | 'skills'> & {
  multiagent?: Multiagent | null | undefined
  skills?: PinnedSkill[] | null | undefined
}

/**
 * What a request says about an agent, as it is kept: every field there, tools written out. Defining it again from what
 * it shows gives the same. Throws `unsupported_feature` for what this version lacks, `validation_failed` for a toolset
 * or rule of the wrong form, `mcp_server_refused` for an MCP server that may not be used.
 */
export function defineAgent(fields: DefinedFields, name: string, limits: AgentLimits = STRICTEST): AgentDefinition {
  const config = typeof fields.model === 'string' ? { id: fields.model } : fields.model
  const effort = fields.effort ?? (typeof config?.effort === 'string' ? config.effort : config?.effort?.type)
  if (config?.speed === 'fast') throw unsupported('model.speed "fast" is not supported yet.')
  if (config?.inference_geo)
    throw unsupported('model.inference_geo: where a model runs is decided by the endpoint that the server asks.')
  assertRules(fields.permission_rules ?? [], '/agent/permission_rules')
  const tools = toolRules(fields.tools ?? []).toolsets
  return {
    name,
    description: fields.description || null,
    model: { id: config?.id ?? NO_MODEL, ...(effort && { effort: { type: effort } }) },
    system: fields.system || null,
    tools,
    mcp_servers: mcpServers(fields.mcp_servers ?? [], tools, limits.allowStdioMcp),
    skills: fields.skills ?? [],
    multiagent: fields.multiagent ?? null,
    subagents: distinct(fields.subagents ?? []),
    execution_identity: { type: 'service_account' },
    permission_mode: fields.permission_mode ?? 'default',
    allowed_tools: [...new Set(fields.allowed_tools ?? [])],
    disallowed_tools: [...new Set(fields.disallowed_tools ?? [])],
    permission_rules: fields.permission_rules ?? [],
    ...(fields.output_schema && { output_schema: checkOutputSchema(fields.output_schema, '/agent/output_schema') }),
    metadata: {},
  }
}

/** The agent as a session keeps it: what its toolsets allow and take away stands in the two lists of tools too. */
export function sessionAgent(
  { metadata: _metadata, ...definition }: AgentDefinition,
  id: string,
  version: number,
  defaultModel: string | null,
): SessionAgent {
  const { allowed, disabled } = toolRules(definition.tools)
  const { model } = definition
  return {
    type: 'agent',
    id,
    version,
    ...definition,
    model: { ...model, id: model.id === NO_MODEL ? (defaultModel ?? NO_MODEL) : model.id },
    allowed_tools: [...new Set([...allowed, ...definition.allowed_tools])],
    disallowed_tools: [
      ...new Set([...disabled, ...noSubagents(definition.multiagent), ...definition.disallowed_tools]),
    ],
  }
}

/** An agent that is given whole; the built-in one where none is. Throws as `defineAgent` does. */
export const resolveAgent = (
  agent: (DefinedFields & Pick<InlineAgent, 'type' | 'name'>) | undefined,
  defaultModel: string | null,
  limits: AgentLimits = STRICTEST,
): SessionAgent =>
  agent === undefined
    ? sessionAgent(defineAgent({}, DEFAULT_AGENT_NAME), DEFAULT_AGENT_ID, 1, defaultModel)
    : sessionAgent(defineAgent(agent, agent.name ?? 'Inline agent', limits), newId('agent'), 1, defaultModel)

/** Throws `validation_failed` for a rule that cannot be read: one that is misread would allow or refuse the wrong call. */
export function assertRules(rules: { rule: string }[], pointer: string): void {
  for (const [index, { rule }] of rules.entries())
    if (!parseRule(rule))
      throw new ApiError(
        'validation_failed',
        `${pointer}/${index}: ${JSON.stringify(rule)} is not "Tool" or "Tool(pattern)".`,
        {
          errors: [{ pointer: `${pointer}/${index}/rule`, code: 'invalid', detail: 'Tool or Tool(pattern)' }],
        },
      )
}
