import { blocksOf, textOf } from '@troupe/client/content'
import type { SessionEvent } from '@troupe/protocol/event'

/** Letters of a message that name a point. */
const LETTERS = 60

/** Before what a session can be set back or forked: each message that began a turn, newest first, told by how it begins. */
export function pointsOf(events: readonly SessionEvent[]): { id: string; text: string }[] {
  const turns = new Set<string>()
  const points: { id: string; text: string }[] = []
  for (const event of events) {
    // One that still waits began nothing; one that steered a turn cannot be set back to alone.
    if (event.type !== 'user.message' || event.processed_at === null || event.turn_id === null) continue
    if (turns.has(event.turn_id)) continue
    turns.add(event.turn_id)
    const text = textOf(blocksOf(event.content)).replaceAll(/\s+/g, ' ').trim()
    const letters = [...text]
    points.push({ id: event.id, text: letters.length > LETTERS ? `${letters.slice(0, LETTERS).join('')}…` : text })
  }
  return points.toReversed()
}
