import type { McpServerConfig, Options } from '@anthropic-ai/claude-agent-sdk'
import type { SessionAgent } from '@troupe/protocol/agent'
import type { McpServer } from '@troupe/protocol/mcp'
import { subagentsOf } from '../agents/subagents.ts'
import { CLIENT_TOOLS } from './policy.ts'

/** Where an agent finds the tools of its client. */
export interface ClientToolsEndpoint {
  url: string
  token: string
}

/** What of an agent's definition the SDK is told by options of their own. */
export function agentOptions(
  agent: SessionAgent,
  clientTools: ClientToolsEndpoint | null,
  allowStdio: boolean,
): Pick<Options, 'mcpServers' | 'mcpServersDelivery' | 'strictMcpConfig' | 'agents'> {
  const servers: Record<string, McpServerConfig> = {}
  for (const server of agent.mcp_servers as McpServer[])
    // What was allowed when the session began may not be any more; who watches the servers tells that it is missing.
    if (server.type === 'url') servers[server.name] = { type: 'http', url: server.url }
    else if (allowStdio)
      servers[server.name] = {
        type: 'stdio',
        command: server.command,
        ...(server.args && { args: server.args }),
        ...(server.env && { env: server.env }),
      }
  if (clientTools)
    servers[CLIENT_TOOLS] = {
      type: 'http',
      url: clientTools.url,
      headers: { authorization: `Bearer ${clientTools.token}` },
    }
  const subagents = subagentsOf(agent).map(
    ({ name, description, system, model, effort, tools, disallowed_tools }) =>
      [
        name,
        {
          description,
          prompt: system,
          ...(model && { model }),
          ...(effort && { effort }),
          ...(tools && { tools }),
          ...(disallowed_tools && { disallowedTools: disallowed_tools }),
        },
      ] as const,
  )
  return {
    // None but these: what lies in the workdir names no servers.
    strictMcpConfig: true,
    ...(subagents.length > 0 && { agents: Object.fromEntries(subagents) }),
    ...(Object.keys(servers).length > 0 && {
      mcpServers: servers,
      // Not on the command line, which every user of the machine can read.
      mcpServersDelivery: 'initialize' as const,
    }),
  }
}
