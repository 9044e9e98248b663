import type { Deployment } from '@troupe/protocol/deployment'
import type { Agent } from '@troupe/protocol/saved-agent'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cronInWords, nextTicks } from '../src/lib/cron-words.ts'
import { draftOfSchedule, promptOf, scheduleBody } from '../src/lib/schedule-draft.ts'
import { en } from '../src/words/en.ts'
import { ja } from '../src/words/ja.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe('a schedule in words', () => {
  test.each([
    ['* * * * *', 'Every minute, every day.', '毎日、毎分に始めます。'],
    ['*/15 * * * *', 'Every 15 minutes, every day.', '毎日、15 分ごとに始めます。'],
    ['0 * * * *', 'At minute 0 of each hour, every day.', '毎日、毎時 0 分に始めます。'],
    ['0 9 * * 1-5', 'At 09:00 AM, on Mon–Fri.', '毎週月–金曜日、09:00 に始めます。'],
    [
      '30 8,17 1,15 * *',
      'At 08:30 AM & 05:30 PM, on day 1 & 15 of the month.',
      '毎月 1、15 日、08:30、17:30 に始めます。',
    ],
    ['0 0 1 1 *', 'At 12:00 AM, on day 1 of the month, in Jan.', '毎月 1 日、00:00 に始めます(1月のみ)。'],
    ['0 12 13 * 5', 'At 12:00 PM, on day 13 of the month and on Fri.', '毎月 13 日と毎週金曜日、12:00 に始めます。'],
    ['5 */2 * * *', 'Every 2 hours at minute 5, every day.', '毎日、2 時間ごとの 5 分に始めます。'],
    ['*/10 9-17 * * *', 'Every 10 minutes, in the hours 9–17, every day.', '毎日、9–17 時台、10 分ごとに始めます。'],
    ['*/7 * * * *', 'At minute 0, 7, 14, 21, 28, 35, 42, 49, & 56 of each hour, every day.', null],
  ])('U31 %s is said as it is run, in both languages', (expression, english, japanese) => {
    expect(cronInWords(expression, en.schedules, 'en-US')).toBe(english)
    if (japanese !== null) expect(cronInWords(expression, ja.schedules, 'ja')).toBe(japanese)
  })

  test('U31 the next runs are those of the server, in the time zone of the schedule', () => {
    const after = Date.parse('2026-03-27T12:00:00Z')
    expect(nextTicks('30 2 * * *', 'Europe/Berlin', after, 3).map((at) => new Date(at).toISOString())).toEqual([
      '2026-03-28T01:30:00.000Z',
      // On the 29th the clocks leave that time out.
      '2026-03-30T00:30:00.000Z',
      '2026-03-31T00:30:00.000Z',
    ])
    expect(() => nextTicks('61 * * * *', 'UTC', after, 1)).toThrow('not within 0 to 59')
    expect(() => nextTicks('0 9 * * *', 'Mars/Olympus', after, 1)).toThrow('time zone')
  })

  test('U31 a change keeps the pinned version and what the form cannot show', () => {
    const base = {
      name: 'Night',
      agent: { type: 'agent', id: 'agent_1', version: 2 },
      initial_events: [
        { type: 'user.message', content: [{ type: 'text', text: 'one' }] },
        { type: 'user.message', content: [{ type: 'text', text: 'two' }] },
      ],
      schedule: null,
      environment_id: 'env_default',
      budget: null,
      cwd: null,
    } as unknown as Deployment
    expect(promptOf(base)).toBeNull()
    expect(scheduleBody(draftOfSchedule(base), base)).toEqual({ name: 'Night', schedule: null })
    const single = { ...base, initial_events: base.initial_events.slice(0, 1) }
    expect(scheduleBody({ ...draftOfSchedule(single), newest: true }, single)).toEqual({
      name: 'Night',
      agent: 'agent_1',
      initial_events: [{ type: 'user.message', content: 'one' }],
      schedule: null,
    })
  })
})

describe.skipIf(mustSkip)('the page of schedules', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.close())

  const schedules = async () =>
    (await stage.server.get<{ data: Deployment[] }>('/v1/deployments?include_archived=true')).data

  test('U32 a schedule is made, run by hand, paused, changed and archived', async () => {
    await stage.server.post<Agent>('/v1/agents', { name: 'Reporter', system: 'You report.' })
    const page = await stage.open('/schedules', { timezoneId: 'Asia/Tokyo' })
    await page.getByRole('button', { name: 'New schedule' }).click()
    const form = page.getByRole('dialog')
    await form.getByLabel('Name').fill('Morning report')
    await form.getByLabel('Agent').selectOption('Reporter')
    await form.getByLabel('Prompt of each session').fill('Introduce yourself')
    expect(await form.getByLabel('Time zone').inputValue()).toBe('Asia/Tokyo')
    await form.getByLabel('When (cron)').fill('0 9 * *')
    await form.getByText('This is no cron expression yet').waitFor()
    expect(await form.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
    await form.getByLabel('When (cron)').fill('0 9 * * 1-5')
    await form.getByLabel('Time zone').fill('Europe/Berlin')
    await form.getByText('At 09:00 AM, on Mon–Fri.').waitFor()
    expect(await form.locator('.cron-preview tbody tr').count()).toBe(5)
    expect(await form.locator('.cron-preview').innerText()).toMatch(/09:00 AM\s.*0[45]:00 PM/)
    await form.getByLabel('What was missed').selectOption('skip')
    await seen(page, 'schedules-form-en-light')
    await form.getByRole('button', { name: 'Save' }).click()
    await form.waitFor({ state: 'detached' })

    const card = page.locator('[data-schedule]')
    await card.getByText('At 09:00 AM, on Mon–Fri.').waitFor()
    expect(await schedules()).toMatchObject([
      { name: 'Morning report', schedule: { timezone: 'Europe/Berlin', missed: 'skip' }, agent: { version: 1 } },
    ])
    await card.getByRole('button', { name: 'Run now' }).click()
    await card.locator('[data-run]').getByText('started').waitFor()
    const session = await card.locator('[data-run] a').getAttribute('href')
    await stage.server.idle(session!.split('/').at(-1)!)

    await card.getByRole('button', { name: 'Pause' }).click()
    await card.getByText('paused', { exact: true }).waitFor()
    await card.getByRole('button', { name: 'Go on' }).click()
    await card.getByText('active', { exact: true }).waitFor()
    await card.getByRole('button', { name: 'Edit' }).click()
    await form.getByLabel('When (cron)').fill('*/15 * * * *')
    await form.getByRole('button', { name: 'Save' }).click()
    await card.getByText('Every 15 minutes, every day.').waitFor()
    await seen(page, 'schedules-en-light')

    const phone = await stage.open('/schedules', {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.getByRole('button', { name: '実行の記録' }).click()
    await phone.locator('[data-run]').waitFor()
    await seen(phone, 'schedules-ja-dark-phone')
    await phone.getByRole('button', { name: '編集' }).click()
    await phone.locator('[data-cron-words]').getByText('毎日、15 分ごとに始めます。').waitFor()
    await seen(phone, 'schedules-form-ja-dark-phone')
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)

    await card.getByRole('button', { name: 'Archive' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click()
    await page.getByText('No schedule yet.').waitFor()
    await page.getByLabel('Show archived schedules too').check()
    await card.getByText('Archived', { exact: true }).waitFor()
    expect(stage.troubles).toEqual([])
  })
})
