import type { FileContext } from '../files/context.ts'
import type { AgentUser } from '../lib/agent-user.ts'
import type { Clock } from '../lib/clock.ts'
import type { EventLog } from '../log/event-log.ts'
import type { RepositoryContext } from '../repositories/context.ts'
import type { Snapshots } from '../snapshots/snapshots.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'

/** What the use cases work with. */
export interface SessionContext {
  store: Store
  log: EventLog
  clock: Clock
  settings: SessionSettings
  snapshots: Snapshots
  files: FileContext
  repositories: RepositoryContext
  spares: SpareDesk
}

/** Where agents wait that were started before their session. */
export interface SpareDesk {
  /** The id of a session that an agent waits for which was started just so, in its workdir; null where there is none. */
  take(like: Pick<SessionRow, 'workspaceId' | 'agent' | 'options'>): string | null
}

/** What of the configuration decides how sessions are made. */
export interface SessionSettings {
  /** Who answers for the model; `none` refuses new work. */
  modelSource: 'configured' | 'demo' | 'none'
  /** Model of an agent that names none; null leaves the choice to the agent. */
  defaultModel: string | null
  /** Whether MCP servers of agents may be programs that they start. */
  allowStdioMcp: boolean
  /** Workdir of sessions that name none; null gives each a fresh one of its own. */
  defaultCwd: string | null
  /** Where sessions' own folders (workdir, config dir) are made. */
  sessionsDir: string
  /** The user as which agents run; null: that of the server. */
  agentUser: AgentUser | null
  /** Null when the agent binary can be started, else what is wrong. */
  agentProblem: string | null
  /** Null when bypassed permissions will be accepted by the agent, else why not and what to do. */
  bypassProblem: string | null
  /** Null when commands of agents can be confined here, else why not and what to do. Costs a few ms until it can. */
  sandboxProblem(): Promise<string | null>
  /** The same of containers of an image, `limited` with a network of their own. */
  containerProblem(image: string, limited: boolean): Promise<string | null>
  /** Turns that may wait in one session. */
  maxQueuedTurns: number
  /** Seconds that a call in a session of the origin API waits for an answer; 0 asks nobody. */
  originApprovalSeconds: number
  /** Sessions that may wait for a slot. */
  maxQueuedSessions: number
  /** Sessions of one `concurrency_key` that run at once. */
  maxRunningPerKey: number
}
