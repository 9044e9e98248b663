import { idToUuid } from '@troupe/protocol/ids'
import type { Session } from '@troupe/protocol/session'
import type { Turn, Usage } from '@troupe/protocol/turn'
import { iso, isoOr } from '../log/wire.ts'
import type { SessionRow, Store, TurnRow, UsageTotals } from '../store/store.ts'
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
    session.activeMs + (session.currentTurnId && session.startedAt ? Math.max(0, now - session.startedAt) : 0)
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
    required_actions: [],
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

export function turnToWire(turn: TurnRow): Turn {
  const activeMs = turn.startedAt === null || turn.endedAt === null ? 0 : turn.endedAt - turn.startedAt
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
    usage: turn.usage && usageToWire(turn.usage, activeMs),
    model_requests: turn.modelRequests,
    created_at: iso(turn.createdAt),
    started_at: isoOr(turn.startedAt),
    ended_at: isoOr(turn.endedAt),
  }
}
