import { ApiError } from '@troupe/protocol/error'
import { idToUuid } from '@troupe/protocol/ids'
import type { TurnSpan } from '../store/branches.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import type { SessionContext } from './context.ts'
import { filesAfter, filesBefore } from './diff-session.ts'
import type { SnapshotRow } from '../store/branches.ts'

/**
 * A place between two turns of a session. A conversation is cut nowhere else: there a transcript is whole, and the
 * files are known.
 */
export interface BranchPoint {
  /** The newest event that belongs to what came before. */
  seq: number
  /** Ids of the turns before it, in the order they ran. */
  kept: string[]
  /** The last one of them that ran; null: none has. */
  last: TurnRow | null
  /** Whether anything came after it. */
  atEnd: boolean
  /** Entries of the transcript with which turns begin that come after it. */
  dropped: string[]
  /** How the workdir stood there; null: not known. */
  files(): Promise<SnapshotRow | null>
}

/**
 * The place an event stands for: an input the one before its turn, so that it can be put otherwise; any other event of
 * a turn the end of that turn; an event of no turn, the turns that had ended by then. Null: the end of the session.
 * Throws `event_not_found`, `turn_not_ended` and `event_rewound`.
 */
export async function branchPoint(
  context: SessionContext,
  session: SessionRow,
  eventId: string | null,
): Promise<BranchPoint> {
  const { store } = context
  const spans = await store.branches.turnSpans(session.id)
  const ran = spans.filter((span) => span.started !== null).sort((a, b) => a.started! - b.started!)
  const event = eventId === null ? null : await store.readEvent(session.id, eventId)
  if (eventId !== null && !event)
    throw new ApiError('event_not_found', `Session ${session.id} has no event ${eventId}.`)
  const span = event?.turnId == null ? null : spans.find(({ turnId }) => turnId === event.turnId)
  const isInput = event?.type === 'user.message' || event?.type === 'system.message'
  if (span && !isInput && span.ended === null)
    throw new ApiError('turn_not_ended', `Turn ${span.turnId} of event ${eventId} has not ended.`)
  const place = span ? span.started : (event?.seq ?? null)
  if (place !== null && (await store.branches.isRewound(session.id, place)))
    throw new ApiError(
      'event_rewound',
      `Event ${eventId} belongs to what a rewind has taken out of the conversation; the log alone still has it.`,
    )
  const seq = !event ? session.lastSeq : !span ? event.seq : isInput ? (span.started ?? event.seq) - 1 : span.last
  const before = (turn: TurnSpan) =>
    span && !isInput && turn.turnId === span.turnId ? true : turn.ended !== null && turn.ended <= seq
  const dropped = spans.filter((turn) => !before(turn))
  if (!event && dropped.length > 0)
    throw new ApiError(
      'session_running',
      `Session ${session.id} has work; name an event of a turn that has ended, or wait until it is idle.`,
    )
  const kept = spans.filter(before)
  // Of turns that a rewind took out before that place nothing is left in the conversation.
  const gone = await Promise.all(ran.map((turn) => store.branches.isRewound(session.id, turn.started!)))
  const lastSpan = ran.filter((turn, index) => before(turn) && !gone[index]).at(-1)
  const last = lastSpan ? await store.readTurn(session.id, lastSpan.turnId) : null
  const next = ran.find((turn) => !before(turn))
  const inputs = await Promise.all(dropped.map(({ turnId }) => store.readTurn(session.id, turnId)))
  const uuids = inputs.flatMap((turn) => turn?.inputEventIds ?? []).map(idToUuid)
  return {
    seq,
    kept: kept.map(({ turnId }) => turnId),
    last,
    atEnd: next === undefined,
    dropped: uuids,
    async files() {
      const then = last && (await filesAfter(context, last))
      if (then) return then
      const turn = next && (await store.readTurn(session.id, next.turnId))
      if (turn) return filesBefore(context, turn)
      // Nothing has run: as it stood first.
      return last ? null : store.branches.snapshotAfter(session.id, 0)
    },
  }
}
