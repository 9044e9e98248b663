import {
  AgentToolset,
  type AgentParam,
  CustomTool,
  InlineAgent,
  type SessionAgent,
  TOOLSET_TOOLS,
  type ToolPolicy,
  type ToolsetTool,
} from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { z } from 'zod'
import { parseRule } from './permission-rules.ts'

/** The built-in agent: Claude Code's own system prompt and tools, the server's default model. */
export const DEFAULT_AGENT_ID = 'agent_default'

const unsupported = (detail: string) => new ApiError('unsupported_feature', detail)

/**
 * The agent a session will run, from what the request named. Throws `agent_not_found` for a saved agent (there are
 * none yet), `unsupported_feature` for what later issues bring, `validation_failed` for a toolset of the wrong form.
 */
export function resolveAgent(param: z.infer<typeof AgentParam> | undefined, defaultModel: string | null): SessionAgent {
  if (param === undefined) return fromInline({ type: 'inline' }, DEFAULT_AGENT_ID, defaultModel)
  const id = typeof param === 'string' ? param : param.type === 'inline' ? null : String(param.id)
  if (id === null) return fromInline(InlineAgent.parse(param), newId('agent'), defaultModel)
  if (typeof param !== 'string' && param.type === 'agent_with_overrides')
    throw unsupported('agent_with_overrides is not supported yet; give the whole agent as {"type":"inline", …}.')
  if (id !== DEFAULT_AGENT_ID)
    throw new ApiError(
      'agent_not_found',
      `Agent ${id} does not exist: saved agents are not supported yet. Use "${DEFAULT_AGENT_ID}" or {"type":"inline", …}.`,
    )
  return fromInline({ type: 'inline' }, DEFAULT_AGENT_ID, defaultModel)
}

function fromInline(agent: InlineAgent, id: string, defaultModel: string | null): SessionAgent {
  for (const field of ['mcp_servers', 'skills', 'subagents'] as const)
    if (agent[field]?.length) throw unsupported(`agent.${field} is not supported yet; leave it out.`)
  if (agent.multiagent) throw unsupported('agent.multiagent is not supported yet; leave it out.')
  const config = typeof agent.model === 'string' ? { id: agent.model } : agent.model
  const effort = agent.effort ?? (typeof config?.effort === 'string' ? config.effort : config?.effort?.type)
  if (config?.speed === 'fast') throw unsupported('model.speed "fast" is not supported yet.')
  const tools = toolRules(agent.tools ?? [])
  assertRules(agent.permission_rules ?? [], '/agent/permission_rules')
  return {
    type: 'agent',
    id,
    version: 1,
    name: agent.name ?? (id === DEFAULT_AGENT_ID ? 'Claude' : 'Inline agent'),
    description: agent.description ?? null,
    model: { id: config?.id ?? defaultModel ?? 'default', ...(effort && { effort: { type: effort } }) },
    system: agent.system ?? null,
    tools: tools.toolsets,
    mcp_servers: [],
    skills: [],
    multiagent: null,
    execution_identity: { type: 'service_account' },
    permission_mode: agent.permission_mode ?? 'default',
    allowed_tools: [...new Set([...tools.allowed, ...(agent.allowed_tools ?? [])])],
    disallowed_tools: [...new Set([...tools.disabled, ...(agent.disallowed_tools ?? [])])],
    permission_rules: agent.permission_rules ?? [],
  }
}

/** Turns the hosted API's toolset into the SDK's two lists. `auto` is the default: reading tools run, the rest asks. */
function toolRules(tools: { type: string }[]) {
  const allowed: string[] = []
  const disabled: string[] = []
  const toolsets: SessionAgent['tools'] = []
  for (const [index, tool] of tools.entries()) {
    if (tool.type === 'custom') {
      toolsets.push(customTool(tool, index, toolsets))
      continue
    }
    if (tool.type !== 'agent_toolset_20260401')
      throw unsupported(
        `agent.tools[${index}]: type "${tool.type}" is not supported yet; agent_toolset_20260401 and custom are.`,
      )
    const parsed = AgentToolset.safeParse(tool)
    if (!parsed.success)
      throw new ApiError('validation_failed', `agent.tools[${index}]: ${parsed.error.issues[0]?.message ?? 'invalid'}`)
    const toolset = parsed.data
    const base = {
      enabled: toolset.default_config?.enabled ?? true,
      policy: toolset.default_config?.permission_policy?.type ?? ('auto' as ToolPolicy),
    }
    const configs = (Object.keys(TOOLSET_TOOLS) as ToolsetTool[]).map((name) => {
      const config = toolset.configs?.find((entry) => entry.name === name)
      const enabled = config?.enabled ?? base.enabled
      const policy = config?.permission_policy?.type ?? base.policy
      if (!enabled) disabled.push(TOOLSET_TOOLS[name])
      else if (policy === 'always_allow') allowed.push(TOOLSET_TOOLS[name])
      return { name, type: name, enabled, permission_policy: { type: policy } }
    })
    toolsets.push({
      type: 'agent_toolset_20260401',
      default_config: { enabled: base.enabled, permission_policy: { type: base.policy } },
      configs,
    })
  }
  return { allowed, disabled, toolsets }
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
