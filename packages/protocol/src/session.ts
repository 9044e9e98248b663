import { ContextUsage } from './context.ts'
import { z } from 'zod'
import { AgentParam, EnvVars, PermissionRules, SessionAgent, SessionAgentUpdate } from './agent.ts'
import { SnapshotMode } from './branch.ts'
import { ApprovalPolicy, RequiredAction } from './approval.ts'
import { Budget, BudgetParam } from './budget.ts'
import { OutputSchema } from './output-schema.ts'
import { OutputsMode } from './output.ts'
import { PageQuery } from './page.ts'
import { MAX_RESOURCES, ResourceParam, SessionResource } from './resource.ts'
import { Retention, RetentionParam } from './retention.ts'
import { SessionError, UserMessage } from './event.ts'
import { Metadata } from './metadata.ts'
import { Usage } from './turn.ts'

/** The four words of the hosted API; waiting for a slot is `running` with `queue`. */
export const SessionStatus = z.enum(['idle', 'running', 'rescheduling', 'terminated'])
export type SessionStatus = z.infer<typeof SessionStatus>

/** Why the last turn ended. An open union: `interrupted`, `max_turns` and `timeout` are ours. */
export const StopReason = z.looseObject({ type: z.string() }).meta({ id: 'StopReason' })
export type StopReason = z.infer<typeof StopReason>

export { Metadata, PageQuery }

/** What becomes of a turn that the end of the server cut off. */
export const Recovery = z
  .enum(['auto', 'resume', 'fail'])
  .describe(
    'A turn cut off by the end of the server: `auto` (default) goes on when nothing with effects was under way; `resume` always; `fail` never',
  )
export type Recovery = z.infer<typeof Recovery>

const Limits = z.object({
  max_turns: z.number().int().min(1).max(1000).nullish().describe("Model requests per turn (the SDK's `maxTurns`)"),
  turn_timeout_seconds: z
    .number()
    .int()
    .min(1)
    .max(604_800)
    .nullish()
    .describe('Wall time of a turn; then it is interrupted, and ended by force 5 s later'),
  max_queue_seconds: z
    .number()
    .int()
    .min(1)
    .max(604_800)
    .nullish()
    .describe('How long a turn may wait for a slot before it fails with `queue_timeout`; absent or null: for ever'),
})

/** Which of the waiting sessions is taken first. */
const Priority = z.number().int().min(-100).max(100)
const ConcurrencyKey = z.string().min(1).max(255)

export const CreateSession = z.object({
  agent: AgentParam.optional().describe('Default: the built-in `agent_default`'),
  environment_id: z
    .string()
    .max(128)
    .optional()
    .describe('Default: the built-in `env_default`. The session keeps what it is now'),
  cwd: z
    .string()
    .min(1)
    .max(4096)
    .nullish()
    .describe("The workdir, an absolute path; absent: a fresh one of the session's own"),
  env: EnvVars.optional().describe('Environment variables added for the agent'),
  initial_events: z
    .array(z.union([UserMessage, z.looseObject({ type: z.literal('user.define_outcome') })]))
    .max(50)
    .optional(),
  title: z.string().max(512).nullish(),
  metadata: Metadata.optional(),
  external_id: z.string().min(1).max(255).optional().describe('Natural key, unique while the session is not archived'),
  limits: Limits.optional(),
  resources: z.array(ResourceParam).max(MAX_RESOURCES).optional().describe('Files that are put into the workdir'),
  vault_ids: z.array(z.unknown()).optional(),
  budget: BudgetParam.nullish().describe('What all turns together may cost at list price'),
  output_schema: OutputSchema.nullish(),
  approvals: ApprovalPolicy.nullish().describe('How long calls may wait for an answer, and what then'),
  permission_rules: PermissionRules.optional().describe("Added to the agent's"),
  recovery: Recovery.optional(),
  priority: Priority.nullish().describe('Higher is taken first; default 0'),
  concurrency_key: ConcurrencyKey.nullish().describe(
    'Sessions with the same key share a place in the line, and the cap `max_running_per_key`',
  ),
  retention: RetentionParam.nullish(),
  snapshots: SnapshotMode.optional(),
  outputs: OutputsMode.optional(),
  stream: z.boolean().optional().describe('Answer with the event stream, from event 1'),
})
export type CreateSession = z.infer<typeof CreateSession>

export const UpdateSession = z.object({
  title: z.string().max(512).nullish().describe('Absent: keep; null: clear'),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(512).nullable())
    .nullish()
    .describe('Merged key by key; a null value deletes its key; null deletes all'),
  priority: Priority.nullish().describe('Only while it is idle or waits for a slot; null: 0'),
  concurrency_key: ConcurrencyKey.nullish().describe('Only while it is idle or waits for a slot; null: none'),
  budget: BudgetParam.nullish().describe('Absent: keep; null: no budget. Raised, a session that had stopped goes on'),
  limits: Limits.optional().describe('Absent fields stay, null clears; what it changes counts from the next turn on'),
  output_schema: OutputSchema.nullish().describe('Only while it is idle. Absent: keep; null: none'),
  agent: SessionAgentUpdate.optional().describe(
    'Only while it is idle. Each field is replaced whole; the saved agent is not touched',
  ),
  retention: RetentionParam.nullish().describe('Absent: keep; null: as workspace or server say; else replaced whole'),
  vault_ids: z.unknown().optional(),
})

/** Why a session waits. An open union. */
export const QueueReason = z
  .string()
  .describe('`waiting_for_slot`, `waiting_for_memory`, `concurrency_key`, `policy` or `model_backoff`')

