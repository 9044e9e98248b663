import { queryOptions } from '@tanstack/react-query'
import type { Page } from '@troupe/client/requests'
import type { Skill } from '@troupe/protocol/skill'
import { json } from './api.ts'

export const SKILLS_PATH = '/v1/skills'
const KEY = ['skills'] as const

/** Skills of the workspace, which has at most 500. */
export const skillsQuery = queryOptions({
  queryKey: [...KEY, 'list'],
  queryFn: ({ signal }) => json<Page<Skill>>('GET', SKILLS_PATH, { query: { limit: 500 }, signal }),
  retry: false,
})
