import { NO_USAGE } from '../store/usage.ts'
import type { Store } from '../store/store.ts'
import type { TurnRow } from '../store/turns.ts'
import type { TurnOutcome } from './end-turn.ts'
import { sumOfEntries } from './usage-totals.ts'
import type { SessionState } from './change-session.ts'

const THREAD_EVENTS = ['session.thread_created', 'session.thread_status_idle']
/** Events of a turn that are looked at, at most. */
const MAX_EVENTS = 10_000

/**
 * The account of a turn whose server died: what the ledger has of it, and a mark for each request that may have been on
 * its way, of the main agent and of every subagent that had not ended.
 */
export async function accountOfCut(
  store: Store,
  { session }: SessionState,
  turn: TurnRow,
  at: number,
): Promise<Pick<TurnOutcome, 'usage' | 'ledger' | 'modelRequests'>> {
  const entries = await store.readTurnLedger(turn.id)
  const { rows } = await store.listEvents(
    session.id,
    { turnId: turn.id, types: [...THREAD_EVENTS, 'span.model_request_end'] },
    'asc',
    MAX_EVENTS,
  )
  const running = new Set<string | null>()
  let seen = 0
  // A subagent whose end is in the log may have ended before its last request came into the ledger.
  const ended = new Set<string | null>()
  for (const { type, threadId } of rows)
    if (type === 'session.thread_created') running.add(threadId)
    else if (type === 'session.thread_status_idle') {
      running.delete(threadId)
      ended.add(threadId)
    } else {
      seen++
      if (threadId === null) ended.clear()
    }
  const booked = entries.reduce((sum, { modelRequests }) => sum + modelRequests, 0)
  // The end of a request may have come into the log when its account had not yet come into the ledger.
  const missing = 1 + running.size + ended.size + Math.max(0, seen - booked)
  const day = new Date(at).toISOString().slice(0, 10)
  const last = entries.at(-1)
  const { agent, metadata } = session
  const entry =
    last ??
    ({
      turnId: turn.id,
      model: agent.model.id,
      day,
      sessionId: session.id,
      agentId: agent.id,
      principal: session.principal,
      metadata,
      at,
      usage: NO_USAGE,
      guessedUsd: 0,
      modelRequests: 0,
    } as const)
  const marked = {
    ...entry,
    modelRequests: entry.modelRequests + missing,
    usage: { ...entry.usage, unreportedRequests: entry.usage.unreportedRequests + missing },
  }
  const ledger = [...entries.slice(0, -1), marked]
  return {
    usage: sumOfEntries(ledger),
    ledger,
    modelRequests: ledger.reduce((sum, { modelRequests }) => sum + modelRequests, 0),
  }
}
