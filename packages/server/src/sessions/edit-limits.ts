import type { UpdateSession } from '@troupe/protocol/session'
import { ApiError } from '@troupe/protocol/error'
import type { z } from 'zod'
import type { SessionOptions } from '../store/session-options.ts'
import type { SessionRow } from '../store/session-row.ts'
import { budgetCents, isSpent } from './budget.ts'
import { money } from './usage-totals.ts'

type Body = Pick<z.infer<typeof UpdateSession>, 'budget' | 'limits'>

/**
 * The session's options with the limits and the budget a caller asks for: absent fields stay, null clears. Null when
 * nothing changes. Throws `budget_not_raised` for a budget at or below what has been spent, `session_terminated`.
 */
export function changedLimits(session: SessionRow, { budget, limits }: Body): SessionOptions | null {
  const options = { ...session.options }
  if (limits?.max_turns !== undefined) options.maxTurns = limits.max_turns
  if (limits?.turn_timeout_seconds !== undefined) options.turnTimeoutSeconds = limits.turn_timeout_seconds
  if (budget !== undefined) options.budgetCents = budget && budgetCents(budget)
  const same = (['maxTurns', 'turnTimeoutSeconds', 'budgetCents'] as const).every(
    (field) => (options[field] ?? null) === (session.options[field] ?? null),
  )
  if (same) return null
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived; its budget and limits stay.`)
  if (budget && options.budgetCents !== session.options.budgetCents && isSpent({ ...session, options }))
    throw new ApiError(
      'budget_not_raised',
      `Session ${session.id} has already spent ${money(session.usage.costUsd).amount} cents, and ${budget.max_list_cost.amount} were given; name more, or null for no budget.`,
    )
  return options
}
