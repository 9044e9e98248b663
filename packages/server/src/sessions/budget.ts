import { ApiError } from '@troupe/protocol/error'
import type { Budget, BudgetParam } from '@troupe/protocol/budget'
import type { SessionRow } from '../store/session-row.ts'
import { money } from './usage-totals.ts'

type Account = Pick<SessionRow, 'options' | 'usage'>

/** Dollars that a session may still spend; null without a budget. Negative when the last request went beyond. */
export function budgetLeft({ options, usage }: Account): number | null {
  const cents = options.budgetCents ?? null
  return cents === null ? null : cents / 100 - usage.costUsd
}

/** Whether a session has spent what it may: no request to the model is begun any more. */
export function isSpent(account: Account): boolean {
  const left = budgetLeft(account)
  return left !== null && left < 1e-9
}

export const budgetCents = (budget: BudgetParam): number => Number(budget.max_list_cost.amount)

export function budgetToWire(account: Account): Budget | null {
  const cents = account.options.budgetCents ?? null
  if (cents === null) return null
  return {
    type: 'limit',
    max_list_cost: { amount: String(cents), currency: 'USD' },
    spent: money(account.usage.costUsd),
  }
}

/** At the cap a session takes nothing that would need the model. Throws `budget_reached`. */
export function assertWithinBudget(session: SessionRow): void {
  if (!isSpent(session)) return
  const { max_list_cost, spent } = budgetToWire(session)!
  throw new ApiError(
    'budget_reached',
    `Session ${session.id} has spent ${spent.amount} of ${max_list_cost.amount} cents; raise budget.max_list_cost with POST /v1/sessions/${session.id} first.`,
  )
}
