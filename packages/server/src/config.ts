import { availableParallelism } from 'node:os'
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import { imageProblem } from './lib/container-image.ts'
import { sourceProblem } from './lib/git-source.ts'
import { isLoopback } from './lib/loopback.ts'
import { memoryLimit } from './lib/memory-limit.ts'
import { type OtlpTarget, otlpTarget } from './lib/otlp-target.ts'

/** About what a working agent and its tools take, in bytes: 0.3–2 GB were measured. */
const MEMORY_PER_AGENT = 1.5e9

/** As many agents at once as memory allows, at most four per core. */
const defaultSlots = (): number =>
  Math.max(2, Math.min(availableParallelism() * 4, Math.floor(memoryLimit() / MEMORY_PER_AGENT)))

/** What is left is for the server, the page cache and everybody else. */
const defaultMemory = (): number => Math.max(512, Math.floor((memoryLimit() * 0.75) / 2 ** 20))

const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  ),
])
const optional = z.string().trim().min(1).nullable()

/**
 * Every setting: its key in the file, from which the flag (`--data-dir`) and the environment variable
 * (`TROUPE_DATA_DIR`) follow.
 */
export const ConfigSchema = z.object({
  host: z.string().trim().min(1).default('127.0.0.1').describe('Address to listen on; beyond loopback only with keys'),
  auth: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe(
      'Whether every caller needs a key; auto: as soon as there is one. `on` prints a first key where there is none',
    ),
  allowed_hosts: list
    .default([])
    .describe(
      'Names under which this server is reached besides its address and localhost, comma separated; `*`: any, with keys only',
    ),
  port: integer(0, 65_535).default(8000).describe('Port to listen on; 0 takes a free one'),
  data_dir: z.string().min(1).default('.troupe').describe('Folder for everything the server keeps'),
  cors_origins: list
    .default([])
    .describe('Web origins that may call the API, comma separated; `*` and `null` are possible'),
  demo_model: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe('Whether the demo model answers; auto: when no credential is found'),
  credential_proxy: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe(
      "Whether agents get a stand-in for the model's key, which the server exchanges; auto: where there is a key to keep",
    ),
  default_model: optional.default(null).describe('Model of agents that name none; unset: the choice of Claude Code'),
  default_cwd: optional.default(null).describe('Workdir of sessions that name none; unset: a fresh one for each'),
  max_running: integer(1, 1000)
    .default(defaultSlots)
    .describe('Sessions that run at once; default from cores and memory'),
  max_running_per_key: integer(1, 1000)
    .nullable()
    .default(null)
    .describe('Sessions with the same `concurrency_key` that run at once; unset: as many as there are slots'),
  max_memory_mb: integer(64, 16_777_216)
    .default(defaultMemory)
    .describe(
      'MiB that agents and all they start may take before no further one is started; default 75 % of what there is',
    ),
  live_seconds: integer(0, 86_400)
    .default(300)
    .describe('Time that an agent is kept behind its turn, so that the next begins at once; 0: it ends with the turn'),
  max_live: integer(1, 1000)
    .nullable()
    .default(null)
    .describe('Agents that are kept so, at most; unset: as many as there are slots'),
  spares: integer(0, 100)
    .default(2)
    .describe('Agents started before their session, at most, for sessions like those begun lately; 0: none'),
  max_queued_sessions: integer(1, 1_000_000).default(10_000).describe('Sessions that may wait for a slot'),
  max_queued_turns: integer(1, 100_000).default(1000).describe('Turns that may wait in one session'),
  origin_approval_seconds: integer(0, 31_536_000)
    .default(0)
    .describe('Time that calls in sessions of the origin API wait for an answer; 0: they are refused at once'),
  retention_days: z.coerce
    .number()
    .min(0.001)
    .max(3650)
    .nullable()
    .default(null)
    .describe(
      'Days after the last change until an idle session is deleted that says nothing itself, nor its workspace; unset: never',
    ),
  audit_days: integer(1, 36_500).default(400).describe('Days that lines of the audit log are kept'),
  drain_seconds: integer(0, 86_400).default(30).describe('Time that running turns are given when the server stops'),
  model_stall_seconds: integer(1, 86_400).default(300).describe('Silence of the model after which a turn is ended'),
  webhook_allow_private: z
    .union([z.boolean(), z.stringbool()])
    .default(false)
    .describe('Whether webhooks may go to private addresses and by http: to all that this machine can reach'),
  allow_stdio_mcp: z
    .union([z.boolean(), z.stringbool()])
    .default(false)
    .describe('Whether an agent may have MCP servers that are programs, started on this machine'),
  background_seconds: integer(0, 86_400)
    .default(600)
    .describe('Time that work in the background may go on behind an answer; 0: nothing may work there'),
  git_sources: list
    .default(['https://github.com/'])
    .describe(
      'Addresses below which repositories of sessions may lie, comma separated, each ending in `/`; https, http and file',
    ),
  container_images: list
    .default([])
    .describe('Root file systems that environments of type `container` may name, as `name=/folder`, comma separated'),
  container_runtime: z.string().trim().min(1).default('runc').describe('The OCI runtime that runs containers'),
  session_home: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe(
      'Whether each session has a home and a folder for temporary files of its own, or those of the server; auto: on Linux',
    ),
  agent_user: optional
    .default(null)
    .describe(
      'User as which agents run where the server is root, by name or number, `user:group` with another group; unset: as the server',
    ),
  agent_max_memory_mb: integer(256, 16_777_216)
    .nullable()
    .default(null)
    .describe('MiB of memory that an agent and all it starts may take before it is ended; unset: no limit'),
  agent_max_processes: integer(64, 1_000_000)
    .nullable()
    .default(null)
    .describe('Processes and threads that an agent and all it starts may have before it is ended; unset: no limit'),
  agent_max_file_mb: integer(16, 16_777_216)
    .nullable()
    .default(null)
    .describe('MiB of one file that an agent or what it starts writes; unset: no limit'),
  agent_max_open_files: integer(256, 1_048_576)
    .nullable()
    .default(null)
    .describe('Files that each process of an agent may have open; unset: as the server'),
  session_max_disk_mb: integer(16, 1_073_741_824)
    .nullable()
    .default(null)
    .describe("MiB on the disk that a session's own folders may have before its agent is ended; unset: no limit"),
  agents_dir: optional
    .default(null)
    .describe('Folder of agents as files (`*.md` as in `.claude/agents`, `*.yaml`, `*.json`), kept as saved agents'),
  snapshots: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe(
      'Whether workdirs are kept turn by turn for diff and rewind; auto: own ones, and small ones that are named',
    ),
  log_level: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least important log line that is written'),
  agent_executable: optional
    .default(null)
    .describe('Path of the claude binary; unset: the one that comes with the Agent SDK'),
})

