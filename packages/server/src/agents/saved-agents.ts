import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import {
  type AgentDefinition,
  type CreateAgent,
  MAX_AGENT_VERSIONS,
  MAX_AGENTS,
  MAX_DEFINITION_BYTES,
  type UpdateAgent,
} from '@troupe/protocol/saved-agent'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../lib/clock.ts'
import { AgentChanged, AgentLimit, type AgentRow, type AgentStore } from '../store/agents.ts'
import type { SkillStore } from '../store/skills.ts'
import type { SessionChange } from '../store/session-change.ts'
import { requireAgent } from './find-agent.ts'
import { mergeFields } from './merge-agent.ts'
import { rosterOf, wholeRoster } from './multiagent.ts'
import { pinSkills } from './pin-skills.ts'
import { type AgentLimits, DEFAULT_AGENT_ID, defineAgent, sessionAgent } from './resolve-agent.ts'

/** What the use cases work with, and whose agents they see. */
export interface AgentContext {
  agents: AgentStore
  skills: SkillStore
  clock: Clock
  workspaceId: string
  limits: AgentLimits & { defaultModel: string | null }
  /** The agent as whoever saves it could have a session with it: with what must be denied. Throws for what goes beyond. */
  bounded(agent: SessionAgent): Promise<SessionAgent>
}

type Effect = SessionChange['effect']

/** Saves an agent at version 1. Throws `validation_failed`, `unsupported_feature`, `agent_limit`, and what `bounded` throws. */
export async function createAgent(
  context: AgentContext,
  body: CreateAgent,
  effectOf: (id: string) => Effect,
): Promise<AgentRow> {
  const { agents, clock, workspaceId, limits } = context
  assertIdentity(body)
  const multiagent = await rosterOf(agents, workspaceId, body.multiagent, null)
  const skills = await pinSkills(context.skills, workspaceId, body.skills)
  const asked = {
    ...defineAgent({ ...body, multiagent, skills }, body.name, limits),
    metadata: body.metadata ?? {},
  }
  const definition = await withinBounds(context, asked)
  assertSize(definition)
  const id = newId('agent')
  const row = {
    id,
    workspaceId,
    definition,
    source: 'api' as const,
    file: null,
    contentHash: null,
  }
  return withinLimits(agents.create({ ...row, createdAt: clock.now() }, MAX_AGENTS, effectOf(id)))
}

/**
 * Makes a new version of what is given, merged into the newest; where nothing changes there is none. Of two updates
 * that name the same `version` one wins; without it each is merged into what the other left. Throws `agent_not_found`,
 * `agent_archived`, `version_conflict`, `precondition_failed`, and as `createAgent` does.
 */
export async function updateAgent(
  context: AgentContext,
  id: string,
  { version, metadata, multiagent, skills, ...fields }: UpdateAgent,
  ifMatch: number | null,
  effect: Effect,
): Promise<AgentRow> {
  const { agents, clock, workspaceId, limits } = context
  assertOwn(id)
  assertIdentity(fields)
  for (;;) {
    const row = await requireAgent(agents, workspaceId, id)
    assertNoFile(row)
    if (row.archivedAt !== null) throw new ApiError('agent_archived', `Agent ${id} is archived and cannot be changed.`)
    if (version != null && version !== row.version)
      throw new ApiError(
        'version_conflict',
        `Agent ${id} is at version ${row.version}, not ${version}; read it and make the change again.`,
      )
    if (ifMatch !== null && ifMatch !== row.version)
      throw new ApiError('precondition_failed', `If-Match names version ${ifMatch}; agent ${id} is at ${row.version}.`)
    const roster = await rosterOf(agents, workspaceId, multiagent, row.definition.multiagent)
    const pinned = await pinSkills(context.skills, workspaceId, skills)
    const asked = {
      ...mergeFields(row.definition, { ...fields, multiagent: roster, skills: pinned }, limits),
      metadata: mergeMetadata(row.definition, metadata),
    }
    const definition = await withinBounds(context, asked)
    if (isDeepStrictEqual(definition, row.definition)) return row
    assertSize(definition)
    const change = {
      from: row.version,
      definition,
      contentHash: null,
      at: clock.now(),
    }
    try {
      return await withinLimits(agents.addVersion(workspaceId, id, change, MAX_AGENT_VERSIONS, effect))
    } catch (error) {
      // Somebody else was first: look at what they made of it.
      if (!(error instanceof AgentChanged)) throw error
    }
  }
}

/** No new sessions begin with it from now on. Archiving twice is one archiving. Throws `agent_not_found`. */
export async function archiveAgent(
  { agents, clock, workspaceId }: AgentContext,
  id: string,
  effect: Effect,
): Promise<AgentRow> {
  assertOwn(id)
  const row = await requireAgent(agents, workspaceId, id)
  assertNoFile(row)
  return (await agents.archive(workspaceId, id, clock.now(), effect)) ?? row
}

/** Others may begin sessions with it that are not bounded as whoever saves it is, and deployments do. */
async function withinBounds(
  { agents, workspaceId, limits, bounded }: AgentContext,
  definition: AgentDefinition,
): Promise<AgentDefinition> {
  const { defaultModel } = limits
  const agent = await wholeRoster(agents, workspaceId, sessionAgent(definition, '', 0, defaultModel), defaultModel)
  const denied = (await bounded(agent)).disallowed_tools.filter((tool) => !agent.disallowed_tools.includes(tool))
  return denied.length === 0
    ? definition
    : {
        ...definition,
        disallowed_tools: [...definition.disallowed_tools, ...denied],
      }
}

function assertOwn(id: string): void {
  if (id === DEFAULT_AGENT_ID)
    throw new ApiError('agent_read_only', `${DEFAULT_AGENT_ID} is built in; save an agent of your own instead.`)
}

function assertNoFile({ id, source, file }: AgentRow): void {
  if (source === 'file')
    throw new ApiError('agent_read_only', `Agent ${id} is what the file ${file} says; change it there.`)
}

function assertIdentity({ execution_identity: identity }: Pick<CreateAgent, 'execution_identity'>): void {
  if (identity && identity.type !== 'service_account')
    throw new ApiError(
      'unsupported_feature',
      `execution_identity ${JSON.stringify(identity.type)} is not supported; leave it out.`,
    )
}

function assertSize(definition: AgentDefinition): void {
  const bytes = Buffer.byteLength(JSON.stringify(definition))
  if (bytes > MAX_DEFINITION_BYTES)
    throw new ApiError('validation_failed', `The agent has ${bytes} bytes; at most ${MAX_DEFINITION_BYTES} are kept.`)
}

function mergeMetadata({ metadata }: AgentDefinition, change: UpdateAgent['metadata']): Record<string, string> {
  if (change === undefined) return metadata
  if (change === null) return {}
  const merged = Object.fromEntries(
    Object.entries({ ...metadata, ...change }).filter((pair): pair is [string, string] => pair[1] !== null),
  )
  if (Object.keys(merged).length > 16)
    throw new ApiError(
      'validation_failed',
      `metadata would have ${Object.keys(merged).length} pairs; at most 16 are.`,
      {
        errors: [{ pointer: '/metadata', code: 'too_big', detail: 'at most 16 pairs' }],
      },
    )
  return merged
}

async function withinLimits(work: Promise<AgentRow>): Promise<AgentRow> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof AgentLimit)) throw error
    throw new ApiError('agent_limit', `There are ${error.message}, as many as may be.`)
  }
}
