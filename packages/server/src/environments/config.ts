import {
  type EnvironmentConfig,
  type EnvironmentConfigParam,
  type FilesystemConfig,
  MAX_ENVIRONMENT_BYTES,
  type NetworkingConfig,
  type SetupConfig,
  type WorktreeConfig,
} from '@troupe/protocol/environment'
import { ApiError, type FieldError } from '@troupe/protocol/error'
import { refusedEnvName } from '../agents/env-policy.ts'
import { wholePackages } from './packages.ts'

type Param<T extends string> = Extract<EnvironmentConfigParam, { type: T }>
type Config<T extends string> = Extract<EnvironmentConfig, { type: T }>

/**
 * A config with every field: as given, else as it was, else the default. Throws `invalid_config_type_change`,
 * `env_not_allowed`, `validation_failed`, and `unsupported_feature` for types and packages of later versions.
 */
export function wholeConfig(param: EnvironmentConfigParam, before: EnvironmentConfig | null): EnvironmentConfig {
  if (before && param.type !== before.type)
    throw new ApiError(
      'invalid_config_type_change',
      `The environment is of type ${before.type}, which cannot become ${param.type}; make another one.`,
    )
  const whole = wholeOf(param, before)
  const bytes = Buffer.byteLength(JSON.stringify(whole))
  if (bytes > MAX_ENVIRONMENT_BYTES)
    throw new ApiError(
      'validation_failed',
      `The config has ${bytes} bytes; at most ${MAX_ENVIRONMENT_BYTES} are kept, since every session has a copy.`,
    )
  return whole
}

function wholeOf(param: EnvironmentConfigParam, before: EnvironmentConfig | null): EnvironmentConfig {
  switch (param.type) {
    case 'local':
      return { type: 'local', ...place(param, before as Config<'local'> | null), ...setup(param, before) }
    case 'sandbox':
    case 'cloud':
      return confined(param, before)
    case 'container':
      return container(param, before as Config<'container'> | null)
    default:
      throw new ApiError(
        'unsupported_feature',
        `Environments of type "${param.type}" are not supported by this version; there are local, sandbox, container and cloud.`,
      )
  }
}

function container(param: Param<'container'>, before: Config<'container'> | null): EnvironmentConfig {
  if (param.worktree)
    throw new ApiError(
      'unsupported_feature',
      'A worktree needs its repository, which no container has; use type "local".',
    )
  const { setup: commands, setup_timeout_seconds } = setup(param, before)
  const bound = (name: keyof Config<'container'>['resources']) => {
    const given = param.resources === undefined ? undefined : param.resources === null ? null : param.resources[name]
    return given === undefined ? (before?.resources[name] ?? null) : given
  }
  return {
    type: 'container',
    ...place(param, before),
    setup: commands ?? [],
    setup_timeout_seconds: setup_timeout_seconds ?? null,
    image: param.image,
    resources: { memory_mb: bound('memory_mb'), cpus: bound('cpus'), pids: bound('pids') },
    networking: networking(param.networking, before?.networking ?? null),
  }
}

function confined(param: Param<'sandbox'> | Param<'cloud'>, before: EnvironmentConfig | null): EnvironmentConfig {
  if (param.type === 'cloud') {
    const old = before as Config<'cloud'> | null
    const network = networking(param.networking, old?.networking ?? null)
    return {
      type: 'cloud',
      networking: network,
      packages: wholePackages(param.packages, old?.packages ?? null, network.type === 'limited'),
    }
  }
  // They would run beside the sandbox, which is the agent's own.
  if (param.worktree)
    throw new ApiError(
      'unsupported_feature',
      'A worktree is written in its repository too, which an environment that confines commands does not let them; use type "local".',
    )
  if (param.setup?.length)
    throw new ApiError(
      'unsupported_feature',
      'setup is not run in an environment that confines commands; use type "local", or let the agent do it.',
    )
  const old = before as Config<'sandbox'> | null
  return {
    type: 'sandbox',
    ...place(param, old),
    networking: networking(param.networking, old?.networking ?? null),
    filesystem: filesystem(param.filesystem, old?.filesystem ?? null),
  }
}

