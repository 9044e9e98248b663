import { z } from 'zod'
import { BranchName } from './repository.ts'
import { Metadata, page, PageQuery } from './session.ts'

/** Environments of one workspace, archived ones too. */
export const MAX_ENVIRONMENTS = 1000
/** Bytes of an environment's config as JSON, at most: every session keeps a copy of it. */
export const MAX_ENVIRONMENT_BYTES = 32 * 1024
/** The built-in one, of every workspace and of none. */
export const DEFAULT_ENVIRONMENT_ID = 'env_default'

const Env = z
  .record(z.string().min(1).max(256), z.string().max(32_768).nullable())
  .refine((env) => Object.keys(env).length <= 128, { message: 'at most 128 variables' })
  .describe(
    'Variables of every agent that works here, replaced whole; null keeps the value that is there. Values are never shown',
  )

const EnvNames = z
  .array(z.string().min(1).max(256))
  .max(128)
  .describe('Names that a request may set in `env` here, with `*`; null: any that are not refused')

const EnvironmentLimits = z
  .strictObject({
    max_turns: z.number().int().min(1).max(1000).nullish(),
    turn_timeout_seconds: z.number().int().min(1).max(604_800).nullish(),
    max_queue_seconds: z.number().int().min(1).max(604_800).nullish(),
  })
  .describe('`limits` of sessions that name none themselves')

/** Commands that prepare a workdir, characters of each, and seconds that all of them may take where nothing is said. */
export const MAX_SETUP_COMMANDS = 32
export const MAX_SETUP_CHARS = 8192
export const SETUP_SECONDS = 600

const SetupCommand = z
  .string()
  .min(1)
  .max(MAX_SETUP_CHARS)
  .refine((command) => command.trim() !== '' && !command.includes('\0'), { message: 'must be a command' })
const Setup = z
  .array(SetupCommand)
  .max(MAX_SETUP_COMMANDS)
  .describe('Commands (`/bin/sh -c`) that run once in the workdir, before the first turn of a session')

const AbsolutePath = z.string().min(1).max(4096).regex(/^\//, 'must be an absolute path')

const Worktree = z
  .strictObject({
    repository: AbsolutePath.describe('A git repository on this machine'),
    base: BranchName.nullish().describe('A branch, tag or commit of it to begin at; null: what its HEAD is then'),
    branch_prefix: z
      .string()
      .max(100)
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_-]*(\/[A-Za-z0-9][A-Za-z0-9_-]*)*[/-]?$/,
        'must be the beginning of the name of a branch',
      )
      .nullish()
      .describe("Before the session's uuid in the name of its branch; null: `troupe/`"),
  })
  .describe('Sessions that name no `cwd` each have a worktree of it as their workdir')

const Place = {
  cwd_root: AbsolutePath.nullish().describe(
    'Folder that workdirs are made in for sessions that name no `cwd`; null: in the data folder',
  ),
  env: Env.nullish(),
  env_names: EnvNames.nullish(),
  limits: EnvironmentLimits.nullish(),
  setup: Setup.nullish(),
  setup_timeout_seconds: z
    .number()
    .int()
    .min(1)
    .max(3600)
    .nullish()
    .describe('Seconds that all of `setup` may take; null: 600'),
  worktree: Worktree.nullish(),
}

/** Names of hosts as the sandbox takes them: `example.com`, `*.example.com`. */
const HostName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'must be a host name such as example.com or *.example.com')

const Networking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unrestricted') }),
  z.strictObject({
    type: z.literal('limited'),
    allowed_hosts: z.array(HostName).max(256).nullish(),
    allow_mcp_servers: z.boolean().nullish(),
    allow_package_managers: z.boolean().nullish(),
  }),
])

const Packages = z.looseObject({
  type: z.literal('packages').optional(),
  apt: z.array(z.string().max(256)).max(256).nullish(),
  cargo: z.array(z.string().max(256)).max(256).nullish(),
  gem: z.array(z.string().max(256)).max(256).nullish(),
  go: z.array(z.string().max(256)).max(256).nullish(),
  npm: z.array(z.string().max(256)).max(256).nullish(),
  pip: z.array(z.string().max(256)).max(256).nullish(),
})

const Paths = z.array(AbsolutePath).max(64).nullish()
const Filesystem = z.strictObject({
  allow_write: Paths.describe('Paths that commands may write, besides the workdir'),
  deny_write: Paths,
  deny_read: Paths.describe('Paths that commands may not read'),
  allow_read: Paths.describe('Paths within those of `deny_read` that they may'),
})

