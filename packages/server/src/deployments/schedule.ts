import type { ScheduleParam } from '@troupe/protocol/deployment'
import { createHash } from 'node:crypto'
import type { DeploymentRow } from '../store/deployments.ts'
import { type Cron, parseCron } from './cron.ts'

/** How late a tick may be that is still run where missed ones are skipped, in ms. */
const LATE_MS = 60_000

export const cronOf = ({ expression, timezone }: Pick<ScheduleParam, 'expression' | 'timezone'>): Cron =>
  parseCron(expression, timezone)

/** With what was left out. Throws `validation_failed`. */
export function wholeSchedule(schedule: ScheduleParam): Required<ScheduleParam> {
  cronOf(schedule)
  return {
    ...schedule,
    jitter_seconds: schedule.jitter_seconds ?? 10,
    missed: schedule.missed ?? 'latest',
  }
}

/** By how much a deployment starts after its ticks, in ms: always the same, and spread over all of them. */
const jitterOf = (id: string, { jitter_seconds }: Required<ScheduleParam>): number =>
  createHash('sha256').update(id).digest().readUInt32BE() % (jitter_seconds * 1000 + 1)

/** The first tick after `after` and when it is to be run. */
export function nextRun(id: string, schedule: DeploymentRow['schedule'], after: number) {
  const nextAt = schedule && cronOf(schedule).next(after)
  return {
    nextAt,
    fireAt: nextAt === null || schedule === null ? null : nextAt + jitterOf(id, schedule),
  }
}

/** The tick that a due deployment is run for; null where it is only passed over. And the one after it. */
export function dueTick({ id, schedule, nextAt }: DeploymentRow, now: number) {
  if (schedule === null || nextAt === null) return null
  const due = now - jitterOf(id, schedule)
  const latest = cronOf(schedule).latest(nextAt, due)
  const passed = schedule.missed === 'skip' && due - latest > LATE_MS
  return {
    scheduledAt: passed ? null : latest,
    after: nextRun(id, schedule, latest),
  }
}

/** The next `count` ticks after `after`. */
export function upcoming(schedule: Required<ScheduleParam>, after: number, count: number): number[] {
  const cron = cronOf(schedule)
  const found: number[] = []
  for (let at = cron.next(after); at !== null && found.length < count; at = cron.next(at)) found.push(at)
  return found
}
