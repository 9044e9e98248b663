import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { CreateEnvironment, Environment, UpdateEnvironment } from '@troupe/protocol/environment'
import { json } from './api.ts'

export const ENVIRONMENTS_PATH = '/v1/environments'
export const environmentPath = (id: string, action?: 'archive') =>
  `${ENVIRONMENTS_PATH}/${encodeURIComponent(id)}${action ? `/${action}` : ''}`

const KEY = ['environments'] as const
/** Everything that is shown of environments. */
export const environmentsKey = KEY

/** The newest `limit` environments, at most 1,000; the built-in one is not among them. */
export const environmentsQuery = (limit: number, archived = false) =>
  queryOptions({
    queryKey: [...KEY, limit, archived],
    queryFn: ({ signal }) =>
      json<Page<Environment>>('GET', ENVIRONMENTS_PATH, { query: { limit, include_archived: archived }, signal }),
    placeholderData: (previous) => previous,
    retry: false,
  })

export const createEnvironment = (body: CreateEnvironment) => json<Environment>('POST', ENVIRONMENTS_PATH, { body })
export const changeEnvironment = (id: string, body: UpdateEnvironment) =>
  json<Environment>('POST', environmentPath(id), { body })
export const archiveEnvironment = (id: string) =>
  json<Environment>('POST', environmentPath(id, 'archive'), { body: {} })
