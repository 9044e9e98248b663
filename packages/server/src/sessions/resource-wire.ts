import type { SessionResource } from '@troupe/protocol/resource'
import { iso } from '../log/wire.ts'
import type { RepositoryRow } from '../store/repositories.ts'
import type { ResourceRow } from '../store/resources.ts'

/** What a session was given, as the API shows it: without what a host is asked with. */
export const resourceToWire = (row: ResourceRow | RepositoryRow): SessionResource =>
  'url' in row ? repositoryToWire(row) : fileToWire(row)

const repositoryToWire = (row: RepositoryRow): SessionResource => ({
  id: row.id,
  type: 'github_repository',
  url: row.url,
  checkout: row.checkout,
  mount_path: row.mountPath,
  path: row.path,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
})

const fileToWire = (row: ResourceRow): SessionResource => ({
  id: row.id,
  type: row.type,
  file_id: row.fileId,
  mount_path: row.mountPath,
  path: row.path,
  created_at: iso(row.createdAt),
  updated_at: iso(row.createdAt),
})
