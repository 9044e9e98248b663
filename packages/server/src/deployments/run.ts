import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { UserMessage as UserMessageSchema } from '@troupe/protocol/event'
import type { z } from 'zod'
import type { Caller } from '../sessions/caller.ts'
import type { SessionContext } from '../sessions/context.ts'
import { createFromRequest } from '../sessions/create-session.ts'
import type { DeploymentRow, DeploymentRunRow, RunWrite } from '../store/deployments.ts'
import { QueueFull } from '../store/errors.ts'
import type { SessionChange } from '../store/session-change.ts'
import { assertStarts } from './deployments.ts'

type UserMessage = z.infer<typeof UserMessageSchema>

/** Why there is no session. `pauses`: nor will there be one at the next tick. */
interface RunFailure {
  type: string
  message: string
  pauses: boolean
}

/**
 * Starts a session for a deployment. Session, run and what becomes of the tick are one transaction: who dies before it
 * has done nothing, who dies after it has done all. What refuses the session is written as a run that failed. Throws
 * `DeploymentChanged` and `TickTaken` for a tick that is another's, and what will pass by itself, such as
 * `storage_unavailable`: nothing is written then.
 */
export async function startRun(
  context: SessionContext,
  row: DeploymentRow,
  starter: () => Promise<Caller>,
  tick: {
    scheduledAt: number
    after: Pick<DeploymentRow, 'nextAt' | 'fireAt'>
  } | null,
  effectOf: (runId: string) => SessionChange['effect'],
): Promise<DeploymentRunRow> {
  const run: DeploymentRunRow = {
    id: newId('drun'),
    deploymentId: row.id,
    workspaceId: row.workspaceId,
    agentId: row.agentId,
    agentVersion: row.agentVersion,
    sessionId: null,
    error: null,
    scheduledAt: tick?.scheduledAt ?? null,
    createdAt: context.clock.now(),
  }
  const write: RunWrite = {
    run,
    tick: tick && { version: row.version, ...tick.after },
  }
  let failure: RunFailure
  try {
    const caller = await ownerOf(starter)
    const { session } = await createFromRequest(context, caller, requestOf(row), null, {
      id: row.id,
      run: (sessionId) => ({ ...write, run: { ...run, sessionId } }),
      effect: effectOf(run.id),
    })
    return { ...run, sessionId: session.id }
  } catch (error) {
    // Its session was deleted before it could be read back: it was started all the same.
    const written = await context.store.deployments.readRun(row.workspaceId, run.id)
    if (written) return written
    const known = failureOf(error)
    if (!known) throw error
    failure = known
  }
  const { pauses, ...error } = failure
  const failed = { ...run, error }
  await context.store.deployments.noteRun(
    {
      run: failed,
      tick: write.tick && (pauses ? { ...write.tick, nextAt: null, fireAt: null } : write.tick),
      ...(pauses && tick && { pause: { type: 'error', error: { type: error.type } } }),
    },
    effectOf(run.id),
  )
  return failed
}

const requestOf = ({ name, agentId, agentVersion, body }: DeploymentRow) => ({
  agent: { type: 'agent' as const, id: agentId, version: agentVersion },
  environment_id: body.environmentId,
  // Others were refused when it was saved.
  initial_events: body.initialEvents as UserMessage[],
  title: name,
  ...(body.budget && { budget: body.budget }),
  ...(body.cwd !== null && { cwd: body.cwd }),
  resources: body.resources ?? [],
})

/** The key that ordered it is good no more, or may not start sessions. */
class OwnerRefused extends Error {}

async function ownerOf(starter: () => Promise<Caller>): Promise<Caller> {
  try {
    const caller = await starter()
    assertStarts(caller)
    return caller
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    throw new OwnerRefused(error.message, { cause: error })
  }
}

/** What a run says of why it failed; null for what is worth another try, and for mistakes of our own. */
function failureOf(error: unknown): RunFailure | null {
  if (error instanceof OwnerRefused) return { type: 'unknown_error', message: error.message, pauses: true }
  if (error instanceof QueueFull)
    return {
      type: 'session_rate_limited_error',
      message: `${error.message}, as many as may`,
      pauses: false,
    }
  if (!(error instanceof ApiError) || error.code === 'storage_unavailable') return null
  const { message } = error
  if (error.code === 'agent_archived' || error.code === 'agent_not_found')
    return { type: 'agent_archived_error', message, pauses: true }
  if (error.code === 'environment_archived') return { type: 'environment_archived_error', message, pauses: true }
  if (error.code === 'environment_not_found') return { type: 'environment_not_found_error', message, pauses: true }
  if (error.code === 'file_not_found') return { type: 'file_not_found_error', message, pauses: true }
  if (error.status === 429) return { type: 'session_rate_limited_error', message, pauses: false }
  if (error.status >= 500) return { type: 'unknown_error', message, pauses: false }
  return { type: 'session_creation_rejected_error', message, pauses: false }
}
