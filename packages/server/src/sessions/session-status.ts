import type { Approval, ApprovalPolicy, RequiredAction } from '@troupe/protocol/approval'
import { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'
import { idToUuid } from '@troupe/protocol/ids'
import type { Session } from '@troupe/protocol/session'
import type { Turn } from '@troupe/protocol/turn'
import { iso, isoOr } from '../log/wire.ts'
import type { ApprovalRow } from '../store/approvals.ts'
import type { ApprovalSettings } from '../store/session-options.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import type { TurnRow } from '../store/turns.ts'
import { traceOfTurn } from '../tracing/trace-context.ts'
import { type Admission, queueToWire } from './queue-status.ts'
import { budgetToWire } from './budget.ts'
import { contextToWire } from './context-usage.ts'
import { resourceToWire } from './resource-wire.ts'
import { allResources } from './session-repositories.ts'
import { expiryOf, retentionOf } from './retention.ts'
import { addUsage, sumOfEntries, usageToWire } from './usage-totals.ts'

/** Characters of the first prompt that a list can show where there is no title. */
const PROMPT_CHARS = 200

/** A session as `/v1` shows it: is it done, what did it say, what does it need, what did it cost. */
export async function sessionToWire(
  store: Store,
  session: SessionRow,
  now: number,
  admission: Admission,
): Promise<Session> {
  const queue = session.queuedAt === null ? null : await queueToWire(store, session, session.queuedAt, admission)
  const active =
    session.activeMs +
    (session.currentTurnId && session.startedAt && session.status !== 'idle' ? Math.max(0, now - session.startedAt) : 0)
  // What the running turn has used so far is in the ledger only, until it ends.
  const usage = session.currentTurnId
    ? addUsage(session.usage, sumOfEntries(await store.readTurnLedger(session.currentTurnId)))
    : session.usage
  const actions = await requiredActions(store, session)
  const retention = await retentionOf(store, session)
  return {
    type: 'session',
    id: session.id,
    uuid: idToUuid(session.id),
    status: session.status,
    agent: session.agent,
    environment_id: session.options.environment?.id ?? DEFAULT_ENVIRONMENT_ID,
    title: session.title,
    prompt: session.prompt === '' ? null : session.prompt.slice(0, PROMPT_CHARS),
    metadata: session.metadata,
    external_id: session.externalId,
    cwd: session.cwd,
    model_source: session.options.modelSource,
    stop_reason: session.status === 'idle' || session.status === 'terminated' ? session.stopReason : null,
    required_actions: actions,
    approvals: approvalsToWire(session.options.approvals),
    recovery: session.options.recovery ?? 'auto',
    permission_rules: session.options.rules ?? [],
    last_error: session.lastError,
    result: session.result && { ...session.result, structured: session.result.structured ?? null },
    queue,
    priority: session.priority,
    concurrency_key: session.concurrencyKey,
    current_turn_id: session.currentTurnId,
    last_seq: session.lastSeq,
    usage: usageToWire(usage, active),
    stats: {
      active_seconds: active / 1000,
      duration_seconds: ((session.archivedAt ?? now) - session.createdAt) / 1000,
    },
    budget: budgetToWire({ ...session, usage }),
    context: contextToWire(session.context),
    output_schema: session.agent.output_schema ?? null,
    limits: limitsToWire(session),
    retention: retention.wire,
    expires_at: isoOr(expiryOf(session, retention.ttlMs, actions.length > 0)),
    resources: (await allResources(store, session.id)).map(resourceToWire),
    vault_ids: [],
    outcome_evaluations: [],
    deployment_id: session.options.deploymentId ?? null,
    forked_from: session.options.forkedFrom ?? null,
    created_at: iso(session.createdAt),
    updated_at: iso(session.updatedAt),
    archived_at: isoOr(session.archivedAt),
  }
}

/** What a session waits for; costs a read only where it may wait for something. */
export async function requiredActions(store: Store, session: SessionRow): Promise<RequiredAction[]> {
  if (session.lastTurnStatus !== 'waiting' && session.lastTurnStatus !== 'in_progress') return []
  const state = await store.readSessionState(session.id)
  return (state?.approvals ?? []).filter((row) => row.status === 'pending').map(requiredAction)
}

const requiredAction = (row: ApprovalRow): RequiredAction => ({
  type: row.kind,
  event_id: row.id,
  session_thread_id: row.threadId,
  tool_name: row.toolName,
  input: row.input,
  expires_at: isoOr(row.expiresAt),
})

/** The settings of sessions that were made without any. */
export const NO_APPROVAL_SETTINGS: ApprovalSettings = { holdSeconds: 0, timeoutSeconds: null, onTimeout: 'deny' }

function approvalsToWire(settings: ApprovalSettings = NO_APPROVAL_SETTINGS): ApprovalPolicy {
  return {
    hold_seconds: settings.holdSeconds,
    timeout_seconds: settings.timeoutSeconds,
    on_timeout: settings.onTimeout,
  }
}

export function approvalToWire(row: ApprovalRow, title: string | null): Approval {
  return {
    type: 'approval',
    id: row.id,
    kind: row.kind,
    session_id: row.sessionId,
    session_title: title,
    turn_id: row.turnId,
    session_thread_id: row.threadId,
    tool_name: row.toolName,
    input: row.input,
    reason: row.reason,
    remember_rule: row.rule,
    held: row.held,
    status: row.status,
    created_at: iso(row.createdAt),
    expires_at: isoOr(row.expiresAt),
    decided_at: isoOr(row.decidedAt),
    actor: row.actor,
    decision: row.decision,
  }
}

export function turnToWire(turn: TurnRow): Turn {
  return {
    type: 'turn',
    id: turn.id,
    session_id: turn.sessionId,
    number: turn.number,
    status: turn.status,
    input_event_ids: turn.inputEventIds,
    output: turn.output && { ...turn.output, structured: turn.output.structured ?? null },
    stop_reason: turn.stopReason,
    error: turn.error,
    usage: turn.usage && usageToWire(turn.usage, turn.activeMs),
    cache: turn.cache,
    model_requests: turn.modelRequests,
    files: turn.files ?? [],
    trace_id: traceOfTurn(turn).traceId,
    created_at: iso(turn.createdAt),
    started_at: isoOr(turn.startedAt),
    ended_at: isoOr(turn.endedAt),
  }
}

export const limitsToWire = ({ options, maxQueueMs }: SessionRow) => ({
  max_turns: options.maxTurns,
  max_queue_seconds: maxQueueMs === null ? null : maxQueueMs / 1000,
  turn_timeout_seconds: options.turnTimeoutSeconds ?? null,
})
