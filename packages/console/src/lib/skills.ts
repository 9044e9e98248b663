import { queryOptions } from '@tanstack/react-query'
import { errorOf } from '@troupe/client/errors'
import type { Page } from '@troupe/client/requests'
import type { Skill, SkillVersion } from '@troupe/protocol/skill'
import { json } from './api.ts'

export const SKILLS_PATH = '/v1/skills'
export const skillPath = (id: string) => `${SKILLS_PATH}/${encodeURIComponent(id)}`
export const versionPath = (id: string, version: string, part?: 'content') =>
  `${skillPath(id)}/versions/${encodeURIComponent(version)}${part ? `/${part}` : ''}`

const KEY = ['skills'] as const
/** Everything that is shown of skills. */
export const skillsKey = KEY

/** Skills of the workspace, which has at most 500. */
export const skillsQuery = queryOptions({
  queryKey: [...KEY, 'list'],
  queryFn: ({ signal }) => json<Page<Skill>>('GET', SKILLS_PATH, { query: { limit: 500 }, signal }),
  retry: false,
})
/** Versions of one, newest first; it has at most 100. */
export const versionsQuery = (id: string) =>
  queryOptions({
    queryKey: [...KEY, 'versions', id],
    queryFn: ({ signal }) =>
      json<Page<SkillVersion>>('GET', `${skillPath(id)}/versions`, { query: { limit: 100 }, signal }),
  })

export const deleteSkill = (id: string) => json<unknown>('DELETE', skillPath(id))

/** Uploads a folder as a new skill, or as the next version of one. Rejects with what the server says. */
export async function uploadSkill(files: readonly { path: string; file: File }[], of: string | null): Promise<void> {
  const form = new FormData()
  for (const { path, file } of files) form.append('files[]', file, path)
  const path = of === null ? SKILLS_PATH : `${skillPath(of)}/versions`
  const reply = await fetch(path, { method: 'POST', body: form, credentials: 'same-origin' })
  if (!reply.ok) throw await errorOf(reply)
}
