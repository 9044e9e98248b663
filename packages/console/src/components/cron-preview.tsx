import { InvalidSchedule } from '@troupe/protocol/cron'
import { cronInWords, inZone, nextTicks } from '../lib/cron-words.ts'
import { ownTimezone } from '../lib/schedule-draft.ts'
import { useSpeech } from '../words/use-words.tsx'

/** Whether there is anything to be said of it: an expression and a time zone that are one. */
export function cronProblem(expression: string, timezone: string): 'expression' | 'timezone' | null {
  try {
    nextTicks(expression, timezone, Date.now(), 1)
    return null
  } catch (error) {
    return error instanceof InvalidSchedule ? error.field : 'expression'
  }
}

/** What a schedule means, and its next five runs by its own clock and by its reader's. */
export function CronPreview({ expression, timezone }: { expression: string; timezone: string }) {
  const { words, language } = useSpeech()
  const wrong = cronProblem(expression, timezone)
  if (wrong !== null)
    return (
      <p className="tiny bad-text" role="alert">
        {words.schedules.wrong[wrong]}
      </p>
    )
  const own = ownTimezone()
  const ticks = nextTicks(expression, timezone, Date.now(), 5)
  const both = own !== timezone
  return (
    <div className="stack cron-preview">
      <p data-cron-words="">{cronInWords(expression, words.schedules, language)}</p>
      <table>
        <caption className="sr">{words.schedules.nextRuns}</caption>
        <thead>
          <tr>
            <th>{timezone}</th>
            {both && <th>{words.schedules.yours(own)}</th>}
          </tr>
        </thead>
        <tbody>
          {ticks.map((at) => (
            <tr key={at}>
              <td>{inZone(at, timezone, language)}</td>
              {both && <td className="soft">{inZone(at, own, language)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