export type Settings = z.infer<typeof ConfigSchema>
export type Setting = keyof Settings

/** The settings, and the environment they were read in; only this module reads `process.env`. */
export interface Config extends Settings {
  env: NodeJS.ProcessEnv
  /** Where traces go, by the variables of OpenTelemetry; null: nowhere. */
  otlp: OtlpTarget | null
}

/** All that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: string[]
  constructor(problems: string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

export const envName = (setting: string): string => `TROUPE_${setting.toUpperCase()}`
export const flagName = (setting: string): string => `--${setting.replaceAll('_', '-')}`

/** Read by the CLI as a client; not settings of the server. */
const CLIENT_NAMES = new Set(['TROUPE_URL', 'TROUPE_API_KEY'])

export interface ConfigSources {
  /** By setting; undefined where a flag was not given. */
  flags?: Partial<Record<Setting, unknown>>
  env?: NodeJS.ProcessEnv
  /** Folder of `.env` and `troupe.config.json`. */
  cwd?: string
}

/** Reads flags > environment > `.env` > `troupe.config.json` > defaults. Throws `ConfigError` with everything that is wrong. */
export function loadConfig(sources: ConfigSources = {}): Config {
  const cwd = sources.cwd ?? process.cwd()
  const problems: string[] = []
  const dotenv = readIfThere(join(cwd, '.env'), problems, parseEnv)
  const file = readIfThere(join(cwd, 'troupe.config.json'), problems, parseFile)
  const env: NodeJS.ProcessEnv = { ...dotenv, ...(sources.env ?? process.env) }
  const known = Object.keys(ConfigSchema.shape) as Setting[]
  const raw: Partial<Record<Setting, unknown>> = {}
  const from = new Map<string, string>()
  const take = (setting: Setting, value: unknown, source: string) => {
    if (value === undefined || value === '' || from.has(setting)) return
    raw[setting] = value
    from.set(setting, source)
  }
  for (const setting of known) {
    take(setting, sources.flags?.[setting], flagName(setting))
    take(setting, env[envName(setting)], envName(setting))
    take(setting, file?.[setting], `"${setting}" in troupe.config.json`)
  }
  for (const key of Object.keys(file ?? {}))
    if (key !== '$schema' && !known.includes(key as Setting))
      problems.push(`troupe.config.json: there is no setting "${key}"; there are ${known.join(', ')}`)
  for (const name of Object.keys(env))
    if (/^TROUPE_[A-Z_]+$/.test(name) && !CLIENT_NAMES.has(name) && !known.some((setting) => envName(setting) === name))
      problems.push(`${name}: there is no such setting; there are ${known.map(envName).join(', ')}`)
  const parsed = ConfigSchema.safeParse(raw)
  if (!parsed.success)
    for (const issue of parsed.error.issues) {
      const setting = String(issue.path[0])
      problems.push(
        `${from.get(setting) ?? setting}: ${issue.message}; received ${JSON.stringify(raw[setting as Setting])}`,
      )
    }
  if (parsed.success && !isLoopback(parsed.data.host) && parsed.data.auth === 'off')
    problems.push(
      `${from.get('host') ?? 'host'}: ${JSON.stringify(parsed.data.host)} is not a loopback address, and ${from.get('auth') ?? 'auth'} is off. An open agent server runs anyone's code; set TROUPE_AUTH=on, or use 127.0.0.1.`,
    )
  if (parsed.success && parsed.data.allowed_hosts.includes('*') && parsed.data.auth !== 'on')
    problems.push(
      `${from.get('allowed_hosts')}: "*" is only for a server whose callers all need a key: set TROUPE_AUTH=on.`,
    )
  for (const source of parsed.data?.git_sources ?? []) {
    const problem = sourceProblem(source)
    if (problem !== null) problems.push(`${from.get('git_sources') ?? 'git_sources'}: ${problem}`)
  }
  for (const image of parsed.data?.container_images ?? []) {
    const problem = imageProblem(image)
    if (problem !== null) problems.push(`${from.get('container_images') ?? 'container_images'}: ${problem}`)
  }
  let otlp: OtlpTarget | null = null
  try {
    otlp = otlpTarget(env)
  } catch (error) {
    problems.push((error as Error).message)
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const path = (text: string) => (isAbsolute(text) ? text : resolve(cwd, text))
  const settings = parsed.data
  return {
    ...settings,
    data_dir: path(settings.data_dir),
    default_cwd: settings.default_cwd && path(settings.default_cwd),
    agents_dir: settings.agents_dir && path(settings.agents_dir),
    agent_executable: settings.agent_executable && path(settings.agent_executable),
    env,
    otlp,
  }
}

function parseFile(text: string): Record<string, unknown> {
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('must be a JSON object')
  return parsed as Record<string, unknown>
}

function readIfThere<T>(file: string, problems: string[], parse: (text: string) => T): T | undefined {
  if (!existsSync(file)) return undefined
  try {
    return parse(readFileSync(file, 'utf8'))
  } catch (error) {
    problems.push(`${file}: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
