import { ApiError } from '@troupe/protocol/error'
import { TOOLSET_TOOLS, type ToolsetTool } from '@troupe/protocol/agent'
import { newId } from '@troupe/protocol/ids'
import {
  type AgentDefinition,
  CreateAgent,
  MAX_AGENT_VERSIONS,
  MAX_AGENTS,
  MAX_DEFINITION_BYTES,
} from '@troupe/protocol/saved-agent'
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import type { AgentRow, AgentStore } from '../store/agents.ts'
import type { SkillStore } from '../store/skills.ts'
import { rosterOf } from './multiagent.ts'
import { pinSkills } from './pin-skills.ts'
import { type AgentLimits, defineAgent } from './resolve-agent.ts'

/** Files that are read, at most. */
const MAX_FILES = 1_000
/** Between two looks at the folder, in ms. */
const LOOK_MS = 5_000
const FORMATS = new Set(['.md', '.yaml', '.yml', '.json'])

export interface AgentFilesContext {
  agents: AgentStore
  skills: SkillStore
  clock: Clock
  logger: Logger
  workspaceId: string
  limits: AgentLimits
}

/** Why a file is no agent, in words for a person. */
class Unreadable extends Error {}

/**
 * Keeps the saved agents of a workspace as the files of a folder say, so that a team can have them in git: an agent for
 * each file, under an id that stays, and a new version when what stands there differs. What is gone is archived, and
 * comes back with its file. A file that cannot be read is said in the log, and its agent stays as it was. Links are
 * followed, folders below are not read. Costs a look at each file's time every few seconds.
 */
export class AgentFiles implements Service {
  readonly #folder: string
  readonly #context: AgentFilesContext
  /** The folder as it was when it was last read. */
  #stamp = ''
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(folder: string, context: AgentFilesContext) {
    this.#folder = folder
    this.#context = context
  }

  /** Reads the folder. Throws when it cannot be read at all. */
  async start(): Promise<void> {
    await this.look().catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`The agents in ${this.#folder} cannot be read: ${why}`, { cause })
    })
    this.#timer = setInterval(() => {
      this.#looking = this.look().catch((err: unknown) =>
        this.#context.logger.warn({ folder: this.#folder, err }, 'the folder of agents could not be read'),
      )
    }, LOOK_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  /** Reads what has changed since the last look. */
  async look(): Promise<void> {
    const names = (await readdir(this.#folder))
      .filter((name) => FORMATS.has(extname(name)) && !name.startsWith('.'))
      .toSorted()
    const stats = await Promise.all(names.map((name) => stat(join(this.#folder, name)).catch(() => null)))
    const stamp = JSON.stringify(names.map((name, at) => [name, stats[at]?.mtimeMs, stats[at]?.size, stats[at]?.ino]))
    if (stamp === this.#stamp) return
    if (names.length > MAX_FILES)
      throw new Error(`There are ${names.length} agents in ${this.#folder}; at most ${MAX_FILES} are read.`)
    const { agents, workspaceId, logger } = this.#context
    const known = new Map((await agents.fromFiles(workspaceId)).map((row) => [row.file!, row]))
    // Twice where agents name others that stand in a later file.
    const left = new Set(names)
    for (let round = 0; round < 2; round++)
      for (const name of left) {
        const problem = await this.#read(name, known.get(name)).then(
          () => null,
          (error: unknown) => error,
        )
        if (problem === null) left.delete(name)
        else if (!(problem instanceof ApiError || problem instanceof Unreadable)) throw problem
        else if (round === 1)
          logger.warn({ file: join(this.#folder, name), problem: problem.message }, 'a file is no agent')
      }
    for (const [file, row] of known)
      if (!names.includes(file) && row.archivedAt === null)
        await agents.archive(workspaceId, row.id, this.#context.clock.now())
    this.#stamp = stamp
  }

  async #read(name: string, before: AgentRow | undefined): Promise<void> {
    const { agents, workspaceId, clock } = this.#context
    const path = join(this.#folder, name)
    const { size } = await stat(path)
    if (size > MAX_DEFINITION_BYTES)
      throw new Unreadable(`It has ${size} bytes; at most ${MAX_DEFINITION_BYTES} are read.`)
    const text = await readFile(path, 'utf8')
    const contentHash = createHash('sha256').update(text).digest('hex')
    const definition = await this.#definition(name, text)
    if (!before) {
      const row = { id: newId('agent'), workspaceId, definition, source: 'file' as const, file: name, contentHash }
      await agents.create({ ...row, createdAt: clock.now() }, MAX_AGENTS)
      return
    }
    if (before.archivedAt !== null) await agents.archive(workspaceId, before.id, null)
    if (isDeepStrictEqual(definition, before.definition)) return
    const change = { from: before.newest, definition, contentHash, at: clock.now() }
    await agents.addVersion(workspaceId, before.id, change, MAX_AGENT_VERSIONS)
  }

  async #definition(name: string, text: string): Promise<AgentDefinition> {
    const { agents, workspaceId, limits } = this.#context
    const fields = extname(name) === '.md' ? markdownFields(name, text) : fieldsOf(yaml(text))
    const parsed = CreateAgent.safeParse({ name: basename(name, extname(name)), ...fields })
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!
      throw new Unreadable(`${issue.path.join('.') || 'It'}: ${issue.message}`)
    }
    const multiagent = await rosterOf(agents, workspaceId, parsed.data.multiagent, null)
    const skills = await pinSkills(this.#context.skills, workspaceId, parsed.data.skills)
    const definition = defineAgent({ ...parsed.data, multiagent, skills }, parsed.data.name, limits)
    // As it is read back, so that the two can be compared.
    return JSON.parse(JSON.stringify({ ...definition, metadata: parsed.data.metadata ?? {} })) as AgentDefinition
  }
}

function yaml(text: string): unknown {
  try {
    // No more aliases than a person writes: a few of them can stand for gigabytes.
    return parse(text, { maxAliasCount: 20 })
  } catch (error) {
    throw new Unreadable(error instanceof Error ? error.message : String(error))
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Unreadable('It holds no fields.')
  return value as Record<string, unknown>
}

/** A file as Claude Code keeps its agents: fields between two lines of dashes, then the system prompt. */
function markdownFields(name: string, text: string): Record<string, unknown> {
  const found = /^---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)([\s\S]*)$/.exec(text.replace(/^\uFEFF/, ''))
  if (!found) throw new Unreadable(`${name} begins with no fields between two lines of "---".`)
  const { tools, disallowedTools, model, name: named, description, permissionMode } = fieldsOf(yaml(found[1]!))
  const only = namesOf(tools)
  return {
    ...(named !== undefined && { name: named }),
    ...(description !== undefined && { description }),
    ...(model !== undefined && model !== 'inherit' && { model }),
    ...(permissionMode !== undefined && { permission_mode: permissionMode }),
    ...(disallowedTools !== undefined && { disallowed_tools: namesOf(disallowedTools) }),
    // What it names it has; of the others it has none.
    ...(only && {
      tools: [
        {
          type: 'agent_toolset_20260401',
          configs: (Object.keys(TOOLSET_TOOLS) as ToolsetTool[]).map((tool) => ({
            name: tool,
            enabled: only.includes(TOOLSET_TOOLS[tool]),
          })),
        },
      ],
    }),
    system: found[2]!.trim() || null,
  }
}

/** `Read, Grep`, or a list. */
function namesOf(value: unknown): string[] | null {
  if (value === undefined || value === null || value === '*') return null
  const names = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(names)) throw new Unreadable('tools: must be names, with commas or as a list.')
  return names.map((each) => String(each).trim()).filter(Boolean)
}
