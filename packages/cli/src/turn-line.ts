import type { TurnView } from '@troupe/client/view'
import { cleanLine } from './clean.ts'
import type { Paint } from './paint.ts'
import { duration, money, tokens } from './words.ts'

/** One line: stop reason, time, tokens, cost. */
export function turnLine(turn: TurnView, paint: Paint, more: string[] = []): string {
  const reason = cleanLine(turn.stopReason?.type ?? turn.status)
  const mark =
    turn.status === 'failed'
      ? paint.red(`✗ ${reason}`)
      : reason === 'end_turn'
        ? paint.green(`✓ ${reason}`)
        : paint.yellow(`■ ${reason}`)
  const start = turn.startedAt ?? turn.endedAt
  const time = start && turn.endedAt ? [duration(Date.parse(turn.endedAt) - Date.parse(start))] : []
  const cost = turn.usage ? [`${tokens(turn.usage)} tokens`, money(turn.usage.cost_usd)] : []
  return [mark, ...[...time, ...cost, ...more].map((part) => paint.dim(part))].join(paint.dim(' · '))
}
