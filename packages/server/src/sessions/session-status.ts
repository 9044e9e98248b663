import { idToUuid } from '@troupe/protocol/ids'
import type { Session } from '@troupe/protocol/session'
import type { Turn } from '@troupe/protocol/turn'
import { iso, isoOr } from '../log/wire.ts'
import type { SessionRow, Store, TurnRow } from '../store/store.ts'
import { budgetToWire } from './budget.ts'
import { addUsage, sumOfEntries, usageToWire } from './usage-totals.ts'

/** Characters of the first prompt that a list can show where there is no title. */
const PROMPT_CHARS = 200

/** A session as `/v1` shows it: is it done, what did it say, what does it need, what did it cost. */
export async function sessionToWire(store: Store, session: SessionRow, now: number): Promise<Session> {
  const queue =
    session.queuedAt === null
      ? null
      : {
          position: await store.queuePosition(session.queuedAt, session.id),
          enqueued_at: iso(session.queuedAt),
          reason: 'waiting_for_slot',
        }
  const active =
    session.activeMs + (session.currentTurnId && session.startedAt ? Math.max(0, now - session.startedAt) : 0)
  // What the running turn has used so far is in the ledger only, until it ends.
  const usage = session.currentTurnId
    ? addUsage(session.usage, sumOfEntries(await store.readTurnLedger(session.currentTurnId)))
    : session.usage
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
    current_turn_id: session.currentTurnId,
    last_seq: session.lastSeq,
    usage: usageToWire(usage, active),
    stats: {
      active_seconds: active / 1000,
      duration_seconds: ((session.archivedAt ?? now) - session.createdAt) / 1000,
    },
    budget: budgetToWire({ ...session, usage }),
    limits: limitsToWire(session),
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
    cache: turn.cache,
    model_requests: turn.modelRequests,
    created_at: iso(turn.createdAt),
    started_at: isoOr(turn.startedAt),
    ended_at: isoOr(turn.endedAt),
  }
}

export const limitsToWire = ({ options }: SessionRow) => ({
  max_turns: options.maxTurns,
  turn_timeout_seconds: options.turnTimeoutSeconds ?? null,
})
