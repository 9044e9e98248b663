import type { McpServer } from '@troupe/protocol/mcp'
import { GATEWAY_URL } from '../environments/container-network.ts'
import { allowedHosts, hostOf, limitedNetwork } from '../environments/hosts.ts'
import type { Resolve } from '../lib/system-resolver.ts'
import { Gateway } from '../proxy/gateway.ts'
import { agentBehindGateway, commandBehindGateway } from '../proxy/gateway-env.ts'
import type { SessionRow } from '../store/session-row.ts'

export interface GatewaySettings {
  resolve: Resolve
  /** Where the tools of a session's client are, seen from this machine; null: not yet. */
  clientTools(sessionId: string): string | null
}

const limitsOf = (environment: SessionRow['options']['environment']) =>
  environment?.config.type === 'container' ? limitedNetwork(environment.config) : null

/** An address of the server as the agent of a session reaches it: by the gateway where its container has one. */
export const reachedFrom = ({ options }: Pick<SessionRow, 'options'>, url: string): string =>
  limitsOf(options.environment) ? GATEWAY_URL + new URL(url).pathname : url

/**
 * The gateway of a session's container, and the environment by which what runs there finds it; null where its network is this
 * machine's. The model and the tools of the client are for agents alone.
 */
export function gatewayFor(
  { resolve, clientTools }: GatewaySettings,
  { id, agent, options: { environment } }: Pick<SessionRow, 'id' | 'agent' | 'options'>,
  env: Record<string, string>,
  isAgent: boolean,
): { gateway: Gateway; env: Record<string, string> } | null {
  const network = limitsOf(environment)
  if (!environment || !network) return null
  const hosts = allowedHosts(environment.config) ?? []
  const urls = network.allow_mcp_servers ? (agent.mcp_servers as McpServer[]) : []
  const servers = urls.flatMap((server) => (server.type === 'url' ? (hostOf(server.url) ?? []) : []))
  const lists = { hosts, servers }
  if (!isAgent) {
    const ways = { ...lists, endpoint: null, model: null, tools: null }
    return { gateway: new Gateway(ways, resolve), env: commandBehindGateway(env) }
  }
  const { env: told, endpoint, model } = agentBehindGateway(env)
  const tools = clientTools(id)
  const ways = { ...lists, endpoint, model, tools: tools === null ? null : new URL(tools) }
  return { gateway: new Gateway(ways, resolve), env: told }
}
