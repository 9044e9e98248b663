import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { CreateDeployment, Deployment, DeploymentRun, UpdateDeployment } from '@troupe/protocol/deployment'
import { json } from './api.ts'

export const SCHEDULES_PATH = '/v1/deployments'
export const schedulePath = (id: string, action?: 'pause' | 'unpause' | 'run' | 'archive') =>
  `${SCHEDULES_PATH}/${encodeURIComponent(id)}${action ? `/${action}` : ''}`

/** Runs that are shown at first, and more each time. */
export const RUNS = 25
const KEY = ['schedules'] as const
/** Everything that is shown of schedules. */
export const schedulesKey = KEY

/** The newest `limit` deployments, at most 1,000. */
export const schedulesQuery = (limit: number, archived: boolean) =>
  queryOptions({
    queryKey: [...KEY, 'list', limit, archived],
    queryFn: ({ signal }) =>
      json<Page<Deployment>>('GET', SCHEDULES_PATH, { query: { limit, include_archived: archived }, signal }),
    refetchInterval: 10_000,
    placeholderData: (previous) => previous,
  })
/** The newest `limit` runs of one, at most 1,000. */
export const runsQuery = (id: string, limit: number) =>
  queryOptions({
    queryKey: [...KEY, 'runs', id, limit],
    queryFn: ({ signal }) =>
      json<Page<DeploymentRun>>('GET', '/v1/deployment_runs', { query: { deployment_id: id, limit }, signal }),
    refetchInterval: 5_000,
    placeholderData: (previous) => previous,
  })

export const createSchedule = (body: CreateDeployment) => json<Deployment>('POST', SCHEDULES_PATH, { body })
export const changeSchedule = (id: string, body: UpdateDeployment) =>
  json<Deployment>('POST', schedulePath(id), { body })
export const actOnSchedule = (id: string, action: 'pause' | 'unpause' | 'archive') =>
  json<Deployment>('POST', schedulePath(id, action), { body: {} })
/** The run may have started no session: its `error` then says why. */
export const runNow = (id: string) => json<DeploymentRun>('POST', schedulePath(id, 'run'), { body: {} })
