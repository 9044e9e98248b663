import type { SessionContextUsage } from '@troupe/protocol/context'
import { iso } from '../log/wire.ts'
import type { ContextFill, SessionRow } from '../store/session-row.ts'
import type { NewEvent } from '../store/events.ts'
import { newEvent } from './new-event.ts'

/** From here on a context is said to be nearly full, in percent: time to compact, or to begin anew, by one's own choice. */
export const NEARLY_FULL = 80

export const percentOf = ({ tokens, maxTokens }: Pick<ContextFill, 'tokens' | 'maxTokens'>): number =>
  Math.round((tokens / maxTokens) * 1_000) / 10

export const contextToWire = (fill: ContextFill | null | undefined) =>
  fill
    ? {
        tokens: fill.tokens,
        max_tokens: fill.maxTokens,
        percent: percentOf(fill),
        model: fill.model,
        measured_at: iso(fill.at),
      }
    : null

export const contextUsage = ({ id, context }: Pick<SessionRow, 'id' | 'context'>): SessionContextUsage => ({
  type: 'context_usage',
  session_id: id,
  usage: contextToWire(context),
  categories: context?.categories ?? [],
})

/** Says once that a context has become nearly full; again only when it has been less in between. */
export function contextWarning(
  before: ContextFill | null,
  now: ContextFill | undefined,
  turnId: string,
  at: number,
): NewEvent[] {
  if (!now || percentOf(now) < NEARLY_FULL || (before && percentOf(before) >= NEARLY_FULL)) return []
  const { tokens, max_tokens, percent } = contextToWire(now)!
  return [newEvent('session.context_nearly_full', turnId, at, { tokens, max_tokens, percent })]
}
