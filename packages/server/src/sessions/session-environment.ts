import type { Policy } from '@troupe/protocol/access'
import type { EnvironmentConfig } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { fits } from '../agents/wildcards.ts'
import { packageCommands } from '../environments/packages.ts'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SessionOptions } from '../store/session-options.ts'
import { assertWorkdir } from './admission.ts'
import type { Caller } from './caller.ts'
import { assertOutside } from './confined-agent.ts'
import type { SessionSettings } from './context.ts'
import { liesIn } from './key-policy.ts'

type Environment = NonNullable<SessionOptions['environment']>

/** What sessions of an environment have that name nothing themselves. */
export const defaultLimits = (environment: Environment | undefined) =>
  environment && 'limits' in environment.config
    ? environment.config.limits
    : { max_turns: null, turn_timeout_seconds: null, max_queue_seconds: null }

/** The less of two bounds; null bounds nothing. */
export const lesser = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.min(one, other)

/** Variables of the agent: the environment's, and over them those of the request. */
export const sessionVariables = ({ env, environment }: Pick<SessionOptions, 'env' | 'environment'>) => ({
  ...(environment && 'env' in environment.config && environment.config.env),
  ...env,
})

/**
 * What a request names for a session, wherever it names it, must be what the session's environment lets it have. `cwd`:
 * null where it names none. Throws `env_not_allowed`, `cwd_not_allowed`.
 */
export async function assertFits(
  { environment }: Pick<SessionOptions, 'environment'>,
  { cwd, env }: { cwd: string | null; env: Record<string, string> },
  { sessionsDir }: Pick<SessionSettings, 'sessionsDir'>,
): Promise<void> {
  assertNames(environment, env)
  if (cwd !== null) await assertOutside({ environment }, cwd, dirname(sessionsDir))
}

function assertNames(environment: Environment | undefined, env: Record<string, string>): void {
  const names = environment && 'env_names' in environment.config ? environment.config.env_names : null
  if (!names) return
  const strange = Object.keys(env).find((name) => !names.some((pattern) => fits(pattern, name, true)))
  if (strange !== undefined)
    throw new ApiError(
      'env_not_allowed',
      `Environment ${environment!.id} does not let a request set ${strange}; it lets ${names.join(', ') || 'none'}.`,
    )
}

/** Throws `cwd_not_found`, and `validation_failed` for a folder that git does not keep. */
async function assertRepository(folder: string): Promise<void> {
  await assertWorkdir(folder)
  if (['.git', 'HEAD'].some((name) => existsSync(join(folder, name)))) return
  const detail = `${JSON.stringify(folder)} is no git repository.`
  throw new ApiError('validation_failed', `config.worktree.repository: ${detail}`, {
    errors: [{ pointer: '/config/worktree/repository', code: 'invalid_value', detail }],
  })
}

/** Whether a policy says what agents may do: commands of a setup run without being asked about. */
const bounds = ({ cwd_roots, permission_modes, disallowed_tools, env_names }: Policy): boolean =>
  [cwd_roots, permission_modes, disallowed_tools, env_names].some((bound) => bound != null)

/**
 * An environment says where and with what sessions run, those of others too: whoever is bounded in that saves none that
 * goes beyond. A key that has only certain environments saves none at all, or it could change those. Throws
 * `environment_not_allowed`, `cwd_not_allowed`, `env_not_allowed`, and `cwd_not_found` where the folder is not there.
 */
export async function assertMaySave({ policies }: Pick<Caller, 'policies'>, config: EnvironmentConfig): Promise<void> {
  for (const { kind, policy } of policies)
    if (policy.environments)
      throw new ApiError(
        'environment_not_allowed',
        `The policy of the ${kind} names the environments that it has; it makes and changes none.`,
      )
  if (('setup' in config && config.setup?.length) || packageCommands(config).length > 0)
    for (const { kind, policy } of policies)
      if (!(policy.setup ?? !bounds(policy)))
        throw new ApiError(
          'environment_not_allowed',
          `The policy of the ${kind} does not let environments have setup commands or packages, which run without anybody judging them; it would with "setup": true.`,
        )
  if (!('cwd_root' in config)) return
  const repository = 'worktree' in config && config.worktree ? config.worktree.repository : null
  if (repository !== null) await assertRepository(repository)
  if (config.cwd_root !== null) await assertWorkdir(config.cwd_root)
  for (const { kind, policy } of policies) {
    for (const folder of [config.cwd_root, repository])
      if (folder !== null && policy.cwd_roots && !(await liesIn(folder, policy.cwd_roots)))
        throw new ApiError(
          'cwd_not_allowed',
          `The policy of the ${kind} does not have the folder ${JSON.stringify(folder)}.`,
        )
    const strange =
      policy.env_names &&
      Object.keys(config.env).find((name) => !policy.env_names!.some((pattern) => fits(pattern, name, true)))
    if (strange) throw new ApiError('env_not_allowed', `The policy of the ${kind} does not have ${strange}.`)
  }
}
