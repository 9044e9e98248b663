/** Why an expression or a time zone is none, in words for who wrote it. */
export class InvalidSchedule extends Error {
  readonly field: 'expression' | 'timezone'

  constructor(field: 'expression' | 'timezone', detail: string) {
    super(detail)
    this.field = field
  }
}

/** A schedule as it is looked up: the minutes of wall clocks in one time zone. */
export interface Cron {
  /** The first tick after `after`, in ms; null when there is none within nine years. */
  next(after: number): number | null
  /** The last tick that is not after `upTo`, and not before `from`, which is a tick. */
  latest(from: number, upTo: number): number
}

/** The minutes, hours and days that an expression names, each written out. */
export interface CronFields {
  minutes: Set<number>
  hours: Set<number>
  days: Set<number>
  months: Set<number>
  weekdays: Set<number>
  /** Both the day of the month and that of the week are named: either will do. */
  eitherDay: boolean
  /** The hour is `*` or `*\/n`: what is due by the hour is due in a repeated one too. */
  everyHour: boolean
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Between two 29ths of February there may be eight years. */
const HORIZON = 9 * 366 * DAY
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Five POSIX fields in an IANA time zone. The zones are those of the platform's ICU. Written here because every library for it
 * knows more than five fields and runs, where clocks go forward, at a time that was not asked for.
 *
 * A time that clocks leave out is not run that day. One that they show twice is run at its first, or at both where the
 * hour is `*`. Throws `InvalidSchedule`.
 */
export function parseCron(expression: string, timezone: string): Cron {
  const fields = parseFields(expression)
  const wall = wallClock(timezone)
  return {
    next: (after) => nextTick(fields, wall, after),
    latest(from, upTo) {
      for (const span of [HOUR, DAY, 8 * DAY, 32 * DAY, 367 * DAY, Infinity]) {
        let found = Math.max(from, upTo - span) - 1
        if (found + 1 > from) {
          const first = nextTick(fields, wall, found)
          if (first === null || first > upTo) continue
          found = first
        } else found = from
        for (;;) {
          const later = nextTick(fields, wall, found)
          if (later === null || later > upTo) return found
          found = later
        }
      }
      return from
    },
  }
}

/** The five fields of an expression. Throws `InvalidSchedule`. */
export function parseFields(expression: string): CronFields {
  const parts = expression.trim().split(/\s+/)
  if (parts.length !== 5)
    throw new InvalidSchedule('expression', 'five fields are needed: minute, hour, day of month, month, day of week')
  const [minute, hour, day, month, weekday] = parts as [string, string, string, string, string]
  const weekdays = parseField(weekday, 0, 7)
  if (weekdays.delete(7)) weekdays.add(0)
  const fields = {
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12),
    weekdays,
    eitherDay: !day.startsWith('*') && !weekday.startsWith('*'),
    everyHour: hour.startsWith('*'),
  }
  const first = Math.min(...fields.days)
  if (!fields.eitherDay && [...fields.months].every((each) => LONGEST[each - 1]! < first))
    throw new InvalidSchedule('expression', `no such month has a day ${first}: this would never run`)
  return fields
}

/** `*`, `5`, `1-5`, each with `/n`, and lists of them. */
function parseField(text: string, low: number, high: number): Set<number> {
  const found = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part)
    if (!match) throw new InvalidSchedule('expression', `${JSON.stringify(part)} is not a number, a range or *`)
    const [, star, from, to, step] = match
    const begin = star ? low : Number(from)
    const end = star ? high : to !== undefined ? Number(to) : step !== undefined ? high : begin
    const by = step === undefined ? 1 : Number(step)
    if (begin < low || end > high || begin > end || by < 1)
      throw new InvalidSchedule('expression', `${JSON.stringify(part)} is not within ${low} to ${high}`)
    for (let each = begin; each <= end; each += by) found.add(each)
  }
  return found
}

interface Wall {
  month: number
  day: number
  weekday: number
  hour: number
  minute: number
}

/** What the clocks of a zone show. Throws `InvalidSchedule` for what is no zone of the IANA database. */
function wallClock(timezone: string): (at: number) => Wall {
  let format: Intl.DateTimeFormat
  try {
    if (!/^[A-Za-z]/.test(timezone)) throw new RangeError()
    format = new Intl.DateTimeFormat('en-GB-u-ca-gregory-nu-latn', {
      timeZone: timezone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    })
  } catch {
    throw new InvalidSchedule('timezone', `${JSON.stringify(timezone)} is not a time zone like Europe/Berlin or UTC`)
  }
  return (at) => {
    const value: Record<string, number> = {}
    for (const { type, value: text } of format.formatToParts(at)) value[type] = Number(text)
    const { year, month, day, hour, minute } = value as Record<'year' | 'month' | 'day' | 'hour' | 'minute', number>
    return {
      month,
      day,
      weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay(),
      hour,
      minute,
    }
  }
}

const isDay = ({ days, weekdays, eitherDay }: CronFields, { day, weekday }: Wall) =>
  eitherDay ? days.has(day) || weekdays.has(weekday) : days.has(day) && weekdays.has(weekday)

function nextTick(fields: CronFields, wall: (at: number) => Wall, after: number): number | null {
  let at = Math.floor(after / MINUTE) * MINUTE + MINUTE
  for (const end = after + HORIZON; at < end;) {
    const now = wall(at)
    if (!fields.months.has(now.month)) {
      const days = LONGEST[now.month - 1]! - (now.month === 2 ? 1 : 0) - now.day
      at += toMidnight(wall, at, now, Math.max(0, days))
    } else if (!isDay(fields, now)) at += toMidnight(wall, at, now, 0)
    else if (!fields.hours.has(now.hour)) at += (60 - now.minute) * MINUTE
    else if (!fields.minutes.has(now.minute)) at += toNextMinute(fields, now)
    else if (!fields.everyHour && isRepeated(wall, at, now)) at += MINUTE
    else return at
  }
  return null
}

/** To the next minute that is named, or to the end of the hour. */
function toNextMinute({ minutes }: CronFields, { minute }: Wall): number {
  let next = minute + 1
  while (next < 60 && !minutes.has(next)) next++
  return (next - minute) * MINUTE
}

/**
 * To the midnight `days` days after the next one, or, where clocks change on the way, towards it: no further than they
 * can make too far. They change at quarters of hours.
 */
function toMidnight(wall: (at: number) => Wall, at: number, { hour, minute }: Wall, days: number): number {
  const left = DAY - (hour * 60 + minute) * MINUTE
  const then = wall(at + days * DAY + left)
  if (then.hour === 0 && then.minute === 0) return days * DAY + left
  if (days > 0) return days * DAY
  return left > 4 * HOUR ? left - 3 * HOUR : (15 - (minute % 15)) * MINUTE
}

/** Whether the clocks have shown this time before, an hour or half of one ago. */
function isRepeated(wall: (at: number) => Wall, at: number, { hour, minute, day }: Wall): boolean {
  return [30, 60].some((minutes) => {
    const before = wall(at - minutes * MINUTE)
    return before.hour === hour && before.minute === minute && before.day === day
  })
}
