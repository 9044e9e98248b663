import type { AuditEvent } from '@troupe/protocol/audit'
import { iso } from '../log/wire.ts'
import type { AuditRow } from '../store/audit.ts'

export const auditToWire = (row: AuditRow): AuditEvent => ({
  type: 'audit_event',
  id: row.id,
  created_at: iso(row.at),
  workspace_id: row.workspaceId,
  action: row.action,
  outcome: row.outcome,
  reason: row.reason,
  principal: row.principal,
  credential: row.credential,
  resource:
    row.resourceType !== null && row.resourceId !== null ? { type: row.resourceType, id: row.resourceId } : null,
  details: row.details,
  count: row.count,
  request: row.request && {
    id: row.request.id,
    route: row.request.route,
    address: row.request.address,
    user_agent: row.request.userAgent,
  },
})