/** Whether what runs there is to be kept from files or hosts. */
export const isConfined = (config: EnvironmentConfig): boolean =>
  config.type === 'sandbox' || (config.type === 'cloud' && config.networking.type === 'limited')

type Place = Omit<Config<'sandbox'>, 'type' | 'networking' | 'filesystem'>

/** Replaced whole: its fields say one thing together. */
function worktree(given: Param<'local'>['worktree'], before: SetupConfig): WorktreeConfig | null {
  if (given == null) return given === undefined ? (before.worktree ?? null) : null
  const { repository, base = null, branch_prefix } = given
  return { repository, base, branch_prefix: branch_prefix ?? 'troupe/' }
}

function setup(param: Param<'local'> | Param<'container'>, before: EnvironmentConfig | null): SetupConfig {
  const old = (before ?? {}) as SetupConfig
  const { setup: commands = old.setup, setup_timeout_seconds: seconds = old.setup_timeout_seconds } = param
  return { setup: commands ?? [], setup_timeout_seconds: seconds ?? null, worktree: worktree(param.worktree, old) }
}

function place(param: Param<'local'> | Param<'sandbox'> | Param<'container'>, before: Place | null): Place {
  const limit = (name: keyof Place['limits']) => {
    const given = param.limits === undefined ? undefined : param.limits === null ? null : param.limits[name]
    return given === undefined ? (before?.limits[name] ?? null) : given
  }
  return {
    cwd_root: param.cwd_root === undefined ? (before?.cwd_root ?? null) : param.cwd_root,
    env: variables(param.env, before?.env ?? {}),
    env_names: param.env_names === undefined ? (before?.env_names ?? null) : param.env_names,
    limits: {
      max_turns: limit('max_turns'),
      turn_timeout_seconds: limit('turn_timeout_seconds'),
      max_queue_seconds: limit('max_queue_seconds'),
    },
  }
}

/** Names may be none that take over the agent: who may save an environment has no other say over the server than who sends a request. */
function variables(given: Param<'local'>['env'], before: Record<string, string>): Record<string, string> {
  if (given === undefined) return before
  const errors: FieldError[] = []
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(given ?? {})) {
    const pointer = `/config/env/${name}`
    const reason = refusedEnvName(name)
    const kept = value ?? (Object.hasOwn(before, name) ? before[name] : undefined)
    if (reason) errors.push({ pointer, code: 'env_not_allowed', detail: `${name} ${reason}` })
    else if (kept === undefined)
      throw new ApiError('validation_failed', `config.env.${name} is null, and there is no value of it to keep.`, {
        errors: [{ pointer, code: 'invalid_value', detail: 'a text, where there is none to keep' }],
      })
    else env[name] = kept
  }
  if (errors.length > 0)
    throw new ApiError('env_not_allowed', errors.map(({ detail }) => detail).join('; '), { errors })
  return env
}

function networking(given: Param<'cloud'>['networking'], before: NetworkingConfig | null): NetworkingConfig {
  if (given == null) return given === undefined && before ? before : { type: 'unrestricted' }
  if (given.type === 'unrestricted') return { type: 'unrestricted' }
  const old = before?.type === 'limited' ? before : null
  return {
    type: 'limited',
    allowed_hosts: given.allowed_hosts === undefined ? (old?.allowed_hosts ?? []) : (given.allowed_hosts ?? []),
    allow_mcp_servers: given.allow_mcp_servers ?? old?.allow_mcp_servers ?? false,
    allow_package_managers: given.allow_package_managers ?? old?.allow_package_managers ?? false,
  }
}

function filesystem(given: Param<'sandbox'>['filesystem'], before: FilesystemConfig | null): FilesystemConfig {
  const paths = (name: keyof FilesystemConfig) => {
    const asked = given === undefined ? undefined : given === null ? null : given[name]
    return asked === undefined ? (before?.[name] ?? []) : (asked ?? [])
  }
  return {
    allow_write: paths('allow_write'),
    deny_write: paths('deny_write'),
    deny_read: paths('deny_read'),
    allow_read: paths('allow_read'),
  }
}
