import { AgentFiles } from '../agents/agent-files.ts'
import type { Config } from '../config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { DEFAULT_WORKSPACE } from '../sessions/caller.ts'
import type { Store } from '../store/store.ts'
import type { Undo } from './undo.ts'

/** Reads the agents and skills of `agents_dir`, where that is set, and follows what becomes of them. */
export async function watchAgentFiles(
  config: Config,
  { store, clock, logger }: { store: Store; clock: Clock; logger: Logger },
  undo: Undo,
): Promise<void> {
  if (config.agents_dir === null) return
  const { allow_stdio_mcp: allowStdioMcp } = config
  const workspaceId = DEFAULT_WORKSPACE
  const files = new AgentFiles(config.agents_dir, {
    agents: store.agents,
    skills: store.skills,
    clock,
    logger,
    workspaceId,
    limits: { allowStdioMcp },
  })
  await files.start()
  undo.push(() => files.stop())
}
