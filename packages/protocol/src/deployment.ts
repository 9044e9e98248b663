import { z } from 'zod'
import { BudgetParam } from './budget.ts'
import { UserMessage } from './event.ts'
import { MAX_RESOURCES, ResourceParam } from './resource.ts'
import { Metadata, page, PageQuery } from './session.ts'

/** Deployments of one workspace that are not archived. */
export const MAX_DEPLOYMENTS = 1000
/** Bytes of what a deployment sends and names, as JSON, at most: lists show it whole. */
export const MAX_DEPLOYMENT_BYTES = 128 * 1024
/** Days that runs are listed for. */
export const RUN_HISTORY_DAYS = 90

const AgentToDeploy = z
  .union([
    z.string().min(1).max(256),
    z.object({
      type: z.literal('agent'),
      id: z.string().min(1).max(256),
      version: z.number().int().min(1).max(2_147_483_647).nullish(),
    }),
  ])
  .describe('A saved agent. Without a version the newest one is pinned')

export const ScheduleParam = z.object({
  type: z.literal('cron'),
  expression: z.string().min(9).max(256).describe('Five POSIX fields: minute, hour, day of month, month, day of week'),
  timezone: z.string().min(1).max(64).describe('An IANA time zone, such as `Europe/Berlin`'),
  jitter_seconds: z
    .number()
    .int()
    .min(0)
    .max(3600)
    .optional()
    .describe('Each deployment starts so much later at most, always by the same; default 10'),
  missed: z
    .enum(['latest', 'skip'])
    .optional()
    .describe('Ticks that nobody was there for: run the latest once (default), or none that is over a minute late'),
})
export type ScheduleParam = z.infer<typeof ScheduleParam>

const InitialEvents = z
  .array(
    z.union([
      UserMessage,
      z.looseObject({
        type: z.enum(['user.define_outcome', 'system.message']),
      }),
    ]),
  )
  .min(1)
  .max(50)
const Name = z.string().trim().min(1).max(256)
const Description = z.string().max(2048)
const Resources = z.array(ResourceParam).max(MAX_RESOURCES)
const Cwd = z.string().min(1).max(4096)

export const CreateDeployment = z.object({
  name: Name,
  agent: AgentToDeploy,
  environment_id: z.string().max(128).optional().describe('Default: `env_default`; each session has it as it is then'),
  initial_events: InitialEvents,
  description: Description.nullish(),
  metadata: Metadata.optional(),
  schedule: ScheduleParam.nullish().describe('Null: only by hand'),
  budget: BudgetParam.nullish().describe('Of each session it starts'),
  cwd: Cwd.nullish().describe('Workdir of its sessions; absent: each has a fresh one'),
  resources: Resources.nullish().describe('Files and repositories that each session is given'),
  vault_ids: z.array(z.unknown()).nullish(),
})
export type CreateDeployment = z.infer<typeof CreateDeployment>

export const UpdateDeployment = z
  .object({
    name: Name.optional(),
    agent: AgentToDeploy.optional(),
    environment_id: z.string().max(128).optional(),
    initial_events: InitialEvents.optional(),
    description: Description.nullish(),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(512).nullable())
      .nullish()
      .describe('Merged key by key; a null value deletes its key; null deletes all'),
    schedule: ScheduleParam.nullish(),
    budget: BudgetParam.nullish(),
    cwd: Cwd.nullish(),
    resources: Resources.nullish().describe(
      'Replaced whole; a repository without `authorization_token` keeps that of the one with its `url`',
    ),
    vault_ids: z.array(z.unknown()).nullish(),
  })
  .describe('Absent: keep; null: clear. From now on its scheduled runs are those of the key that made this change')
export type UpdateDeployment = z.infer<typeof UpdateDeployment>

const RunError = z.looseObject({ type: z.string(), message: z.string() })
const AgentReference = z.object({
  type: z.literal('agent'),
  id: z.string(),
  version: z.number().int(),
})

export const Deployment = z
  .object({
    type: z.literal('deployment'),
    id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    agent: AgentReference,
    environment_id: z.string(),
    initial_events: z.array(z.looseObject({ type: z.string() })),
    metadata: z.record(z.string(), z.string()),
    schedule: ScheduleParam.required()
      .extend({
        last_run_at: z.string().nullable().describe('When the last scheduled run was started'),
        upcoming_runs_at: z.array(z.string()).describe('The next five ticks, without jitter; none once archived'),
      })
      .nullable(),
    status: z.enum(['active', 'paused']),
    paused_reason: z
      .looseObject({ type: z.string() })
      .nullable()
      .describe('`manual`, or `error` with that of the run that failed'),
    budget: BudgetParam.nullable(),
    cwd: z.string().nullable(),
    resources: z.array(z.looseObject({ type: z.string() })).describe('As they were given, without tokens'),
    vault_ids: z.array(z.unknown()),
    created_at: z.string(),
    updated_at: z.string(),
    archived_at: z.string().nullable(),
  })
  .meta({ id: 'Deployment' })
export type Deployment = z.infer<typeof Deployment>

export const DeploymentRun = z
  .object({
    type: z.literal('deployment_run'),
    id: z.string(),
    deployment_id: z.string(),
    agent: AgentReference,
    session_id: z.string().nullable().describe('Null: none could be started'),
    error: RunError.nullable(),
    trigger_context: z
      .looseObject({ type: z.enum(['schedule', 'manual']) })
      .describe('Of `schedule`: `scheduled_at`, the tick'),
    created_at: z.string(),
  })
  .meta({ id: 'DeploymentRun' })
export type DeploymentRun = z.infer<typeof DeploymentRun>

const When = z.iso.datetime({ offset: true }).optional()

export const ListDeployments = PageQuery.extend({
  agent_id: z.string().max(256).optional(),
  status: z.enum(['active', 'paused']).optional(),
  include_archived: z.stringbool().optional(),
  'created_at[gt]': When,
  'created_at[gte]': When,
  'created_at[lt]': When,
  'created_at[lte]': When,
})

export const ListDeploymentRuns = PageQuery.extend({
  deployment_id: z.string().max(256).optional(),
  has_error: z.stringbool().optional(),
  trigger_type: z.enum(['schedule', 'manual']).optional(),
  'created_at[gt]': When,
  'created_at[gte]': When,
  'created_at[lt]': When,
  'created_at[lte]': When,
})

export const DeploymentList = page(Deployment)
export const DeploymentRunList = page(DeploymentRun)
