import type { Queue } from '@troupe/protocol/queue'
import { iso, isoOr } from '../log/wire.ts'
import type { QueuePlace } from '../store/queue.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'

/** What keeps the next session from being taken. */
export type Hold = 'waiting_for_slot' | 'waiting_for_memory' | 'model_backoff'

/** What the runner has to give, as of now. */
export interface Admission {
  slots: { max: number; used: number }
  maxRunningPerKey: number
  /** Bytes that agents and what they started may take, and what they take. */
  memory: { budget: number; used: number }
  hold: Hold
  /** Until when the model is left alone, in ms; null when it is not. */
  backoffUntil: number | null
}

/** A session's own cap explains its waiting better than what keeps everybody, but for a model that keeps everybody. */
const reasonOf = (capped: QueuePlace['capped'], { hold }: Admission): string =>
  capped !== null && hold !== 'model_backoff' ? capped : hold

/** The place of a session that waits. */
export async function queueToWire(store: Store, session: SessionRow, queuedAt: number, admission: Admission) {
  const { position, capped } = await store.queuePlace(session, admission.maxRunningPerKey)
  return { position, enqueued_at: iso(queuedAt), reason: reasonOf(capped, admission) }
}

/** The line as `/v1/queue` shows it, with its first `limit` sessions. */
export async function queueView(
  store: Store,
  workspaceId: string,
  admission: Admission,
  limit: number,
): Promise<Queue> {
  const view = await store.readQueue(workspaceId, limit, admission.maxRunningPerKey)
  return {
    type: 'queue',
    depth: view.depth,
    running: view.running,
    slots: admission.slots,
    memory: memoryToWire(admission),
    oldest_queued_at: isoOr(view.oldestQueuedAt),
    backoff_until: isoOr(admission.backoffUntil),
    by_key: view.keys.map((key) => ({
      principal: key.principal,
      concurrency_key: key.concurrencyKey,
      depth: key.waiting,
      running: key.running,
      oldest_queued_at: isoOr(key.oldestQueuedAt),
    })),
    data: view.first.map((entry) => ({
      session_id: entry.id,
      position: entry.position,
      priority: entry.priority,
      concurrency_key: entry.concurrencyKey,
      enqueued_at: iso(entry.queuedAt),
      reason: reasonOf(entry.capped, admission),
    })),
  }
}

export const memoryToWire = ({ memory }: Admission) => ({ budget_bytes: memory.budget, used_bytes: memory.used })
