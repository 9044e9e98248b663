import type { PermissionRule, SessionAgent } from '@troupe/protocol/agent'
import type { SessionError } from '@troupe/protocol/event'
import type { SessionStatus, StopReason } from '@troupe/protocol/session'
import type { AgentStore } from './agents.ts'
import type { ApprovalPatch, ApprovalRow, ApprovalStore, GrantRow } from './approvals.ts'
import type { FirehoseStore } from './firehose.ts'
import type { DeploymentStore, RunWrite } from './deployments.ts'
import type { BranchStore, RewindChange } from './branches.ts'
import type { SearchFilter } from './search.ts'
import type { TotalsStore } from './totals.ts'
import type { KeyStore } from './keys.ts'
import type { FileStore } from './files.ts'
import type { SkillStore } from './skills.ts'
import type { EnvironmentStore } from './environments.ts'
import type { RepositoryChanges, RepositoryStore } from './repositories.ts'
import type { EnvironmentConfig } from '@troupe/protocol/environment'
import type { OutputsChange, OutputStore } from './outputs.ts'
import type { ResourceRow, ResourceStore } from './resources.ts'
import type { OutputFile } from '@troupe/protocol/output'
import type { AuditStore } from './audit.ts'
import type { RetentionStore } from './retention.ts'
import type { WebhookStore } from './webhooks.ts'
import type { PromptCache, TurnStatus } from '@troupe/protocol/turn'
import type { LedgerEntry, UsageFilter, UsageGroup, UsageSums } from './ledger.ts'

/** Sums over a session or a turn. Tokens are whole numbers; `costUsd` is the SDK's estimate at list price. */
export interface UsageTotals {
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheCreationTokens: number
  /** Of these, written to live for an hour; the others live for five minutes. */
  cacheCreation1hTokens: number
  costUsd: number
  /**
   * Requests whose usage the agent never reported, because it was killed: what they used is in none of the other
   * figures. Never too few: where it cannot be known whether a request was on its way, there was one.
   */
  unreportedRequests: number
}

/** Running totals of one model as the SDK reports them; `guessed`: it knows no price for the model. */
export interface ModelTotals {
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheCreationTokens: number
  cacheCreation1hTokens: number
  costUsd: number
  guessed: boolean
}

/** The SDK's running totals, by model. */
export type SdkTotals = Record<string, ModelTotals>

/** What the next turn's first request can read from the prompt cache, and what made it. */
export interface CachePrefix {
  /** Hashes of what stands before the conversation; each one that changes makes the cache useless. */
  model: string
  system: string
  tools: string
  cwd: string
  /** Tokens that the last request of the main agent read from the cache or wrote to it. */
  tokens: number
  /** How long they live, in ms, since they were last read. */
  ttlMs: number
  /** When that request began, in ms. */
  at: number
}

export const NO_USAGE: UsageTotals = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  cacheCreation1hTokens: 0,
  costUsd: 0,
  unreportedRequests: 0,
}

/** What fills the context of a session's agent, measured behind its last answer. */
export interface ContextFill {
  tokens: number
  maxTokens: number
  model: string
  /** In ms. */
  at: number
  categories: { id: string; name: string; tokens: number; kind: string }[]
}

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

