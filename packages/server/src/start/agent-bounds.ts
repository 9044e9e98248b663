import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Containers } from '../environments/containers.ts'
import type { AgentUser } from '../lib/agent-user.ts'
import type { Logger } from '../lib/logger.ts'
import { type AgentLimits, agentLimits, limitWords } from '../runner/agent-limits.ts'
import { agentWords } from '../runner/agent-words.ts'
import { chooseAgentUser, rootProblem } from '../runner/choose-agent-user.ts'
import { containersOf } from '../runner/containers-of.ts'
import { type Containment, detectContainment } from '../runner/containment.ts'
import type { Undo } from './undo.ts'

/** As whom agents run, what holds them, and what they may take. */
export interface AgentBounds {
  user: AgentUser | null
  limits: AgentLimits
  containment: Containment
  containers: Containers
  /** In words, for whoever looks at the server. */
  words: string
}

/** `login`: what of a stored login agents must read. Removes the containers that an earlier server left. */
export async function boundAgents(
  config: Config,
  parts: { login: string | null; sessionsDir: string; containment: Containment['name'] | undefined; logger: Logger },
  undo: Undo,
): Promise<AgentBounds> {
  const user = chooseAgentUser(config, parts.login, config.env.TMPDIR ?? '/tmp')
  const rootWarning = rootProblem(config.agent_user)
  if (rootWarning !== null) parts.logger.warn({ setting: 'agent_user' }, rootWarning)
  const limits = agentLimits(config)
  const bounds = limitWords(limits, config.max_running + config.spares, user !== null)
  const containment = detectContainment(parts.containment, (sessionId) => [
    ...bounds,
    ...agentWords(user, parts.sessionsDir, sessionId),
  ])
  const containers = containersOf(config, containment, join(config.data_dir, 'containers'))
  await containers.sweep()
  undo.push(() => containers.settled())
  const asWhom = user ? `; agents run as ${user.name}` : rootWarning === null ? '' : '; agents run as root'
  return { user, limits, containment, containers, words: `${containment.name}: ${containment.note}${asWhom}` }
}