export const Session = z
  .object({
    type: z.literal('session'),
    id: z.string(),
    uuid: z.string().describe('The same id as the Agent SDK and the origin API write it'),
    status: SessionStatus,
    agent: SessionAgent,
    environment_id: z.string(),
    title: z.string().nullable(),
    prompt: z.string().nullable().describe('How the first input begins, at most 200 characters'),
    metadata: z.record(z.string(), z.string()),
    external_id: z.string().nullable(),
    cwd: z.string(),
    model_source: z.enum(['configured', 'demo']).describe('`demo`: the answers come from the demo model, a script'),
    stop_reason: StopReason.nullable(),
    required_actions: z.array(RequiredAction).describe('What a person or a client must answer'),
    approvals: ApprovalPolicy,
    recovery: Recovery,
    permission_rules: PermissionRules,
    last_error: SessionError.nullable(),
    result: z
      .object({ turn_id: z.string(), text: z.string().nullable(), structured: z.unknown(), is_error: z.boolean() })
      .nullable(),
    queue: z
      .object({ position: z.number().int(), enqueued_at: z.string(), reason: QueueReason })
      .nullable()
      .describe('Set while the session waits for a slot; position 1 is next, 1000 means that or more'),
    priority: z.number().int(),
    concurrency_key: z.string().nullable(),
    current_turn_id: z.string().nullable(),
    last_seq: z.number().int(),
    usage: Usage,
    stats: z.object({ active_seconds: z.number(), duration_seconds: z.number() }),
    budget: Budget.nullable(),
    context: ContextUsage.nullable().describe("How full the agent's context was behind its last answer"),
    output_schema: OutputSchema.nullable(),
    limits: z.object({
      max_turns: z.number().int().nullable(),
      turn_timeout_seconds: z.number().int().nullable(),
      max_queue_seconds: z.number().int().nullable(),
    }),
    retention: Retention,
    expires_at: z
      .string()
      .nullable()
      .describe('When it is deleted if nothing happens; null: never, or not while it works or waits'),
    resources: z.array(SessionResource),
    vault_ids: z.array(z.string()),
    outcome_evaluations: z.array(z.unknown()),
    deployment_id: z.string().nullable().describe('The deployment that started it'),
    forked_from: z
      .object({ session_id: z.string(), event_id: z.string().nullable() })
      .nullable()
      .describe('The session that this one goes on from'),
    created_at: z.string(),
    updated_at: z.string(),
    archived_at: z.string().nullable(),
    converged: z.boolean().optional().describe('Only on create: the session with this external_id was already there'),
  })
  .meta({ id: 'Session' })
export type Session = z.infer<typeof Session>

export const DeletedSession = z.object({ type: z.literal('session_deleted'), id: z.string() })

/** A query parameter that may be given once or several times. */
export const oneOrMany = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(item).max(100).optional(),
  )

export const ListSessions = PageQuery.extend({
  'statuses[]': oneOrMany(SessionStatus),
  'created_at[gt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[gte]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lte]': z.iso.datetime({ offset: true }).optional(),
  include_archived: z.stringbool().optional(),
  external_id: z.string().max(255).optional(),
  agent_id: z.string().max(128).optional(),
  environment_id: z.string().max(128).optional(),
  agent_version: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31)
    .optional(),
  deployment_id: z.string().max(128).optional().describe('Those that it started'),
  'stop_reason[]': oneOrMany(z.string().max(64)),
  q: z
    .string()
    .max(200)
    .optional()
    .describe('Words of title, last prompt and result, all of them; `"…"`: as one. Three characters or more each'),
  count: z.stringbool().optional(),
})
export type ListSessions = z.infer<typeof ListSessions>

export const ListEvents = PageQuery.extend({
  'types[]': oneOrMany(z.string().max(64)),
  after_seq: z.coerce.number().int().min(0).optional(),
  before_seq: z.coerce.number().int().min(0).optional(),
  turn_id: z.string().max(64).optional(),
  'created_at[gt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[gte]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lte]': z.iso.datetime({ offset: true }).optional(),
})
export type ListEvents = z.infer<typeof ListEvents>

export const StreamQuery = z.object({
  after: z.string().max(64).optional().describe('Replay what follows this `seq` or event id, then go on live'),
  from: z.enum(['start']).optional().describe('Replay the whole log, then go on live'),
  until: z.enum(['idle']).optional().describe('Close after the next idle or terminated'),
  'event_deltas[]': oneOrMany(z.string().max(64)),
})

export const FirehoseQuery = z.object({
  after: z.string().max(64).optional().describe('Replay what follows the frame with this id, then go on live'),
  from: z.enum(['start']).optional().describe('Replay all that is kept, then go on live'),
  'types[]': oneOrMany(z.string().min(1).max(64)).describe('Names and globs (`session.status_*`)'),
})

export const RetrieveQuery = z.object({
  wait_for: z.enum(['idle']).optional().describe('Answer when the session is idle or terminated'),
  timeout: z.coerce
    .number()
    .min(0)
    .max(600)
    .optional()
    .describe('Seconds to wait; then the session as it is. Default 60'),
})

export const Prune = z.object({
  older_than: z
    .union([z.iso.datetime({ offset: true }), z.number().min(0), z.literal('expired')])
    .describe('A time, or an age in seconds, compared with the last change; `expired`: whose retention is over'),
  statuses: z
    .array(z.enum(['idle', 'terminated']))
    .min(1)
    .optional()
    .describe('Default: both. Running sessions are never pruned, nor those with `retention.keep`'),
  dry_run: z.boolean().optional(),
})

export const page = <T extends z.ZodType>(item: T) =>
  z.object({
    data: z.array(item),
    next_page: z.string().nullable(),
    prev_page: z.string().nullable(),
    total_count: z.number().int().optional(),
  })