export interface SessionRow {
  id: string
  status: SessionStatus
  /** Grows with each change of status, turns or options; not with a mere append. */
  version: number
  lastSeq: number
  epoch: number
  holder: string | null
  leaseUntil: number | null
  /** Since when the session waits for a slot; null when it does not. */
  queuedAt: number | null
  /** −100 to 100; higher is taken first. */
  priority: number
  /** Whose session it is: the key that made it. */
  principal: string
  /** Nothing of another workspace sees it. */
  workspaceId: string
  /** Sessions of one principal with the same one share a place in the line, and a cap on how many run; null: no such bond. */
  concurrencyKey: string | null
  /** Milliseconds that it may wait for a slot; null: for ever. */
  maxQueueMs: number | null
  currentTurnId: string | null
  lastTurnStatus: TurnStatus | null
  turnCount: number
  messageCount: number
  agent: SessionAgent
  options: SessionOptions
  cwd: string
  title: string | null
  metadata: Record<string, string>
  externalId: string | null
  /** All prompts so far, joined as the origin API joins them. */
  prompt: string
  stopReason: StopReason | null
  lastError: SessionError | null
  result: { turn_id: string; text: string | null; structured: unknown; is_error: boolean } | null
  /** The newest `ResultMessage`, as the origin API shows it. */
  originResult: Record<string, unknown> | null
  usage: UsageTotals
  /** The SDK's own running totals when the last turn ended; what a turn cost is the difference. */
  sdkTotals: { models?: SdkTotals }
  /** Null until a request of the main agent has used the cache. */
  cachePrefix: CachePrefix | null
  /** Null until it was measured behind an answer. */
  context: ContextFill | null
  activeMs: number
  startedAt: number | null
  endedAt: number | null
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

/** The fields of a session that a change may set. */
export type SessionPatch = Partial<
  Omit<SessionRow, 'id' | 'version' | 'lastSeq' | 'epoch' | 'messageCount' | 'createdAt'>
>

export interface TurnRow {
  id: string
  sessionId: string
  number: number
  status: TurnStatus
  inputEventIds: string[]
  output: { text: string | null; structured: unknown } | null
  stopReason: StopReason | null
  error: SessionError | null
  usage: UsageTotals | null
  /** How its first request met the prompt cache; null until it was answered. */
  cache: PromptCache | null
  modelRequests: number | null
  createdAt: number
  startedAt: number | null
  endedAt: number | null
  /** Its place among the turns that wait: the smallest is next. */
  position: number
  /** Time it was worked on before `runningSince`, in ms. */
  activeMs: number
  runningSince: number | null
  /** How its next run begins, when not with its input: a parked call is driven again, a cut conversation goes on. */
  resume: 'approval' | 'recovery' | null
  /** When it was taken up again after the end of a server, in ms. */
  recoveries: number[]
  /** What its agent left; absent: nothing. */
  files?: OutputFile[]
  /** The `traceparent` of the request that it came with; absent: none. */
  traceparent?: string
}

export type TurnPatch = Partial<Omit<TurnRow, 'id' | 'sessionId' | 'number' | 'createdAt'>>

export interface NewEvent {
  id: string
  type: string
  turnId: string | null
  threadId: string | null
  /** When the agent took it; null for an input it has not taken yet. */
  processedAt: number | null
  /** The payload fields, which stand beside the envelope's on the wire. */
  body: Record<string, unknown>
  /** The `seq` of the event this one repeats under the same id. */
  repeats?: number
}

/** One entry of a session's log as stored. `body` is JSON text: most readers only pass it on. */
export interface EventRow {
  sessionId: string
  seq: number
  id: string
  repeats: number | null
  type: string
  turnId: string | null
  threadId: string | null
  createdAt: number
  processedAt: number | null
  body: string
}

export type ThreadStatus = 'running' | 'idle' | 'terminated'

/** A subagent's conversation. The session's own agent has no row: its thread is the session. */
export interface ThreadRow {
  id: string
  sessionId: string
  /** Null when the session's own agent started it. */
  parentId: string | null
  /** The turn that it works, or last worked, in. */
  turnId: string | null
  /** The event of the call that started it. */
  toolUseId: string | null
  /** The agent's own id of it, kept when it is taken up again. */
  taskId: string
  agentName: string
  description: string
  model: string | null
  background: boolean
  status: ThreadStatus
  stopReason: StopReason | null
  summary: string | null
  /** Of its own model requests; `costUsd` is not tracked and 0. */
  usage: UsageTotals | null
  /** Milliseconds at work, without the stretch that `runningSince` began. */
  activeMs: number
  runningSince: number | null
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

export type ThreadPatch = Partial<Omit<ThreadRow, 'id' | 'sessionId' | 'taskId' | 'createdAt' | 'updatedAt'>>

export interface MessageRow {
  n: number
  turnId: string | null
  createdAt: number
  /** The SDK's message, whole, as JSON text. */
  body: string
}

/** One state change, whole: all of it is committed or nothing. */
export interface SessionChange {
  sessionId: string
  /** Time of the change, in ms. */
  at: number
  /** Made by a runner under this lease: refused with `StaleEpoch` once another run has begun. */
  epoch?: number
  /** Refused with `VersionConflict` when the session has changed since it was read. */
  version?: number
  /** Refused with `QueueFull` when as many sessions wait as this: the change would put one more into the line. */
  queueLimit?: number
  session?: SessionPatch
  newTurns?: TurnRow[]
  turns?: { id: string; patch: TurnPatch }[]
  newThreads?: ThreadRow[]
  threads?: { id: string; patch: ThreadPatch }[]
  events?: NewEvent[]
  newApprovals?: ApprovalRow[]
  approvals?: { id: string; patch: ApprovalPatch }[]
  grants?: GrantRow[]
  messages?: { turnId: string | null; body: string }[]
  /** Sets the session back; the first event of the change tells of it. */
  rewind?: RewindChange
  /**
   * The run of the deployment that starts the session. Refused with `DeploymentChanged` or `TickTaken` where the tick
   * is another's.
   */
  deploymentRun?: RunWrite
  /** What the session is given; refused with `FileGone` where a file is not there. And what is taken from it. */
  newResources?: ResourceRow[]
  removedResources?: string[]
  /** What the agent left in the turn that the change ends. */
  outputs?: OutputsChange
  repositories?: RepositoryChanges
  /** Entries of the accounts, as they now stand. */
  ledger?: LedgerEntry[]
  /** The idempotency key under which the change is made, and what it did: committed together. */
  effect?: { principal: string; key: string; result: string }
}

export interface SessionState {
  session: SessionRow
  openTurns: TurnRow[]
  approvals: ApprovalRow[]
  /** Subagents at work. Absent where a state is made of another one. */
  openThreads?: ThreadRow[]
  /** Inputs that the agent has taken, of the turn that was begun; absent where that turn has but one. */
  takenInputs?: ReadonlySet<string>
}

export interface Committed {
  /** The events as numbered. */
  events: EventRow[]
}

/** What a claim must keep to. */
export interface ClaimLimits {
  /** Sessions that the holder may hold. */
  slots: number
  /** Sessions with the same `concurrencyKey` of one principal that may be held. */
  perKey: number
}

/** Where a waiting session stands. */
export interface QueuePlace {
  /** 1 is next; 1,000 means that or more. */
  position: number
  /** As many sessions run as may with its `concurrencyKey`, or by the policy of its key or workspace; null: neither. */
  capped: 'concurrency_key' | 'policy' | null
}

export interface QueueKey {
  workspaceId: string
  principal: string
  concurrencyKey: string | null
  waiting: number
  running: number
  oldestQueuedAt: number | null
}

export interface QueueView {
  depth: number
  running: number
  oldestQueuedAt: number | null
  /** At most 100, those with the most waiting first. */
  keys: QueueKey[]
  /** The first in line, in order. */
  first: {
    position: number
    id: string
    priority: number
    concurrencyKey: string | null
    queuedAt: number
    capped: QueuePlace['capped']
  }[]
}

export interface SessionFilter extends SearchFilter {
  statuses?: SessionStatus[] | undefined
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
  includeArchived?: boolean | undefined
  externalId?: string | undefined
  agentId?: string | undefined
  environmentId?: string | undefined
  agentVersion?: number | undefined
  /** Those that it started. */
  deploymentId?: string | undefined
  stopReasons?: string[] | undefined
}

/** Keyset position: the rows after (`forward`) or before this one in the list's order. */
export interface Position {
  at: number
  id: string
  backward: boolean
}

export interface EventFilter {
  /** Events of one subagent; null: what is not inside of any subagent. */
  threadId?: string | null | undefined
  types?: string[] | undefined
  turnId?: string | undefined
  afterSeq?: number | undefined
  beforeSeq?: number | undefined
  createdAt?: { gt?: number; gte?: number; lt?: number; lte?: number } | undefined
}

export interface IdempotencyRecord {
  fingerprint: string
  state: 'running' | 'done'
  effect: string | null
  status: number | null
  body: string | null
}

/** Another run has taken the session over; the caller must stop its agent. */
export class StaleEpoch extends Error {
  override readonly name = 'StaleEpoch'
}

/** The session changed since it was read; read again and decide again. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict'
}

/** The session (or its row) is gone. */
export class NoSuchSession extends Error {
  override readonly name = 'NoSuchSession'
}

/** Another session holds that `external_id`. */
export class ExternalIdTaken extends Error {
  override readonly name = 'ExternalIdTaken'
}

/** As many sessions wait as may; nothing of the change was written. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull'
}

/** The store could not take the change (disk full, locked, failing); nothing of it was written. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable'
  readonly reason: 'disk_full' | 'locked' | 'io'
  constructor(reason: 'disk_full' | 'locked' | 'io', cause: unknown) {
    super(`the store cannot be written (${reason})`, { cause })
    this.reason = reason
  }
}

/**
 * The store's contract. Every method is asynchronous and takes and returns plain data, so that a store may live in
 * another thread or on another machine. What a resolved write wrote is on disk. One suite of tests runs on every store.
 */
export interface Store {
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

