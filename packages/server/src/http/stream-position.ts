import { ApiError } from '@troupe/protocol/error'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'

/** The `seq` that a stream's cursor means: a number, or the id of an event. Throws `invalid_cursor`. */
export async function positionOf(store: Store, session: SessionRow, text: string): Promise<number> {
  const refuse = () =>
    new ApiError(
      'invalid_cursor',
      `${JSON.stringify(text)} is neither a seq of this session (0 to ${session.lastSeq}) nor the id of one of its events.`,
    )
  if (/^\d{1,15}$/.test(text)) {
    if (Number(text) > session.lastSeq) throw refuse()
    return Number(text)
  }
  const event = text.startsWith('sevt_') ? await store.readEvent(session.id, text) : null
  if (!event) throw refuse()
  return event.seq
}
