import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { McpServer } from '@troupe/protocol/mcp'
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isConfined } from '../environments/config.ts'
import { hostOf, isHostIn, limitedNetwork } from '../environments/hosts.ts'
import type { SessionOptions } from '../store/session-options.ts'
import type { SessionSettings } from './context.ts'

type Place = Pick<SessionOptions, 'environment'>

/**
 * MCP servers are not confined with the commands of the agent in a sandbox: programs run beside it, and the agent connects
 * to addresses itself. Throws `mcp_server_refused` for those that would go round the environment, or could not be reached.
 */
export function assertServersFit({ environment }: Place, agent: Pick<SessionAgent, 'mcp_servers'>): void {
  if (!environment) return
  const confined = isConfined(environment.config)
  const network = limitedNetwork(environment.config)
  for (const server of agent.mcp_servers as McpServer[]) {
    const refuse = (why: string) =>
      new ApiError('mcp_server_refused', `MCP server ${server.name}: environment ${environment.id} ${why}`)
    if (server.type === 'stdio' && confined) throw refuse('confines commands, and a program of the agent would not be.')
    if (server.type === 'stdio' || !network || network.allow_mcp_servers) continue
    if (!isHostIn(network.allowed_hosts, hostOf(server.url) ?? ''))
      throw refuse('does not let it connect there; set networking.allow_mcp_servers, or add its host to allowed_hosts.')
  }
}

/** Folders that a container has its own of. */
const OF_THE_SYSTEM = /^\/(proc|sys|dev|run|tmp)$|^\/(proc|sys|dev)\//

/**
 * A confined session works in no folder of what the server keeps but its own: its workdir is what it may read and write.
 * Links are followed. Throws `cwd_not_allowed`.
 */
export async function assertOutside({ environment }: Place, cwd: string, dataDir: string): Promise<void> {
  if (!environment) return
  const contained = environment.config.type === 'container'
  if (!contained && !isConfined(environment.config)) return
  const [place, kept] = await Promise.all([realpath(cwd), realpath(dataDir)])
  if (contained && (`${kept}/`.startsWith(place === '/' ? '/' : `${place}/`) || OF_THE_SYSTEM.test(place)))
    throw new ApiError(
      'cwd_not_allowed',
      `cwd ${JSON.stringify(cwd)} is around the data folder of the server or of the system's own; environment ${environment.id} has containers, which get the whole of it.`,
    )
  // What a container is given is looked at again when it starts, and must be the same then.
  if (contained && place !== resolve(cwd))
    throw new ApiError(
      'cwd_not_allowed',
      `cwd ${JSON.stringify(cwd)} is reached by a link; name ${JSON.stringify(place)} for a container of environment ${environment.id}.`,
    )
  if (!`${place}/`.startsWith(`${kept}/`)) return
  throw new ApiError(
    'cwd_not_allowed',
    `cwd ${JSON.stringify(cwd)} lies in the data folder of the server; environment ${environment.id} confines what works there. Leave cwd out for a fresh one.`,
  )
}

/** Throws `unsupported_feature`, `sandbox_unavailable` and `container_unavailable` where what the environment promises cannot be kept on this machine. */
export async function assertCanConfine(
  { environment }: Place,
  {
    sandboxProblem,
    containerProblem,
    agentUser,
  }: Pick<SessionSettings, 'sandboxProblem' | 'containerProblem' | 'agentUser'>,
): Promise<void> {
  if (
    agentUser &&
    environment &&
    (environment.config.type === 'container' || ('worktree' in environment.config && environment.config.worktree))
  )
    throw new ApiError(
      'unsupported_feature',
      `Containers and worktrees do not go together with agent_user yet, and this server has its agents run as ${agentUser.name}.`,
    )
  if (environment?.config.type === 'container') {
    const limited = limitedNetwork(environment.config) !== null
    const missing = await containerProblem(environment.config.image, limited)
    if (missing !== null) throw new ApiError('container_unavailable', missing)
  }
  if (!environment || !isConfined(environment.config)) return
  const found = await sandboxProblem()
  if (found !== null) throw new ApiError('sandbox_unavailable', found)
}
