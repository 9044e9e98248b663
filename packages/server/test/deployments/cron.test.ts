import { describe, expect, test } from 'vitest'
import { parseCron } from '../../src/deployments/cron.ts'

/** The next ticks after a time, as UTC. */
const ticks = (expression: string, timezone: string, after: string, count: number): string[] => {
  const cron = parseCron(expression, timezone)
  const found: string[] = []
  for (let at = cron.next(Date.parse(after)); at !== null && found.length < count; at = cron.next(at))
    found.push(new Date(at).toISOString().slice(0, 16))
  return found
}

describe('five fields in a time zone', () => {
  test('DE1 a schedule fires at the minutes that its fields name, in its time zone', () => {
    expect(ticks('0 9 * * 1-5', 'Europe/Berlin', '2026-11-20T12:00:00Z', 2)).toEqual([
      '2026-11-23T08:00',
      '2026-11-24T08:00',
    ])
    expect(ticks('*/20 0,23 * * *', 'UTC', '2026-12-31T23:30:30Z', 3)).toEqual([
      '2026-12-31T23:40',
      '2027-01-01T00:00',
      '2027-01-01T00:20',
    ])
    expect(ticks('30 4 1,15 * 5', 'UTC', '2026-01-01T05:00:00Z', 3)).toEqual([
      '2026-01-02T04:30',
      '2026-01-09T04:30',
      '2026-01-15T04:30',
    ])
    expect(ticks('0 0 29 2 *', 'UTC', '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T00:00'])
    expect(ticks('0 12 * * 7', 'Asia/Kolkata', '2026-11-20T12:00:00Z', 1)).toEqual(['2026-11-22T06:30'])
    expect(ticks('5/30 8 31 * *', 'UTC', '2026-02-01T00:00:00Z', 3)).toEqual([
      '2026-03-31T08:05',
      '2026-03-31T08:35',
      '2026-05-31T08:05',
    ])
  })

  test('DE2 a time that clocks leave out is not run, one that they show twice is run once, or twice where every hour is meant', () => {
    // Berlin, 2026: forward on 29 March at 2:00, back on 25 October at 3:00.
    expect(ticks('30 2 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z', 3)).toEqual([
      '2026-03-28T01:30',
      '2026-03-30T00:30',
      '2026-03-31T00:30',
    ])
    expect(ticks('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ])
    expect(ticks('30 * * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', 3)).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T01:30',
      '2026-10-25T02:30',
    ])
    // Lord Howe: half an hour, back on 5 April 2026 at 2:00, forward on 4 October at 2:00.
    expect(ticks('45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00:00Z', 2)).toEqual([
      '2026-04-04T14:45',
      '2026-04-05T15:15',
    ])
    expect(ticks('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T20:00:00Z', 1)).toEqual(['2026-10-04T15:15'])
    // Where clocks change at midnight, the day begins at one.
    expect(ticks('0 1 * * *', 'Africa/Cairo', '2026-04-23T12:00:00Z', 2)).toEqual([
      '2026-04-23T22:00',
      '2026-04-24T22:00',
    ])
  })

  test('DE3 what is not five POSIX fields, or no time zone, or never comes, is refused', () => {
    for (const wrong of [
      '* * * *',
      '* * * * * *',
      '@daily',
      '60 * * * *',
      '* 24 * * *',
      '* * 0 * *',
      '* * * 13 *',
      '* * * * 8',
      '5-1 * * * *',
      '*/0 * * * *',
      '* * L * *',
      '* * ? * *',
      '* * * * MON',
      '0 0 30 2 *',
      '0 0 31 4,6 *',
    ])
      expect(() => parseCron(wrong, 'UTC'), wrong).toThrow(/expression/)
    for (const wrong of ['Mars/Olympus', '+01:00', '', 'Europe/Berlin; drop'])
      expect(() => parseCron('* * * * *', wrong), wrong).toThrow(/timezone/)
  })

  test('DE4 the latest of many missed ticks is found, however long nobody was there', () => {
    const latest = (expression: string, from: string, upTo: string) =>
      new Date(parseCron(expression, 'Europe/Berlin').latest(Date.parse(from), Date.parse(upTo))).toISOString()
    expect(latest('* * * * *', '2024-01-01T00:00:00Z', '2026-01-01T00:00:30Z')).toBe('2026-01-01T00:00:00.000Z')
    expect(latest('0 9 * * *', '2026-01-01T08:00:00Z', '2026-01-03T07:59:59Z')).toBe('2026-01-02T08:00:00.000Z')
    expect(latest('0 9 * * *', '2026-01-01T08:00:00Z', '2026-01-01T08:00:00Z')).toBe('2026-01-01T08:00:00.000Z')
    expect(latest('0 0 29 2 *', '2024-02-28T23:00:00Z', '2030-01-01T00:00:00Z')).toBe('2028-02-28T23:00:00.000Z')
  })
})
