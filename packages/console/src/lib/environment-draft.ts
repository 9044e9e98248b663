import type { CreateEnvironment, Environment } from '@troupe/protocol/environment'

export type DraftType = 'local' | 'sandbox' | 'container'

/** What the form of an environment holds, as it was typed. Lists are a line for each. */
export interface EnvironmentDraft {
  name: string
  description: string
  type: DraftType
  cwdRoot: string
  /** `NAME=value`; of one that is kept, whose value is never shown, the name alone. */
  env: string
  /** Whether sessions may set only what `envNames` says. */
  bounded: boolean
  envNames: string
  maxTurns: string
  turnSeconds: string
  queueSeconds: string
  setup: string
  setupSeconds: string
  repository: string
  base: string
  limited: boolean
  hosts: string
  mcpServers: boolean
  packageManagers: boolean
  allowWrite: string
  denyWrite: string
  denyRead: string
  allowRead: string
  image: string
  memoryMb: string
  cpus: string
  pids: string
}

export const emptyEnvironment = (): EnvironmentDraft => ({
  name: '',
  description: '',
  type: 'local',
  cwdRoot: '',
  env: '',
  bounded: false,
  envNames: '',
  maxTurns: '',
  turnSeconds: '',
  queueSeconds: '',
  setup: '',
  setupSeconds: '',
  repository: '',
  base: '',
  limited: false,
  hosts: '',
  mcpServers: false,
  packageManagers: false,
  allowWrite: '',
  denyWrite: '',
  denyRead: '',
  allowRead: '',
  image: '',
  memoryMb: '',
  cpus: '',
  pids: '',
})

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

/** What is typed of variables; null for a value that is to stay. Throws for a line that is none. */
export function variablesIn(text: string, known: readonly string[]): Record<string, string | null> {
  const found: Record<string, string | null> = {}
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const at = line.indexOf('=')
    const name = (at < 0 ? line : line.slice(0, at)).trim()
    if (name === '' || (at < 0 && !known.includes(name))) throw new Error(line)
    found[name] = at < 0 ? null : line.slice(at + 1)
  }
  return found
}

/** The line of the variables that is none; null: all are. */
export function wrongVariable(draft: EnvironmentDraft, base: Environment | null): string | null {
  try {
    variablesIn(draft.env, namesOf(base))
    return null
  } catch (error) {
    return (error as Error).message
  }
}

type Config = Record<string, unknown>
const configOf = (environment: Environment | null): Config => environment?.config ?? {}
const namesOf = (environment: Environment | null) => Object.keys((configOf(environment).env as object | null) ?? {})
const strings = (value: unknown): string => (Array.isArray(value) ? value.join('\n') : '')
const shown = (value: unknown): string => (typeof value === 'number' || typeof value === 'string' ? String(value) : '')

export function draftOfEnvironment(environment: Environment): EnvironmentDraft {
  const config = configOf(environment)
  const part = (name: string) => (config[name] as Config | null | undefined) ?? {}
  const [limits, worktree, network] = [part('limits'), part('worktree'), part('networking')]
  const [files, resources] = [part('filesystem'), part('resources')]
  return {
    ...emptyEnvironment(),
    name: environment.name,
    description: environment.description ?? '',
    type: environment.config.type as DraftType,
    cwdRoot: shown(config.cwd_root),
    env: namesOf(environment).join('\n'),
    bounded: Array.isArray(config.env_names),
    envNames: strings(config.env_names),
    maxTurns: shown(limits.max_turns),
    turnSeconds: shown(limits.turn_timeout_seconds),
    queueSeconds: shown(limits.max_queue_seconds),
    setup: strings(config.setup),
    setupSeconds: shown(config.setup_timeout_seconds),
    repository: shown(worktree.repository),
    base: shown(worktree.base),
    limited: network.type === 'limited',
    hosts: strings(network.allowed_hosts),
    mcpServers: network.allow_mcp_servers === true,
    packageManagers: network.allow_package_managers === true,
    allowWrite: strings(files.allow_write),
    denyWrite: strings(files.deny_write),
    denyRead: strings(files.deny_read),
    allowRead: strings(files.allow_read),
    image: shown(config.image),
    memoryMb: shown(resources.memory_mb),
    cpus: shown(resources.cpus),
    pids: shown(resources.pids),
  }
}

/** What is sent, whole but for what the form does not show. `base`: the one that is changed. */
export function environmentBody(draft: EnvironmentDraft, base: Environment | null): CreateEnvironment {
  const number = (text: string) => (text.trim() === '' ? null : Number(text))
  const networking = draft.limited
    ? {
        type: 'limited',
        allowed_hosts: lines(draft.hosts),
        allow_mcp_servers: draft.mcpServers,
        allow_package_managers: draft.packageManagers,
      }
    : { type: 'unrestricted' }
  const place = {
    cwd_root: draft.cwdRoot.trim() || null,
    env: variablesIn(draft.env, namesOf(base)),
    env_names: draft.bounded ? lines(draft.envNames) : null,
    limits: {
      max_turns: number(draft.maxTurns),
      turn_timeout_seconds: number(draft.turnSeconds),
      max_queue_seconds: number(draft.queueSeconds),
    },
  }
  const setup = { setup: lines(draft.setup), setup_timeout_seconds: number(draft.setupSeconds) }
  const repository = draft.repository.trim()
  const worktree = (configOf(base).worktree as Config | null | undefined) ?? {}
  const config = {
    local: {
      ...place,
      ...setup,
      worktree: repository ? { ...worktree, repository, base: draft.base.trim() || null } : null,
    },
    sandbox: {
      ...place,
      networking,
      filesystem: {
        allow_write: lines(draft.allowWrite),
        deny_write: lines(draft.denyWrite),
        deny_read: lines(draft.denyRead),
        allow_read: lines(draft.allowRead),
      },
    },
    container: {
      ...place,
      ...setup,
      networking,
      image: draft.image.trim(),
      resources: { memory_mb: number(draft.memoryMb), cpus: number(draft.cpus), pids: number(draft.pids) },
    },
  }
  return {
    name: draft.name.trim(),
    description: draft.description.trim() || null,
    config: { type: draft.type, ...config[draft.type] },
  } as unknown as CreateEnvironment
}
