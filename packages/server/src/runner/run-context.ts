import type { Logger } from '../lib/logger.ts'
import type { Previews } from '../log/previews.ts'
import type { Wakeups } from '../log/wakeups.ts'
import type { SessionContext } from '../sessions/context.ts'
import type { Snapshots } from '../snapshots/snapshots.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { AgentSettings } from './agent-process.ts'
import type { LiveAgents } from './live-agents.ts'
import type { ModelBackoff } from './model-backoff.ts'

/** What the runs of a server share. */
export interface RunContext {
  sessions: SessionContext
  previews: Previews
  wakeups: Wakeups
  agent: AgentSettings
  snapshots: Snapshots
  live: LiveAgents
  /** Is told of sessions that begin. */
  begun(session: SessionRow): void
  /** Is told how each agent came to its turn. */
  counted(how: 'cold' | 'resume' | 'live' | 'spare'): void
  /** Shared by all sessions of the server's credential. */
  backoff: ModelBackoff
  /** The whole environment of a session's agent; makes its config dir. */
  prepareEnv(session: SessionRow): Record<string, string>
  /** Where a session's agent finds the tools of its client; waits until they are served. */
  clientTools(session: SessionRow): Promise<{ url: string; token: string }>
  /** Milliseconds of silence, with no tool at work, after which the model counts as gone. */
  stallMs: number
  /** Milliseconds that work in the background may go on behind an answer. */
  backgroundMs: number
  logger: Logger
}
