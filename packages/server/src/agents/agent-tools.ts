import {
  AgentToolset,
  CustomTool,
  type SessionAgent,
  type ToolConfig,
  TOOLSET_TOOLS,
  type ToolsetTool,
} from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { ToolPolicy } from '@troupe/protocol/tool-policy'
import { mcpDisabled, mcpToolset } from './mcp-servers.ts'
import { DOMAIN_FIELDS, fetchDomains } from './web-fetch.ts'

const unsupported = (detail: string) => new ApiError('unsupported_feature', detail)

/** Turns the hosted API's toolset into the SDK's two lists. `auto` is the default: reading tools run, the rest asks. */
export function toolRules(tools: { type: string }[]) {
  const allowed: string[] = []
  const disabled: string[] = []
  const toolsets: SessionAgent['tools'] = []
  for (const [index, tool] of tools.entries()) {
    if (tool.type === 'custom') {
      toolsets.push(customTool(tool, index, toolsets))
      continue
    }
    if (tool.type === 'mcp_toolset') {
      toolsets.push({ ...mcpToolset(tool, index) })
      continue
    }
    if (tool.type !== 'agent_toolset_20260401')
      throw unsupported(
        `agent.tools[${index}]: type "${tool.type}" is not supported yet; agent_toolset_20260401, mcp_toolset and custom are.`,
      )
    const parsed = AgentToolset.safeParse(tool)
    if (!parsed.success)
      throw new ApiError('validation_failed', `agent.tools[${index}]: ${parsed.error.issues[0]?.message ?? 'invalid'}`)
    const toolset = parsed.data
    const base = {
      enabled: toolset.default_config?.enabled ?? true,
      policy: toolset.default_config?.permission_policy?.type ?? ('auto' as ToolPolicy),
    }
    for (const config of toolset.configs ?? []) assertKnown(config, index)
    const configs = (Object.keys(TOOLSET_TOOLS) as ToolsetTool[]).map((name) => {
      const config = toolset.configs?.find((entry) => entry.name === name)
      const enabled = config?.enabled ?? base.enabled
      const policy = config?.permission_policy?.type ?? base.policy
      if (!enabled) disabled.push(TOOLSET_TOOLS[name])
      else if (policy === 'always_allow') allowed.push(TOOLSET_TOOLS[name])
      return {
        name,
        type: name,
        enabled,
        permission_policy: { type: policy },
        ...(name === 'web_fetch' && fetchDomains(config, index)),
      }
    })
    toolsets.push({
      type: 'agent_toolset_20260401',
      default_config: { enabled: base.enabled, permission_policy: { type: base.policy } },
      configs,
    })
  }
  return { allowed, disabled: [...disabled, ...mcpDisabled(toolsets)], toolsets }
}

const CONFIGURED = new Set(['name', 'type', 'enabled', 'permission_policy'])

/** A bound that is not kept must not look as if it were: every field that has no effect here is refused by name. */
function assertKnown(config: ToolConfig, index: number): void {
  for (const [field, value] of Object.entries(config)) {
    if (value === null || value === undefined || CONFIGURED.has(field)) continue
    if (config.name === 'web_fetch' && DOMAIN_FIELDS.includes(field)) continue
    throw unsupported(`agent.tools[${index}]: ${field} of ${config.name} is not supported.`)
  }
}

function customTool(
  tool: { type: string },
  index: number,
  known: SessionAgent['tools'],
): SessionAgent['tools'][number] {
  const parsed = CustomTool.safeParse(tool)
  const refuse = (detail: string) =>
    new ApiError('validation_failed', `agent.tools[${index}]: ${detail}`, {
      errors: [{ pointer: `/agent/tools/${index}`, code: 'invalid', detail }],
    })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw refuse(`${issue.path.join('.')}: ${issue.message}`)
  }
  const { type, name, description, input_schema } = parsed.data
  if (name === 'AskUserQuestion')
    throw refuse('the name AskUserQuestion is taken: the agent asks its questions with it.')
  if (known.some((other) => other.type === 'custom' && other.name === name))
    throw refuse(`there are two custom tools named ${name}.`)
  return { type, name, description, input_schema }
}

/** The tools of an agent that its client runs. */
export const customToolsOf = (agent: Pick<SessionAgent, 'tools'>): CustomTool[] =>
  agent.tools.filter((tool) => tool.type === 'custom') as unknown as CustomTool[]
