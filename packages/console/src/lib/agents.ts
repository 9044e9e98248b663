import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { Agent } from '@troupe/protocol/saved-agent'
import { json } from './api.ts'
import type { AgentBody } from './agent-draft.ts'

export const AGENTS_PATH = '/v1/agents'
export const agentPath = (id: string, action?: 'archive' | 'versions') =>
  `${AGENTS_PATH}/${encodeURIComponent(id)}${action ? `/${action}` : ''}`

const KEY = ['agents'] as const
/** Everything that is shown of agents. */
export const agentsKey = KEY

/** The newest `limit` agents, at most 1,000, each at its newest version. */
export const agentsQuery = (limit: number, archived = false) =>
  queryOptions({
    queryKey: [...KEY, 'list', limit, archived],
    queryFn: ({ signal }) =>
      json<Page<Agent>>('GET', AGENTS_PATH, { query: { limit, include_archived: archived }, signal }),
    refetchInterval: 15_000,
    placeholderData: (previous) => previous,
  })
export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: [...KEY, 'one', id],
    queryFn: ({ signal }) => json<Agent>('GET', agentPath(id), { signal }),
    refetchInterval: 15_000,
  })
/** The newest versions, at most 100. */
export const versionsQuery = (id: string, newest: number) =>
  queryOptions({
    queryKey: [...KEY, 'versions', id, newest],
    queryFn: ({ signal }) => json<Page<Agent>>('GET', agentPath(id, 'versions'), { query: { limit: 100 }, signal }),
  })

export const createAgent = (body: AgentBody) => json<Agent>('POST', AGENTS_PATH, { body })
/** Refused with `version_conflict` where somebody else has saved since `version`. */
export const updateAgent = (id: string, body: AgentBody & { version: number }) =>
  json<Agent>('POST', agentPath(id), { body })
export const archiveAgent = (id: string) => json<Agent>('POST', agentPath(id, 'archive'), { body: {} })
