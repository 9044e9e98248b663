import type { Deployment, DeploymentRun } from '@troupe/protocol/deployment'
import type { DeploymentRow, DeploymentRunRow } from '../store/deployments.ts'
import { shownResource } from './resources.ts'
import { upcoming } from './schedule.ts'

const iso = (at: number) => new Date(at).toISOString()
const isoOr = (at: number | null) => (at === null ? null : iso(at))

export function deploymentToWire(row: DeploymentRow, now: number): Deployment {
  const { body, schedule } = row
  return {
    type: 'deployment',
    id: row.id,
    name: row.name,
    description: row.description,
    agent: { type: 'agent', id: row.agentId, version: row.agentVersion },
    environment_id: body.environmentId,
    initial_events: body.initialEvents,
    metadata: row.metadata,
    schedule: schedule && {
      ...schedule,
      last_run_at: isoOr(row.lastRunAt),
      upcoming_runs_at: row.archivedAt === null ? upcoming(schedule, now, 5).map(iso) : [],
    },
    status: row.pausedReason ? 'paused' : 'active',
    paused_reason: row.pausedReason,
    budget: body.budget ?? null,
    cwd: body.cwd,
    resources: (body.resources ?? []).map(shownResource),
    vault_ids: [],
    created_at: iso(row.createdAt),
    updated_at: iso(row.updatedAt),
    archived_at: isoOr(row.archivedAt),
  }
}

export const runToWire = (run: DeploymentRunRow): DeploymentRun => ({
  type: 'deployment_run',
  id: run.id,
  deployment_id: run.deploymentId,
  agent: { type: 'agent', id: run.agentId, version: run.agentVersion },
  session_id: run.sessionId,
  error: run.error,
  trigger_context:
    run.scheduledAt === null ? { type: 'manual' } : { type: 'schedule', scheduled_at: iso(run.scheduledAt) },
  created_at: iso(run.createdAt),
})
