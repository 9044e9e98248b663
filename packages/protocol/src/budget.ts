import { z } from 'zod'

/** Cents as text, as the hosted API writes money. */
const Money = z.object({ amount: z.string(), currency: z.literal('USD') })

const Cap = z.object({
  amount: z
    .string()
    .regex(/^[1-9]\d{0,11}$/, 'must be whole cents as text, from "1" to "999999999999"')
    .describe('Whole cents'),
  currency: z.literal('USD'),
})

/** What a session may cost at list price, all its turns together. */
export const BudgetParam = z.object({ type: z.literal('limit'), max_list_cost: Cap }).meta({ id: 'BudgetParam' })
export type BudgetParam = z.infer<typeof BudgetParam>

export const Budget = z
  .object({
    type: z.literal('limit'),
    max_list_cost: Money,
    spent: Money.describe('So far, whole cents, rounded up'),
  })
  .meta({ id: 'Budget' })
export type Budget = z.infer<typeof Budget>
