import type { SessionEvent } from '@troupe/protocol/event'
import type { StopReason } from '@troupe/protocol/session'
import type { Item, SessionView } from './view.ts'

/** Fields of the view that become others, an item that is new, and one that says more. */
export type Delta = Partial<Omit<SessionView, 'items'>> & { added?: Item; patched?: Patched | null }
export type Patched = { index: number; item: Item }
export type Change = (view: SessionView, event: SessionEvent) => Delta

/** Looked for from the end: what is answered is seldom old. */
export function patch(
  { items }: Pick<SessionView, 'items'>,
  matches: (item: Item) => boolean,
  fields: object,
): Patched | null {
  const index = items.findLastIndex(matches)
  return index < 0 ? null : { index, item: { ...items[index], ...fields } as Item }
}

export const entry = ({ id, seq, turn_id, created_at }: SessionEvent) => ({ id, seq, turnId: turn_id, at: created_at })
export const words = (value: unknown): string => (typeof value === 'string' ? value : '')
export const count = (value: unknown): number => (typeof value === 'number' ? value : 0)
/** The objects of a list; what is none is left out. */
export const parts = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : []
export const stopReason = (event: SessionEvent) => (event.stop_reason as StopReason | null) ?? null
