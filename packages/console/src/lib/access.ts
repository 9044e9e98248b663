import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { ApiKey, ScopeName } from '@troupe/protocol/access'
import { json } from './api.ts'

export interface NewKey {
  name: string
  scopes: ScopeName[]
  expires_at?: string
}

export const KEYS_PATH = '/v1/api_keys'
export const keyPath = (id: string, action?: 'rotate') =>
  `${KEYS_PATH}/${encodeURIComponent(id)}${action ? `/${action}` : ''}`

/** The newest `limit` keys of the reader's workspace, at most 1,000. */
export const keysQuery = (limit: number, includeRevoked: boolean) =>
  queryOptions({
    queryKey: ['keys', limit, includeRevoked],
    queryFn: ({ signal }) =>
      json<Page<ApiKey>>('GET', KEYS_PATH, { query: { limit, include_revoked: includeRevoked }, signal }),
    refetchInterval: 30_000,
    placeholderData: (previous) => previous,
  })

/** The answer holds the secret. Null in it: an earlier try made the key, and its answer was lost. */
export const createKey = (body: NewKey) => json<ApiKey>('POST', KEYS_PATH, { body })
/** As `createKey`. The secret before this one is good for that time too. */
export const rotateKey = (id: string, graceSeconds: number) =>
  json<ApiKey>('POST', keyPath(id, 'rotate'), { body: { grace_seconds: graceSeconds } })
export const revokeKey = (id: string) => json<ApiKey>('DELETE', keyPath(id))

/** What most keys are for. A scope that includes others stands for them. */
export const PRESETS = {
  admin: ['admin'],
  work: ['sessions:read', 'sessions:write', 'approvals:write', 'agents:read', 'usage:read'],
  look: ['sessions:read', 'agents:read', 'webhooks:read', 'usage:read'],
} as const satisfies Record<string, readonly ScopeName[]>
export type Preset = keyof typeof PRESETS
