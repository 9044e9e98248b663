import { type CronFields, parseCron, parseFields } from '@troupe/protocol/cron'
import type { Words } from '../words/en.ts'

/** Times of a day that are named one by one, at most. */
const MOST_TIMES = 6

const sorted = (set: ReadonlySet<number>) => [...set].toSorted((a, b) => a - b)

/** `1–5` and `1, 3, 5`: runs of three and more as their ends. */
function ranges(numbers: readonly number[], name: (value: number) => string, list: Intl.ListFormat): string {
  const parts: string[] = []
  for (let from = 0; from < numbers.length;) {
    let to = from
    while (numbers[to + 1] === numbers[to]! + 1) to++
    if (to - from >= 2) parts.push(`${name(numbers[from]!)}–${name(numbers[to]!)}`)
    else for (let each = from; each <= to; each++) parts.push(name(numbers[each]!))
    from = to + 1
  }
  return list.format(parts)
}

/** By how much each follows the one before it, around the clock too; null where that differs. */
function stepOf(numbers: readonly number[], around: number): number | null {
  const step = numbers.length > 1 ? numbers[1]! - numbers[0]! : around
  return numbers[0]! < step &&
    numbers.every((each, at) => each === numbers[0]! + at * step) &&
    numbers.length * step === around
    ? step
    : null
}

function timeOf(
  { minutes, hours }: CronFields,
  words: Words['schedules']['cron'],
  language: string,
  list: Intl.ListFormat,
) {
  const [m, h] = [sorted(minutes), sorted(hours)]
  const plain = String
  const always = h.length === 24
  if (m.length === 60) return always ? words.everyMinute : words.minutesOf(words.everyMinute, ranges(h, plain, list))
  const step = stepOf(m, 60)
  const often = step !== null && m.length > 1 && m[0] === 0 ? words.everyMinutes(step) : null
  if (always) return often ?? words.atMinutes(ranges(m, plain, list))
  if (m.length * h.length <= MOST_TIMES) {
    const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' })
    return words.at(
      list.format(h.flatMap((hour) => m.map((minute) => clock.format(Date.UTC(2024, 0, 1, hour, minute))))),
    )
  }
  const hourly = stepOf(h, 24)
  if (hourly !== null && m.length === 1) return words.everyHours(hourly, m[0]!)
  return words.minutesOf(often ?? words.atMinutes(ranges(m, plain, list)), ranges(h, plain, list))
}

/** What an expression means, as a sentence. Throws `InvalidSchedule`. */
export function cronInWords(expression: string, { cron }: Words['schedules'], language: string): string {
  const fields = parseFields(expression)
  const list = new Intl.ListFormat(language, { style: 'short' })
  // The first of January 2023 was a Sunday.
  const weekday = (day: number) =>
    new Intl.DateTimeFormat(language, { weekday: 'short', timeZone: 'UTC' }).format(Date.UTC(2023, 0, 1 + day))
  const month = (value: number) =>
    new Intl.DateTimeFormat(language, { month: 'short', timeZone: 'UTC' }).format(Date.UTC(2023, value - 1, 1))
  const anyDate = fields.days.size === 31
  const anyWeekday = fields.weekdays.size === 7
  const dates = cron.dates(ranges(sorted(fields.days), String, list))
  const weekdays = cron.weekdays(ranges(sorted(fields.weekdays), weekday, list))
  const days =
    anyDate && anyWeekday
      ? cron.everyDay
      : fields.eitherDay
        ? cron.either(dates, weekdays)
        : anyDate
          ? weekdays
          : anyWeekday
            ? dates
            : cron.both(dates, weekdays)
  const months = fields.months.size === 12 ? '' : cron.months(ranges(sorted(fields.months), month, list))
  return cron.sentence(timeOf(fields, cron, language, list), days, months)
}

/** The next ticks, in ms. Throws `InvalidSchedule`. */
export function nextTicks(expression: string, timezone: string, after: number, count: number): number[] {
  const cron = parseCron(expression, timezone)
  const ticks: number[] = []
  for (let at = cron.next(after); at !== null && ticks.length < count; at = cron.next(at)) ticks.push(at)
  return ticks
}

/** A minute as the clocks of a zone show it. */
export const inZone = (at: number, timezone: string, language: string): string =>
  new Intl.DateTimeFormat(language, {
    weekday: 'short',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: timezone,
  }).format(at)