  /** Creates a session with its first change. Throws `ExternalIdTaken`. */
  createSession(row: SessionRow, change: SessionChange): Promise<Committed>
  /** Applies a change. Throws `StaleEpoch`, `VersionConflict`, `NoSuchSession`, `QueueFull`, `StorageUnavailable`. */
  commit(change: SessionChange): Promise<Committed>
  /** Erases a session with all that hangs on it and leaves a tombstone. `version` and `effect` as in a change. */
  deleteSession(id: string, at: number, version?: number, effect?: SessionChange['effect']): Promise<void>

  readSession(id: string): Promise<SessionRow | null>
  hasSession(id: string): Promise<boolean>
  /**
   * The session, its turns that have not ended (one that runs or waits for an answer first, then those that wait for
   * their turn, in their order), and the approvals that are pending or whose answer has not reached the agent. One consistent read.
   */
  readSessionState(id: string): Promise<SessionState | null>
  findByExternalId(workspaceId: string, externalId: string): Promise<SessionRow | null>
  isDeleted(id: string): Promise<boolean>
  /** Whose a session is, or was; null: there never was one. */
  workspaceOf(sessionId: string): Promise<string | null>
  /** At most `limit` sessions by (created, id), and whether more follow in that direction. */
  listSessions(
    filter: SessionFilter,
    order: 'asc' | 'desc',
    limit: number,
    from: Position | null,
  ): Promise<{ rows: SessionRow[]; more: boolean }>
  countSessions(filter: SessionFilter): Promise<number>
  /** Sessions not running and not to be kept, last changed before `before`, oldest first; of all workspaces where that is null. */
  findPrunable(
    workspaceId: string | null,
    before: number,
    statuses: SessionStatus[],
    limit: number,
    field: 'updated' | 'ended',
  ): Promise<string[]>