const ContainerResources = z
  .strictObject({
    memory_mb: z.number().int().min(64).max(16_777_216).nullish(),
    cpus: z.number().min(0.05).max(4096).nullish(),
    pids: z.number().int().min(16).max(4_194_304).nullish(),
  })
  .describe('What the processes of a container may have together; null: no bound')

export const EnvironmentConfigParam = z
  .union([
    // What they do not know is refused, or a bound with a typing error would bound nothing.
    z.strictObject({ type: z.literal('local'), ...Place }),
    z.strictObject({
      type: z.literal('sandbox'),
      ...Place,
      networking: Networking.nullish(),
      filesystem: Filesystem.nullish(),
    }),
    z.object({ type: z.literal('cloud'), networking: Networking.nullish(), packages: Packages.nullish() }),
    z.strictObject({
      type: z.literal('container'),
      ...Place,
      image: z.string().min(1).max(128).describe('The name of a root file system, as the operator has named it'),
      resources: ContainerResources.nullish(),
      networking: Networking.nullish().describe(
        '`unrestricted`: the network of this machine, loopback too; `limited`: one of its own',
      ),
    }),
    z.looseObject({ type: z.literal('self_hosted') }),
  ])
  .describe('Omitted fields have their defaults, and on update what they were. `type` cannot change')
export type EnvironmentConfigParam = z.infer<typeof EnvironmentConfigParam>

/** An environment's config as it is kept: whole, and frozen in each session that begins in it. */
interface PlaceConfig {
  cwd_root: string | null
  env: Record<string, string>
  env_names: string[] | null
  limits: Record<'max_turns' | 'turn_timeout_seconds' | 'max_queue_seconds', number | null>
}
export interface WorktreeConfig {
  repository: string
  base: string | null
  branch_prefix: string
}
/** Absent in environments, and in sessions' copies of them, that were made before there was a setup. */
export interface SetupConfig {
  setup?: string[]
  setup_timeout_seconds?: number | null
  worktree?: WorktreeConfig | null
}
export type NetworkingConfig =
  | { type: 'unrestricted' }
  | { type: 'limited'; allowed_hosts: string[]; allow_mcp_servers: boolean; allow_package_managers: boolean }
export type FilesystemConfig = Record<'allow_write' | 'deny_write' | 'deny_read' | 'allow_read', string[]>
export type EnvironmentConfig =
  | ({ type: 'local' } & PlaceConfig & SetupConfig)
  | ({ type: 'sandbox'; networking: NetworkingConfig; filesystem: FilesystemConfig } & PlaceConfig)
  | ({
      type: 'container'
      image: string
      resources: Record<'memory_mb' | 'cpus' | 'pids', number | null>
      networking: NetworkingConfig
    } & PlaceConfig &
      SetupConfig)
  | { type: 'cloud'; networking: NetworkingConfig; packages: Record<string, string[]> }

export const CreateEnvironment = z.object({
  name: z.string().trim().min(1).max(256),
  description: z.string().max(2048).nullish(),
  metadata: Metadata.optional(),
  config: EnvironmentConfigParam.nullish().describe('Default: `{"type": "local"}`'),
  scope: z.enum(['organization', 'account']).nullish().describe('Only `organization`, which says nothing here'),
})
export type CreateEnvironment = z.infer<typeof CreateEnvironment>

export const UpdateEnvironment = z
  .object({
    name: z.string().trim().min(1).max(256).nullish(),
    description: z.string().max(2048).nullish(),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(512).nullable())
      .nullish()
      .describe('Merged key by key; null or an empty text deletes a key'),
    config: EnvironmentConfigParam.nullish(),
    scope: z.enum(['organization', 'account']).nullish(),
  })
  .describe('Absent: keep. Sessions that have begun keep what they began with')
export type UpdateEnvironment = z.infer<typeof UpdateEnvironment>

export const Environment = z
  .object({
    type: z.literal('environment'),
    id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    config: z.looseObject({ type: z.enum(['local', 'sandbox', 'container', 'cloud']) }),
    metadata: z.record(z.string(), z.string()),
    scope: z.literal('organization'),
    created_at: z.string(),
    updated_at: z.string(),
    archived_at: z.string().nullable(),
  })
  .meta({ id: 'Environment' })
export type Environment = z.infer<typeof Environment>

export const DeletedEnvironment = z.object({ type: z.literal('environment_deleted'), id: z.string() })
export const ListEnvironments = PageQuery.extend({ include_archived: z.stringbool().optional() })
export const EnvironmentList = page(Environment)
