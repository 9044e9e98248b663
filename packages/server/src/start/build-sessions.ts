import { MAX_FILE_BYTES } from '@troupe/protocol/file'
import { join } from 'node:path'
import { agentProblem, bypassProblem } from '../agents/agent-binary.ts'
import type { ModelSource } from '../agents/model-source.ts'
import type { Config } from '../config.ts'
import { sandboxWatch } from '../environments/sandbox-problem.ts'
import { sweepFiles } from '../files/sweep-files.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { EventLog } from '../log/event-log.ts'
import { gitSettings } from '../repositories/run-git.ts'
import type { SessionContext } from '../sessions/context.ts'
import { Git } from '../snapshots/git.ts'
import { Snapshots } from '../snapshots/snapshots.ts'
import type { Store } from '../store/store.ts'
import type { AgentBounds } from './agent-bounds.ts'

export interface SessionParts {
  store: Store
  log: EventLog
  clock: Clock
  logger: Logger
  model: ModelSource
  sessionsDir: string
  bounds: AgentBounds
  spares: SessionContext['spares']
}

/** What the use cases of sessions share. Removes the files that belong to nothing. */
export async function buildSessions(config: Config, parts: SessionParts): Promise<SessionContext> {
  const { store, log, clock, logger, model, sessionsDir, bounds, spares } = parts
  const { user, containers } = bounds
  const snapshots = new Snapshots({
    store,
    clock,
    logger,
    git: new Git(config.env.PATH),
    searchPath: config.env.PATH,
    sessionsDir,
    mode: config.snapshots,
    user,
  })
  const files = {
    store: store.files,
    folder: join(config.data_dir, 'files'),
    clock,
    maxBytes: MAX_FILE_BYTES,
    owner: user,
  }
  await sweepFiles(files)
  return {
    store,
    files,
    repositories: { git: gitSettings(config.env, user), sources: config.git_sources },
    snapshots,
    spares,
    log,
    clock,
    settings: {
      modelSource: model.source,
      defaultModel: config.default_model,
      allowStdioMcp: config.allow_stdio_mcp,
      defaultCwd: config.default_cwd,
      sessionsDir,
      agentUser: user,
      agentProblem: agentProblem(config.agent_executable),
      bypassProblem: bypassProblem(config.env, config.agent_user),
      sandboxProblem: sandboxWatch(config.env.PATH, user),
      containerProblem: (image, limited) => containers.problem(image, limited),
      maxQueuedTurns: config.max_queued_turns,
      originApprovalSeconds: config.origin_approval_seconds,
      maxQueuedSessions: config.max_queued_sessions,
      maxRunningPerKey: config.max_running_per_key ?? config.max_running,
    },
  }
}