  readTurn(sessionId: string, turnId: string): Promise<TurnRow | null>
  listTurns(
    sessionId: string,
    order: 'asc' | 'desc',
    limit: number,
    after: number | null,
  ): Promise<{ rows: TurnRow[]; more: boolean }>

  readThread(sessionId: string, threadId: string): Promise<ThreadRow | null>
  /** Threads by (created, id), after the one given. */
  listThreads(
    sessionId: string,
    statuses: ThreadStatus[] | undefined,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: ThreadRow[]; more: boolean }>

  /**
   * Events with `seq` greater than `after`, in order: what a tail reads. At most `limit`, and no more once their bodies
   * exceed a million characters; empty only when there are none.
   */
  readEvents(sessionId: string, after: number, limit: number): Promise<EventRow[]>
  /** Each event once: its newest form, at its first `seq`. */
  listEvents(
    sessionId: string,
    filter: EventFilter,
    order: 'asc' | 'desc',
    limit: number,
  ): Promise<{ rows: EventRow[]; more: boolean }>
  /** The newest form of an event. */
  readEvent(sessionId: string, eventId: string): Promise<EventRow | null>
  readMessages(sessionId: string, after: number, limit: number): Promise<MessageRow[]>

  /**
   * Takes the session that is next: the highest priority; within it the key (principal and `concurrencyKey`) with the
   * fewest sessions running; then the longest waiting. Nobody has more running than the policies of its key and workspace
   * let (`max_running`). New epoch, lease until `leaseUntil`. Null when none waits that
   * the limits allow. One atomic step, whose cost does not grow with the number of keys.
   */
  claimNext(holder: string, at: number, leaseUntil: number, limits: ClaimLimits): Promise<SessionRow | null>
  /** Takes a session whose last run is known to be dead, for reconciliation: new epoch. */
  seize(sessionId: string, holder: string, leaseUntil: number): Promise<SessionRow | null>
  /** Prolongs all leases of a holder. */
  renewLeases(holder: string, leaseUntil: number): Promise<void>
  /** Sessions that are held, by whomever, or have work and neither a holder nor a place in the queue. */
  findHeld(): Promise<string[]>
  /** Where a waiting session stands, by the order in which sessions would be taken if nothing that runs ended. */
  queuePlace(session: SessionRow, perKey: number): Promise<QueuePlace>
  queueDepth(): Promise<number>
  /** The line as one workspace sees it: its own sessions and keys, at their places among all. */
  readQueue(workspaceId: string, limit: number, perKey: number): Promise<QueueView>
  /** Sessions that have waited as long as they may, and when the next one will have. */
  findOverdue(at: number, limit: number): Promise<{ ids: string[]; next: number | null }>

