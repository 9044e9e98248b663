import { PinnedSkill, SkillParam } from './attached-skill.ts'
import { z } from 'zod'
import { McpServer } from './mcp.ts'
import { OutputSchema } from './output-schema.ts'
import { MultiagentParam, Subagent } from './multiagent.ts'
import { Policy } from './tool-policy.ts'

export const PermissionMode = z.enum(['default', 'acceptEdits', 'plan', 'bypassPermissions', 'dontAsk'])
export type PermissionMode = z.infer<typeof PermissionMode>

export const Effort = z.enum(['low', 'medium', 'high', 'xhigh', 'max'])
export type Effort = z.infer<typeof Effort>

/** Alias, full name, or a Bedrock or Vertex id; handed to the agent as it is. */
export const ModelName = z.string().trim().min(1).max(256)

/** The built-in tools of the hosted API's toolset, and the Agent SDK's names for them. */
export const TOOLSET_TOOLS = {
  bash: 'Bash',
  edit: 'Edit',
  read: 'Read',
  write: 'Write',
  glob: 'Glob',
  grep: 'Grep',
  web_fetch: 'WebFetch',
  web_search: 'WebSearch',
} as const
export type ToolsetTool = keyof typeof TOOLSET_TOOLS

/** Hosts by name, each with those below it; a path may follow. Limits of the hosted API. */
const Domains = z
  .array(
    z
      .string()
      .max(512)
      .regex(
        /^([a-z0-9_-]+\.)*[a-z0-9_-]+(\/[^\s?#%\\]*)?$/i,
        'must be a host as "docs.example.com", or one with a path',
      ),
  )
  .min(1)
  .max(64)

/** Other fields of the hosted API are refused by name where they are set. */
const ToolConfig = z.looseObject({
  name: z.enum(Object.keys(TOOLSET_TOOLS) as [ToolsetTool, ...ToolsetTool[]]),
  type: z.string().optional(),
  enabled: z.boolean().nullish(),
  permission_policy: Policy.nullish(),
  allowed_domains: Domains.optional().describe('Of `web_fetch`: it fetches from these only'),
  blocked_domains: Domains.optional().describe('Of `web_fetch`: it fetches from none of these'),
})
export type ToolConfig = z.infer<typeof ToolConfig>

export const AgentToolset = z.object({
  type: z.literal('agent_toolset_20260401'),
  configs: z.array(ToolConfig).max(64).optional(),
  default_config: z.object({ enabled: z.boolean().nullish(), permission_policy: Policy.nullish() }).nullish(),
})
export type AgentToolset = z.infer<typeof AgentToolset>

/** A rule of the policy table: which calls, and what becomes of them. */
export const PermissionRule = z.object({
  rule: z
    .string()
    .min(1)
    .max(2048)
    .describe(
      '`Tool`, `Tool(pattern)`, `mcp__server`, `mcp__server__tool` or `*`; for Bash a command, for files a path',
    ),
  policy: z.enum(['always_allow', 'always_ask', 'auto', 'deny']),
})
export type PermissionRule = z.infer<typeof PermissionRule>
export const PermissionRules = z.array(PermissionRule).max(256)

/** A tool that the client runs: the call is told as `agent.custom_tool_use`, its result comes as `user.custom_tool_result`. */
export const CustomTool = z.object({
  type: z.literal('custom'),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
  description: z.string().min(1).max(8192),
  input_schema: z.looseObject({ type: z.literal('object') }),
})
export type CustomTool = z.infer<typeof CustomTool>

const ModelConfig = z.object({
  id: ModelName,
  effort: z.union([Effort, z.object({ type: Effort })]).nullish(),
  speed: z.enum(['standard', 'fast']).nullish(),
  inference_geo: z.string().max(64).nullish().describe('Refused: where a model runs is decided by its endpoint'),
})

/** Names of tools as the Agent SDK knows them, optionally with a specifier: `Bash(ls:*)`. */
export const ToolNames = z.array(z.string().min(1).max(1024)).max(256)

/** Environment variables a caller adds for the agent. Which names are refused is the server's policy. */
export const EnvVars = z
  .record(z.string().min(1).max(256), z.string().max(32_768))
  .refine((env) => Object.keys(env).length <= 128, {
    message: 'at most 128 variables',
  })

const ModelParam = z.union([ModelName, ModelConfig])
const ToolParams = z.array(z.union([AgentToolset, z.looseObject({ type: z.string() })])).max(256)
const System = z.string().max(100_000)

/** What makes an agent, whether it is saved, given with a session or overridden there. Null is as good as absent. */
export const AgentFields = z.object({
  description: z.string().max(2048).nullish(),
  model: ModelParam.optional().describe("Default: the server's default model"),
  system: System.nullish().describe("The whole system prompt; absent or null: Claude Code's own (the SDK's preset)"),
  tools: ToolParams.nullish(),
  permission_mode: PermissionMode.nullish(),
  effort: Effort.nullish(),
  allowed_tools: ToolNames.nullish().describe('Tools that run without being asked for; not a restriction'),
  disallowed_tools: ToolNames.nullish().describe('Tools the agent does not have'),
  permission_rules: PermissionRules.nullish().describe('The policy table; a `deny` always wins, then the closer rule'),
  mcp_servers: z.array(McpServer).max(20).nullish().describe('Each needs an `mcp_toolset` in `tools`'),
  skills: z.array(SkillParam).max(64).nullish(),
  output_schema: OutputSchema.nullish(),
  subagents: z.array(Subagent).max(20).nullish().describe('Beside those of `multiagent`, or instead'),
  multiagent: MultiagentParam.nullish(),
})
export type AgentFields = z.infer<typeof AgentFields>

/** What of a session's agent can be replaced while the session is idle. Absent keeps, null or `[]` clears. */
export const SessionAgentUpdate = AgentFields.pick({
  model: true,
  system: true,
  tools: true,
  permission_mode: true,
  effort: true,
  allowed_tools: true,
  disallowed_tools: true,
  permission_rules: true,
  mcp_servers: true,
}).strict()
export type SessionAgentUpdate = z.infer<typeof SessionAgentUpdate>

/** An agent given with the session instead of a saved one. */
export const InlineAgent = AgentFields.extend({
  type: z.literal('inline'),
  name: z.string().min(1).max(256).optional(),
})
export type InlineAgent = z.infer<typeof InlineAgent>

const AgentVersion = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31)
const AgentIdParam = z.string().min(1).max(128)

/** A saved agent; without `version` the newest. */
export const AgentReference = z.object({
  type: z.literal('agent'),
  id: AgentIdParam,
  version: AgentVersion.nullish(),
})

/** A saved agent, some fields of which this session replaces whole. Absent keeps the agent's, null or `[]` clears. */
export const AgentWithOverrides = AgentFields.extend({
  type: z.literal('agent_with_overrides'),
  id: AgentIdParam,
  version: AgentVersion.nullish(),
})
export type AgentWithOverrides = z.infer<typeof AgentWithOverrides>

export const AgentParam = z.union([
  AgentIdParam,
  z.discriminatedUnion('type', [InlineAgent, AgentReference, AgentWithOverrides]),
])
export type AgentParam = z.infer<typeof AgentParam>

/** The agent as a session resolved it. The fields of the hosted API, and ours after them. */
export const SessionAgent = z
  .object({
    type: z.literal('agent'),
    id: z.string(),
    version: z.number().int(),
    name: z.string(),
    description: z.string().nullable(),
    model: z.object({
      id: z.string().describe("`default` is the agent's own choice"),
      effort: z.object({ type: Effort }).optional(),
      speed: z.enum(['standard', 'fast']).optional(),
    }),
    system: z.string().nullable(),
    tools: z.array(z.looseObject({ type: z.string() })),
    mcp_servers: z.array(z.looseObject({ type: z.string(), name: z.string() })),
    skills: z.array(PinnedSkill),
    multiagent: z.looseObject({ type: z.string() }).nullable(),
    subagents: z.array(Subagent).optional(),
    execution_identity: z.object({ type: z.literal('service_account') }),
    permission_mode: PermissionMode,
    allowed_tools: z.array(z.string()),
    disallowed_tools: z.array(z.string()),
    permission_rules: PermissionRules.optional(),
    output_schema: OutputSchema.optional(),
  })
  .meta({ id: 'SessionAgent' })
export type SessionAgent = z.infer<typeof SessionAgent>
