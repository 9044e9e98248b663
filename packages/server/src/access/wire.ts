import type { ApiKey, Workspace } from '@troupe/protocol/access'
import { iso, isoOr } from '../log/wire.ts'
import type { KeyRow, WorkspaceRow } from '../store/keys.ts'

/** A key without its secret. */
export const keyToWire = (row: KeyRow, now: number): ApiKey => ({
  type: 'api_key',
  id: row.id,
  workspace_id: row.workspaceId,
  name: row.name,
  prefix: row.prefix,
  status: row.revokedAt !== null ? 'revoked' : row.expiresAt !== null && row.expiresAt <= now ? 'expired' : 'active',
  scopes: row.scopes,
  policy: row.policy,
  created_by: row.createdBy,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  expires_at: isoOr(row.expiresAt),
  revoked_at: isoOr(row.revokedAt),
  last_used_at: isoOr(row.lastUsedAt),
  rotated_until: row.previousUntil !== null && row.previousUntil > now ? iso(row.previousUntil) : null,
})

export const workspaceToWire = (row: WorkspaceRow): Workspace => ({
  type: 'workspace',
  id: row.id,
  name: row.name,
  policy: row.policy,
  retention: row.retention ? { ttl_seconds: row.retention.ttlMs === null ? null : row.retention.ttlMs / 1000 } : null,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  archived_at: isoOr(row.archivedAt),
})
