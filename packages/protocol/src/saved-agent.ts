import { z } from 'zod'
import { AgentFields, SessionAgent } from './agent.ts'
import type { Multiagent, Subagent } from './multiagent.ts'
import { Metadata, PageQuery } from './session.ts'

/** Bytes of an agent's definition as JSON, at most: every session keeps a copy of it. */
export const MAX_DEFINITION_BYTES = 1024 * 1024
/** Agents of one workspace, archived ones too. */
export const MAX_AGENTS = 10_000
/** Versions of one agent. */
export const MAX_AGENT_VERSIONS = 10_000

/** Only the server's own identity exists here; another one is refused rather than ignored. */
const ExecutionIdentity = z.looseObject({ type: z.string().max(64) }).nullish()

const AgentName = z.string().trim().min(1).max(256)

export const CreateAgent = AgentFields.extend({
  name: AgentName,
  metadata: Metadata.optional(),
  execution_identity: ExecutionIdentity,
})
export type CreateAgent = z.infer<typeof CreateAgent>

export const UpdateAgent = AgentFields.extend({
  name: AgentName.optional(),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(512).nullable())
    .nullish()
    .describe('Merged key by key; a null value deletes its key; null deletes all'),
  execution_identity: ExecutionIdentity,
  version: z
    .number()
    .int()
    .min(1)
    .max(2 ** 31)
    .nullish()
    .describe('Refused with `version_conflict` unless this is the newest version'),
}).describe('Absent: keep; null or []: clear. Arrays are replaced whole. What changes nothing makes no version')
export type UpdateAgent = z.infer<typeof UpdateAgent>

/** What is kept of an agent under a version; never changed afterwards. */
export type AgentDefinition = Omit<
  SessionAgent,
  'type' | 'id' | 'version' | 'permission_rules' | 'multiagent' | 'subagents'
> & {
  multiagent: Multiagent | null
  subagents: Subagent[]
  permission_rules: NonNullable<SessionAgent['permission_rules']>
  metadata: Record<string, string>
}

/** A saved agent at one of its versions. */
export const Agent = SessionAgent.extend({
  metadata: z.record(z.string(), z.string()),
  source: z.enum(['api', 'file', 'built_in']).describe('Only those of `api` can be changed here'),
  created_at: z.string(),
  updated_at: z.string().describe('When this version was made'),
  archived_at: z.string().nullable(),
}).meta({ id: 'Agent' })
export type Agent = z.infer<typeof Agent>

export const RetrieveAgent = z.object({
  version: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31)
    .optional()
    .describe('Default: the newest'),
})

export const ListAgents = PageQuery.extend({
  'created_at[gt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[gte]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lte]': z.iso.datetime({ offset: true }).optional(),
  include_archived: z.stringbool().optional(),
})

export const AgentList = z.object({
  data: z.array(Agent),
  next_page: z.string().nullable(),
  prev_page: z.string().nullable(),
})
