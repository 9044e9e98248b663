import type { PermissionRule, SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { type McpServer, McpToolset } from '@troupe/protocol/mcp'
import type { ToolPolicy } from '@troupe/protocol/tool-policy'

/** A toolset of an MCP server as it is kept: every field is there. */
interface Toolset {
  type: 'mcp_toolset'
  mcp_server_name: string
  default_config: { enabled: boolean; permission_policy: { type: ToolPolicy } }
  configs: { name: string; enabled: boolean; permission_policy: { type: ToolPolicy } }[]
}

/** The name that stands for a client's own tools before the agent. */
const RESERVED = 'client'
const SPECIAL = /[^A-Za-z0-9_-]/g
/** A tool as the agent calls it: what may not stand in a name becomes `_` (measured). */
const callName = (server: string, tool: string) => `mcp__${server}__${tool.replaceAll(SPECIAL, '_')}`

const invalid = (pointer: string, detail: string) =>
  new ApiError('validation_failed', detail, { errors: [{ pointer, code: 'invalid', detail }] })

/** Writes a toolset out. Calls ask unless it says otherwise. Throws `validation_failed`. */
export function mcpToolset(tool: { type: string }, index: number): Toolset {
  const parsed = McpToolset.safeParse(tool)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw invalid(`/agent/tools/${index}`, `agent.tools[${index}]: ${issue.path.join('.')}: ${issue.message}`)
  }
  const { mcp_server_name, default_config, configs = [] } = parsed.data
  const enabled = default_config?.enabled ?? true
  const policy = default_config?.permission_policy?.type ?? 'always_ask'
  if (new Set(configs.map(({ name }) => name)).size < configs.length)
    throw invalid(`/agent/tools/${index}/configs`, `agent.tools[${index}]: a tool is named twice.`)
  return {
    type: 'mcp_toolset',
    mcp_server_name,
    default_config: { enabled, permission_policy: { type: policy } },
    configs: configs.map((config) => ({
      name: config.name,
      enabled: config.enabled ?? enabled,
      permission_policy: { type: config.permission_policy?.type ?? policy },
    })),
  }
}

/**
 * Checks the MCP servers of an agent against its toolsets: each has exactly one. Throws `validation_failed`, and
 * `mcp_server_refused` for what this server lets no agent use.
 */
export function mcpServers(given: McpServer[], tools: SessionAgent['tools'], allowStdio: boolean): McpServer[] {
  const named = new Set<string>()
  for (const [index, server] of given.entries()) {
    const at = `/agent/mcp_servers/${index}`
    if (named.has(server.name)) throw invalid(`${at}/name`, `There are two MCP servers named ${server.name}.`)
    if (server.name === RESERVED)
      throw invalid(`${at}/name`, `The name ${RESERVED} is taken by the client's own tools.`)
    named.add(server.name)
    assertAllowed(server, allowStdio)
  }
  const used = new Set<string>()
  for (const { mcp_server_name: name } of toolsetsOf(tools)) {
    if (!named.has(name))
      throw invalid('/agent/tools', `An mcp_toolset names the MCP server ${name}, which is not there.`)
    if (used.has(name)) throw invalid('/agent/tools', `There are two mcp_toolsets of the MCP server ${name}.`)
    used.add(name)
  }
  for (const { name } of given)
    if (!used.has(name))
      throw invalid(
        '/agent/mcp_servers',
        `The MCP server ${name} has no toolset; add {"type":"mcp_toolset","mcp_server_name":"${name}"} to tools.`,
      )
  return given
}

/** Throws `mcp_server_refused`. */
export function assertAllowed(server: McpServer, allowStdio: boolean): void {
  const refuse = (why: string) => new ApiError('mcp_server_refused', `MCP server ${server.name}: ${why}`)
  if (server.type === 'stdio') {
    if (!allowStdio) throw refuse('programs may not be started here; the operator can allow it with allow_stdio_mcp.')
    return
  }
  const url = URL.canParse(server.url) ? new URL(server.url) : null
  if (!url || !/^https?:$/.test(url.protocol)) throw refuse('its url must begin with http:// or https://.')
  if (url.username || url.password) throw refuse('its url may not hold credentials.')
  // The agent puts variables of its environment in such places (measured), and keys are among them.
  if (server.url.includes('${')) throw refuse('its url may not hold "${".')
}

const toolsetsOf = (tools: SessionAgent['tools']): Toolset[] =>
  tools.filter((tool) => tool.type === 'mcp_toolset') as unknown as Toolset[]

/** What its toolsets of MCP servers say, as rules; of tools, then of whole servers. */
export function mcpRules(tools: SessionAgent['tools']): PermissionRule[] {
  return toolsetsOf(tools).flatMap(({ mcp_server_name: server, default_config, configs }) => [
    ...configs.map(({ name, permission_policy }) => ({ rule: callName(server, name), policy: permission_policy.type })),
    { rule: `mcp__${server}`, policy: default_config.permission_policy.type },
  ])
}

/** Tools of MCP servers that are off by name, and servers of which nothing is on: the agent is not offered them. */
export function mcpDisabled(tools: SessionAgent['tools']): string[] {
  return toolsetsOf(tools).flatMap(({ mcp_server_name: server, default_config, configs }) =>
    default_config.enabled || configs.some(({ enabled }) => enabled)
      ? configs.filter(({ enabled }) => !enabled).map(({ name }) => callName(server, name))
      : [`mcp__${server}`],
  )
}

/** Whether a call is of a tool that its toolset leaves off. Some are known by their call alone. */
export function isMcpToolOff(tools: SessionAgent['tools'], name: string): boolean {
  const toolset = toolsetsOf(tools).find(({ mcp_server_name: server }) => name.startsWith(`mcp__${server}__`))
  if (!toolset) return false
  const config = toolset.configs.find((each) => callName(toolset.mcp_server_name, each.name) === name)
  return !(config ?? toolset.default_config).enabled
}
