import { type ExpressionBuilder, sql as raw } from 'kysely'
import { createdAt } from './query.ts'
import type { Tables } from './schema.ts'
import { searchWhere } from './search.ts'
import type { SessionFilter } from './sessions.ts'
import { inEnvironment } from './sqlite-environments.ts'

/** What a session must be to be in a list. */
export function sessionsWhere(filter: SessionFilter) {
  return (eb: ExpressionBuilder<Tables, 'sessions'>) => {
    const all = [eb('workspace_id', '=', filter.workspaceId), ...createdAt(eb, filter.createdAt)]
    if (!filter.includeArchived) all.push(eb('archived_at', 'is', null))
    if (filter.statuses) all.push(eb('status', 'in', filter.statuses))
    if (filter.externalId !== undefined) all.push(eb('external_id', '=', filter.externalId))
    if (filter.agentId !== undefined) all.push(eb('agent_id', '=', filter.agentId))
    if (filter.agentVersion !== undefined)
      all.push(eb(raw<number>`json_extract(agent, '$.version')`, '=', filter.agentVersion))
    if (filter.deploymentId !== undefined) all.push(eb('deployment_id', '=', filter.deploymentId))
    if (filter.stopReasons) all.push(eb('stop_reason_type', 'in', filter.stopReasons))
    return eb.and([...all, ...inEnvironment(filter.environmentId), ...searchWhere(eb, filter)])
  }
}
