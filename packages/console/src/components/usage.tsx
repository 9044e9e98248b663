import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { fieldsOf } from '../lib/fields.ts'
import { count, money } from '../lib/format.ts'
import { usageQuery } from '../lib/queries.ts'
import type { Report } from '../lib/api.ts'
import { useSpeech } from '../words/use-words.tsx'

const GROUPS = ['day', 'model', 'agent', 'session'] as const
type Group = (typeof GROUPS)[number]
/** Bars shown; the rest is summed by nobody, since the API has the whole. */
const MOST = 31

const numberOf = (report: Report, ...names: string[]): number =>
  names.reduce((sum, name) => sum + (Number(report[name]) || 0), 0)
const nameOf = (report: Report, group: Group): string => String(fieldsOf(report.group)[group] ?? '–')

/** Cost and tokens as bars. Nothing at all where the server keeps no such report. */
export default function Usage() {
  const { words, language } = useSpeech()
  const [group, setGroup] = useState<Group>('day')
  const [measure, setMeasure] = useState<'cost' | 'tokens'>('cost')
  const { data } = useQuery(usageQuery(group))
  if (!data) return null
  const rows = data.data.slice(0, MOST).map((report) => ({
    name: nameOf(report, group),
    value:
      measure === 'cost'
        ? numberOf(report, 'cost_usd')
        : numberOf(report, 'input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'),
  }))
  const most = Math.max(...rows.map(({ value }) => value), 1e-9)
  const shown = (value: number) => (measure === 'cost' ? money(value, language) : count(value, language))
  return (
    <section className="stack" aria-labelledby="usage">
      <div className="toolbar">
        <h2 id="usage" className="grow">
          {words.usage.title}
        </h2>
        <select
          aria-label={words.usage.measure}
          value={measure}
          onChange={(event) => setMeasure(event.target.value as 'cost')}
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
      {rows.length === 0 && <p className="empty">{words.usage.none}</p>}
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
    </section>
  )
}
