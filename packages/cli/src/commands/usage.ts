import type { UsageReport, UsageRow } from '@troupe/protocol/usage-report'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs, readArgs } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { type Cell, table } from '../table.ts'
import { money, tokens } from '../words.ts'

const args = {
  by: {
    type: 'string',
    valueHint: 'day|model|agent|…',
    description: 'Group by day, model, agent, api_key, session, turn or metadata.KEY; comma separated; default day',
  },
  since: { type: 'string', valueHint: 'time', description: 'From this day or time on, such as 2026-11-01' },
  until: { type: 'string', valueHint: 'time', description: 'Before this day or time' },
  session: { type: 'string', valueHint: 'id', description: 'Only this session; a deleted one too' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }) {
    const { values } = readArgs(rawArgs, args)
    const groups = (values.get('by') ?? ['day']).flatMap((text) => text.split(','))
    const report = await clientOf(given).usage({
      group_by: groups,
      created_at: { ...timeOf('gte', '--since', given.since), ...timeOf('lt', '--until', given.until) },
      session_id: given.session,
    })
    if (given.json) printJson(report)
    else process.stdout.write(`${usageTable(report, groups).join('\n')}\n`)
    return EXIT.done
  },
})

function timeOf(bound: 'gte' | 'lt', flag: string, text: string | undefined) {
  if (text === undefined) return {}
  const at = new Date(text)
  if (Number.isNaN(at.getTime()))
    throw new UsageError(`${flag} takes a day or a time, such as 2026-11-01; received "${text}".`)
  return { [bound]: at.toISOString() }
}

/** A line for each group, and one for all. Costs that are a guess, or not known, are marked. */
export function usageTable({ data, totals }: UsageReport, groups: string[]): string[] {
  const paint = paintFor(process.stdout)
  const right = (text: string): Cell => ({ text, align: 'right' })
  const sums = (row: UsageRow | UsageReport['totals']): Cell[] => [
    right(String(row.turns)),
    right(String(row.model_requests)),
    right(tokens(row)),
    right(row.cache_hit_ratio === null ? '–' : `${Math.round(row.cache_hit_ratio * 100)} %`),
    right(money(row.cost_usd) + (row.guessed_cost_usd > 0 ? ' ?' : '') + (row.unreported_requests > 0 ? ' +' : '')),
  ]
  const head = [...groups.map((name) => name.toUpperCase()), 'TURNS', 'REQUESTS', 'TOKENS', 'CACHED', 'COST'].map(
    (text, index): Cell => ({ text, paint: paint.dim, ...(index >= groups.length && { align: 'right' as const }) }),
  )
  const lines = data.map((row) => [
    ...groups.map((name): Cell => ({ text: cleanLine(row.group[name] ?? '–') })),
    ...sums(row),
  ])
  const all = [...groups.map((_, index): Cell => ({ text: index === 0 ? 'all' : '' })), ...sums(totals)]
  const notes = [
    ...(totals.guessed_cost_usd > 0 ? ['?  partly a guess: the agent knows no price for a model'] : []),
    ...(totals.unreported_requests > 0
      ? [`+  without what was lost with a killed agent: ${totals.unreported_requests} requests at most`]
      : []),
  ]
  return [...table([head, ...lines, all]), ...notes]
}
