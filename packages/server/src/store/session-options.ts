import type { PermissionRule } from '@troupe/protocol/agent'
import type { EnvironmentConfig } from '@troupe/protocol/environment'

/** What the agent is started with, besides what stands in `agent`. */
export interface SessionOptions {
  env: Record<string, string>
  maxTurns: number | null
  /** Wall time of a turn, in seconds, at most. */
  turnTimeoutSeconds?: number | null
  /** List cost of the whole session, in whole cents, at most. */
  budgetCents?: number | null
  /** The workdir was made for this session and goes with it. */
  ownWorkdir: boolean
  /** Which API made the session. */
  source: 'native' | 'origin'
  /** Who answers for the model. */
  modelSource: 'configured' | 'demo'
  /** Absent in sessions made before there were approvals. */
  approvals?: ApprovalSettings
  recovery?: 'auto' | 'resume' | 'fail'
  rules?: PermissionRule[]
  /** Whether the workdir is kept turn by turn; absent: as the server is set. */
  snapshots?: 'auto' | 'on' | 'off'
  /** Whether what the agent leaves in `outputs/` is kept, and it is told so; absent: `auto`. */
  outputs?: 'auto' | 'on' | 'off'
  /** How long it is kept behind its last change; absent: as its workspace, else the server, says. `ttlMs` null: for ever. */
  retention?: { keep: boolean; ttlMs?: number | null }
  /** How often its conversation was set back. */
  rewinds?: number
  /** The deployment that started it. */
  deploymentId?: string
  /** The environment that it began in, as it was then; absent: `env_default`. */
  environment?: { id: string; config: EnvironmentConfig }
  /** The setup of its environment has run in its workdir and its home. */
  setUp?: true
  /** Its workdir is this worktree; absent: it is still to be made, if its environment has one. `branch` null: its agent made a repository of its own of it. */
  worktree?: { repository: string; branch: string | null }
  /** The commit that the worktree of a fork begins at; its files are there already. */
  worktreeFrom?: string
  /** Where it comes from. */
  forkedFrom?: { session_id: string; event_id: string | null }
}

/** How long calls may wait for their answer. */
export interface ApprovalSettings {
  holdSeconds: number
  /** Null: for ever. 0: nobody is asked, the call is refused at once. */
  timeoutSeconds: number | null
  onTimeout: 'deny' | 'stay' | 'interrupt'
}