  /** Whether the transcript has an entry with this uuid. */
  transcriptHas(sessionId: string, uuid: string): Promise<boolean>

  /** What a turn has used so far, by model and day. */
  readTurnLedger(turnId: string): Promise<LedgerEntry[]>
  /** Sums of the ledger by group. Takes time for each entry in the range, and lets others work in between. */
  sumUsage(filter: UsageFilter, groups: readonly UsageGroup[]): AsyncGenerator<UsageSums[], void, void>

  /**
   * Appends entries, each uuid once. With a `generation` that is not the session's number of rewinds any more nothing is
   * written: who was started before the conversation was set back has no part in it.
   */
  appendTranscript(
    sessionId: string,
    subpath: string,
    entries: { uuid: string | null; body: string }[],
    generation?: number | null,
  ): Promise<void>
  loadTranscript(sessionId: string, subpath: string): Promise<string[]>
  /** Whether there is a transcript to resume from. */
  hasTranscript(sessionId: string): Promise<boolean>
  listTranscripts(sessionId: string): Promise<string[]>

  /** Claims an idempotency key: null when it was free, else what is known of its first use. */
  beginIdempotent(principal: string, key: string, fingerprint: string, at: number): Promise<IdempotencyRecord | null>
  finishIdempotent(principal: string, key: string, status: number, body: string): Promise<void>
  /** Frees a key whose request had no effect. */
  abandonIdempotent(principal: string, key: string): Promise<void>
  /**
   * Drops keys and outbox rows older than `before`, but no row that an endpoint has yet to be told of; at boot also the
   * claims that died without an effect.
   */
  sweep(before: { idempotency: number; outbox: number; tokens?: number }, boot: boolean): Promise<void>

  /** Rejects unless a row can be written now. */
  checkWritable(): Promise<void>
  close(): Promise<void>
}
