import type { SessionResource } from '@troupe/protocol/resource'
import { iso } from '../log/wire.ts'
import type { ResourceRow } from '../store/resources.ts'

export const resourceToWire = (row: ResourceRow): SessionResource => ({
  id: row.id,
  type: row.type,
  file_id: row.fileId,
  mount_path: row.mountPath,
  path: row.path,
  created_at: iso(row.createdAt),
  updated_at: iso(row.createdAt),
})
