import { z } from 'zod'
import { oneOrMany, PageQuery } from './session.ts'

const Group = z
  .string()
  .regex(
    /^(day|model|agent|api_key|session|turn|metadata\..{1,64})$/,
    'must be day, model, agent, api_key, session, turn or metadata.<key>',
  )

const time = z.iso.datetime({ offset: true }).optional()

export const UsageQuery = PageQuery.extend({
  'group_by[]': oneOrMany(Group).describe('Up to four, in the order of the keys; none: one row'),
  group_by: oneOrMany(Group).describe('The same'),
  'created_at[gt]': time,
  'created_at[gte]': time,
  'created_at[lt]': time,
  'created_at[lte]': time,
  agent_id: z.string().max(128).optional(),
  session_id: z.string().max(128).optional().describe('`sesn_…` or the UUID; a deleted one too'),
})
export type UsageQuery = z.infer<typeof UsageQuery>

const Sums = {
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  cache_read_input_tokens: z.number().int(),
  cache_creation_input_tokens: z.number().int(),
  cache_creation: z.object({
    ephemeral_1h_input_tokens: z.number().int(),
    ephemeral_5m_input_tokens: z.number().int(),
  }),
  cost_usd: z.number(),
  list_cost: z.object({ amount: z.string(), currency: z.literal('USD') }),
  guessed_cost_usd: z
    .number()
    .describe('The part of `cost_usd` that is a guess, because no price of the model is known'),
  turns: z.number().int(),
  model_requests: z.number().int(),
  unreported_requests: z
    .number()
    .int()
    .describe('Of `model_requests`, those whose usage was lost with a killed agent, at most'),
  cache_hit_ratio: z
    .number()
    .nullable()
    .describe('Share of the input that was read from the prompt cache; null: no input'),
}

/** One group of the report. */
export const UsageRow = z
  .object({
    type: z.literal('usage_row'),
    group: z
      .record(z.string(), z.string().nullable())
      .describe('What the row is about, by the words of `group_by`; null: no such metadata'),
    ...Sums,
  })
  .meta({ id: 'UsageRow' })
export type UsageRow = z.infer<typeof UsageRow>

export const UsageTotals = z.object({ type: z.literal('usage_totals'), ...Sums }).meta({ id: 'UsageTotals' })
export type UsageTotals = z.infer<typeof UsageTotals>

export const UsageReport = z
  .object({
    data: z.array(UsageRow),
    totals: UsageTotals.describe('Over all rows, on every page'),
    next_page: z.string().nullable(),
    prev_page: z.null(),
  })
  .meta({ id: 'UsageReport' })
export type UsageReport = z.infer<typeof UsageReport>
