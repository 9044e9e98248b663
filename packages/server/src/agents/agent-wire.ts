import type { Agent } from '@troupe/protocol/saved-agent'
import type { AgentRow } from '../store/agents.ts'

const iso = (at: number) => new Date(at).toISOString()

/** A saved agent as the API shows it: as it was given, tools written out, so that it can be sent back. */
export const agentToWire = (row: AgentRow): Agent => ({
  type: 'agent',
  id: row.id,
  version: row.version,
  ...row.definition,
  source: row.source,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  archived_at: row.archivedAt === null ? null : iso(row.archivedAt),
})
