import type { Store } from '../store/store.ts'
import { formatTraceparent, traceOfTurn } from './trace-context.ts'

/**
 * The headers by which whoever is told of an event joins its trace: the place of its turn where traces are sent, else
 * that of the request the turn came with. None where there is neither, or nobody keeps it.
 */
export async function traceHeaders(
  store: Pick<Store, 'readTurn'>,
  { sessionId, turnId }: { sessionId: string; turnId: string | null },
  sending: boolean,
): Promise<Record<string, string>> {
  const turn = turnId === null ? null : await store.readTurn(sessionId, turnId)
  if (!turn) return {}
  if (!sending) return turn.traceparent === undefined ? {} : { traceparent: turn.traceparent }
  return { traceparent: formatTraceparent(traceOfTurn(turn)) }
}
