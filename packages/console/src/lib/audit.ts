import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { AuditEvent } from '@troupe/protocol/audit'
import { json } from './api.ts'

export const AUDIT_PATH = '/v1/audit_events'

export interface AuditFilter {
  /** How the names of actions begin, such as `api_key.`; empty: all. */
  about: string
  outcome: '' | 'done' | 'refused'
  /** What it happened to, by its id; empty: anything. */
  resource: string
}

/** As the API has it; what is empty is left out. */
const queryOf = ({ about, outcome, resource }: AuditFilter) => ({
  ...(about && { action: [`${about}*`] }),
  ...(outcome && { outcome }),
  ...(resource.trim() && { resource_id: resource.trim() }),
})

/** The newest `limit` that fit, at most 1,000. */
export const auditQuery = (filter: AuditFilter, limit: number) =>
  queryOptions({
    queryKey: ['audit', filter, limit],
    queryFn: ({ signal }) =>
      json<Page<AuditEvent>>('GET', AUDIT_PATH, { query: { ...queryOf(filter), limit }, signal }),
    refetchInterval: 15_000,
    placeholderData: (previous) => previous,
  })

/** Where the browser gets all of them as a file. */
export function exportPath(filter: AuditFilter): string {
  const { action, ...rest } = queryOf(filter)
  const params = new URLSearchParams(rest)
  for (const each of action ?? []) params.append('action[]', each)
  const text = params.toString()
  return `${AUDIT_PATH}/export${text && `?${text}`}`
}
