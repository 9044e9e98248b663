import type { Approval, ApprovalPolicy, RequiredAction } from '@troupe/protocol/approval'
import { idToUuid } from '@troupe/protocol/ids'
import type { Session } from '@troupe/protocol/session'
import type { Turn, Usage } from '@troupe/protocol/turn'
import { iso, isoOr } from '../log/wire.ts'
import type { ApprovalRow } from '../store/approvals.ts'
import type { ApprovalSettings, SessionRow, Store, TurnRow, UsageTotals } from '../store/store.ts'
import { type Admission, queueToWire } from './queue-status.ts'

/** Usage as the wire writes it. Whole cents are rounded up, so that a cost is never shown as nothing. */
export function usageToWire(usage: UsageTotals, activeMs: number): Usage {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation_input_tokens: usage.cacheCreationTokens,
    cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: usage.cacheCreationTokens },
    // Ten decimals are enough for a token's price and hide the noise of binary fractions (0.07 * 100 > 7).
    list_cost: { amount: String(Math.ceil(Number((usage.costUsd * 100).toFixed(8)))), currency: 'USD' },
    cost_usd: Number(usage.costUsd.toFixed(10)),
    active_seconds: Math.max(0, activeMs) / 1000,
  }
}

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
  return {
    type: 'session',
    id: session.id,
    uuid: idToUuid(session.id),
    status: session.status,
    agent: session.agent,
    environment_id: 'env_default',
    title: session.title,
    prompt: session.prompt === '' ? null : session.prompt.slice(0, PROMPT_CHARS),
    metadata: session.metadata,
    external_id: session.externalId,
    cwd: session.cwd,
    model_source: session.options.modelSource,
    stop_reason: session.status === 'idle' || session.status === 'terminated' ? session.stopReason : null,
    required_actions: (await openApprovals(store, session)).map(requiredAction),
    approvals: approvalsToWire(session.options.approvals),
    recovery: session.options.recovery ?? 'auto',
    permission_rules: session.options.rules ?? [],
    last_error: session.lastError,
    result: session.result && { ...session.result, structured: session.result.structured ?? null },
    queue,
    priority: session.priority,
    concurrency_key: session.concurrencyKey,
    limits: {
      max_turns: session.options.maxTurns,
      max_queue_seconds: session.maxQueueMs === null ? null : session.maxQueueMs / 1000,
    },
    current_turn_id: session.currentTurnId,
    last_seq: session.lastSeq,
    usage: usageToWire(session.usage, active),
    stats: {
      active_seconds: active / 1000,
      duration_seconds: ((session.archivedAt ?? now) - session.createdAt) / 1000,
    },
    budget: null,
    resources: [],
    vault_ids: [],
    outcome_evaluations: [],
    deployment_id: null,
    created_at: iso(session.createdAt),
    updated_at: iso(session.updatedAt),
    archived_at: isoOr(session.archivedAt),
  }
}

/** What a session waits for; costs a read only where it may wait for something. */
async function openApprovals(store: Store, session: SessionRow): Promise<ApprovalRow[]> {
  if (session.lastTurnStatus !== 'waiting' && session.lastTurnStatus !== 'in_progress') return []
  const state = await store.readSessionState(session.id)
  return (state?.approvals ?? []).filter((row) => row.status === 'pending')
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
    model_requests: turn.modelRequests,
    created_at: iso(turn.createdAt),
    started_at: isoOr(turn.startedAt),
    ended_at: isoOr(turn.endedAt),
  }
}
