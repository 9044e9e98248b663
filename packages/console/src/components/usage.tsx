import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { UsageRow, UsageTotals } from '@troupe/protocol/usage-report'
import { count, money } from '../lib/format.ts'
import { USAGE_DAYS, usageQuery } from '../lib/queries.ts'
import { tokensOf } from '../lib/tokens.ts'
import { useSpeech } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'

const GROUPS = ['day', 'model', 'agent', 'session', 'api_key'] as const
type Group = (typeof GROUPS)[number]
type Measure = 'cost' | 'tokens'

const valueOf = (sums: UsageRow | UsageTotals, measure: Measure): number =>
  measure === 'cost' ? sums.cost_usd : tokensOf(sums)

/** Cost and tokens as bars: the newest days in their order, of everything else the largest. Nothing at all where the server keeps no such report. */
export default function Usage() {
  const { words, language } = useSpeech()
  const [group, setGroup] = useState<Group>('day')
  const [measure, setMeasure] = useState<Measure>('cost')
  const { data, error, isPending, refetch } = useQuery(usageQuery(group))
  if (data === null) return null
  const all = (data?.rows ?? []).map((row) => ({ name: row.group[group] ?? '–', value: valueOf(row, measure) }))
  const rows = group === 'day' ? all.toReversed() : all.toSorted((a, b) => b.value - a.value).slice(0, USAGE_DAYS)
  const most = Math.max(...rows.map(({ value }) => value), 1e-9)
  const shown = (value: number) => (measure === 'cost' ? money(value, language) : count(value, language))
  return (
    <section className="stack" aria-labelledby="usage">
      <div className="toolbar">
        <h2 id="usage" className="grow">
          {words.usage.title}
        </h2>
        {data && <span className="soft small">{words.usage.total(shown(valueOf(data.totals, measure)))}</span>}
        <select
          aria-label={words.usage.measure}
          value={measure}
          onChange={(event) => setMeasure(event.target.value as Measure)}
        >
          <option value="cost">{words.usage.cost}</option>
          <option value="tokens">{words.usage.tokens}</option>
        </select>
        <select aria-label={words.usage.by} value={group} onChange={(event) => setGroup(event.target.value as Group)}>
          {GROUPS.map((each) => (
            <option key={each} value={each}>
              {words.usage.groups[each]}
            </option>
          ))}
        </select>
      </div>
      {error && <Problem error={error} retry={() => void refetch()} />}
      {isPending && <ListSkeleton rows={3} />}
      {data && rows.length === 0 && <p className="empty">{words.usage.none}</p>}
      <ul className="chart">
        {rows.map(({ name, value }) => (
          <li key={name} className="bar">
            <span className="clip">{name}</span>
            <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
              <rect className="back" width="100" height="12" />
              <rect className="fore" width={(value / most) * 100} height="12" />
            </svg>
            <span className="num">{shown(value)}</span>
          </li>
        ))}
      </ul>
      {data && (data.more || (group !== 'day' && all.length > rows.length)) && (
        <p className="tiny faint">
          {group === 'day' ? words.usage.newest(rows.length) : words.usage.largest(rows.length)}
        </p>
      )}
    </section>
  )
}
