import { z } from 'zod'
import { PageQuery } from './page.ts'
import { AuthorizationToken, RepositoryResource, RepositoryResourceParam } from './repository.ts'

/** Resources of a session, at most: what the hosted API takes, too. */
export const MAX_RESOURCES = 500
/** Bytes of a session's mounted files together, at most. */
export const MAX_RESOURCE_BYTES = 2 * 1024 * 1024 * 1024
/** Characters of a mount path, at most. */
export const MAX_MOUNT_PATH = 1024

/** A file that a session is given: a copy of it lies in the workdir. */
const FileResourceParam = z.object({
  type: z.literal('file'),
  file_id: z.string().min(1).max(256).describe('`file_…`'),
  mount_path: z
    .string()
    .min(1)
    .max(MAX_MOUNT_PATH)
    .nullish()
    .describe(
      'Below `/workspace`, `/mnt/session` or relative, always inside of the workdir. Default: `/mnt/session/uploads/<file_id>`',
    ),
})
export type FileResourceParam = z.infer<typeof FileResourceParam>

/** Resources of the hosted API that are yet to come; refused with `unsupported_feature`. */
const LaterResourceParam = z.looseObject({ type: z.enum(['git_repository', 'memory_store']) })

export const ResourceParam = z.discriminatedUnion('type', [
  FileResourceParam,
  RepositoryResourceParam,
  LaterResourceParam,
])
export type ResourceParam = z.infer<typeof ResourceParam>

const FileResource = z.object({
  id: z.string().describe('`sesrsc_…`'),
  type: z.literal('file'),
  file_id: z.string(),
  mount_path: z.string().describe('As it was asked for'),
  path: z.string().describe('Where it lies, relative to the workdir'),
  created_at: z.string(),
  updated_at: z.string(),
})

/** What a session was given. A union that grows. */
export const SessionResource = z
  .discriminatedUnion('type', [FileResource, RepositoryResource])
  .meta({ id: 'SessionResource' })
export type SessionResource = z.infer<typeof SessionResource>

export const ListResources = PageQuery
export const UpdateResource = z.looseObject({ authorization_token: AuthorizationToken.optional() })
export const DeletedResource = z.object({ id: z.string(), type: z.literal('session_resource_deleted') })
