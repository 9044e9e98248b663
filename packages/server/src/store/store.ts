import type { AgentStore } from './agents.ts'
import type { ApprovalStore } from './approvals.ts'
import type { AuditStore } from './audit.ts'
import type { BranchStore } from './branches.ts'
import type { DeploymentStore } from './deployments.ts'
import type { EnvironmentStore } from './environments.ts'
import type { EventStore } from './events.ts'
import type { FileStore } from './files.ts'
import type { FirehoseStore } from './firehose.ts'
import type { IdempotencyStore } from './idempotency.ts'
import type { KeyStore } from './keys.ts'
import type { LeaseStore } from './leases.ts'
import type { LedgerStore } from './ledger.ts'
import type { OutputStore } from './outputs.ts'
import type { QueueStore } from './queue.ts'
import type { RepositoryStore } from './repositories.ts'
import type { ResourceStore } from './resources.ts'
import type { RetentionStore } from './retention.ts'
import type { ChangeStore } from './session-change.ts'
import type { SessionStore } from './sessions.ts'
import type { SkillStore } from './skills.ts'
import type { ThreadStore } from './threads.ts'
import type { TotalsStore } from './totals.ts'
import type { TranscriptStore } from './transcripts.ts'
import type { TurnStore } from './turns.ts'
import type { WebhookStore } from './webhooks.ts'

/**
 * The store's contract. Every method is asynchronous and takes and returns plain data, so that a store may live in
 * another thread or on another machine. What a resolved write wrote is on disk. One suite of tests runs on every store.
 */
export interface Store
  extends
    ChangeStore,
    SessionStore,
    TurnStore,
    ThreadStore,
    EventStore,
    LeaseStore,
    QueueStore,
    LedgerStore,
    TranscriptStore,
    IdempotencyStore {
  readonly webhooks: WebhookStore
  readonly files: FileStore
  readonly skills: SkillStore
  readonly environments: EnvironmentStore
  readonly repositories: RepositoryStore
  readonly resources: ResourceStore
  readonly outputs: OutputStore
  readonly retention: RetentionStore
  readonly audit: AuditStore
  readonly approvals: ApprovalStore
  readonly keys: KeyStore
  readonly agents: AgentStore
  readonly branches: BranchStore
  readonly totals: TotalsStore
  readonly deployments: DeploymentStore
  readonly firehose: FirehoseStore

  /**
   * Drops keys and outbox rows older than `before`, but no row that an endpoint has yet to be told of; at boot also the
   * claims that died without an effect.
   */
  sweep(before: { idempotency: number; outbox: number; tokens?: number }, boot: boolean): Promise<void>

  /** Rejects unless a row can be written now. */
  checkWritable(): Promise<void>
  close(): Promise<void>
}
