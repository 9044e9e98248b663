import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes } from '../src/lib/format.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe('sizes', () => {
  test('U33 are written in the largest unit that fits, as the language does', () => {
    expect([0, 999, 1_500, 2_340_000, 500 * 1024 * 1024].map((size) => bytes(size, 'en'))).toEqual([
      '0 bytes',
      '999 bytes',
      '1.5 kB',
      '2.3 MB',
      '524.3 MB',
    ])
  })
})

describe.skipIf(mustSkip)('the page of files', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.close())

  const files = async () => (await stage.server.get<{ data: { id: string; filename: string }[] }>('/v1/files')).data

  test('U33 files are uploaded with their progress, stopped, downloaded, and deleted by a second press', async () => {
    const page = await stage.open('/files')
    await page.getByText('No file yet.').waitFor()
    const input = page.locator('[data-files]')
    await input.setInputFiles([
      { name: 'notes 日本.txt', mimeType: 'text/plain', buffer: Buffer.from('To be kept') },
      { name: 'table.csv', mimeType: 'text/csv', buffer: Buffer.alloc(2_340_000, 'a,b\n') },
    ])
    const row = page.locator('tr', { hasText: 'notes 日本.txt' })
    await row.getByText('10 bytes').waitFor()
    await page.locator('tr', { hasText: 'table.csv' }).getByText('2.3 MB').waitFor()
    await page.locator('.sending').first().waitFor({ state: 'detached' })

    const coming = page.waitForEvent('download')
    await row.getByRole('link').click()
    const download = await coming
    expect(download.suggestedFilename()).toBe('notes 日本.txt')
    expect(readFileSync((await download.path())!, 'utf8')).toBe('To be kept')

    // Nothing of a name that is refused, and the reason where the file was.
    await input.setInputFiles({ name: 'x'.repeat(300), mimeType: 'text/plain', buffer: Buffer.from('x') })
    await page.locator('.sending').getByText('300 characters').waitFor()
    expect(await page.locator('#content').evaluate((main) => main.scrollWidth - main.clientWidth)).toBe(0)
    await seen(page, 'files-refused-en-light')
    await page.locator('.sending').getByRole('button', { name: 'Close' }).click()

    // A connection that lets nothing through: how far it is stands there, and it can be given up.
    // It stays so: a browser that is let go lets go of what it held back, though it was given up.
    await page.route('**/v1/files', (route) => (route.request().method() === 'POST' ? undefined : route.continue()))
    await input.setInputFiles({ name: 'slow.bin', mimeType: 'application/x', buffer: Buffer.alloc(4_000) })
    await page.getByRole('progressbar', { name: 'slow.bin' }).waitFor()
    await page.locator('.sending').getByRole('button', { name: 'Cancel' }).click()
    await page.locator('.sending').waitFor({ state: 'detached' })
    expect((await files()).map(({ filename }) => filename).toSorted()).toEqual(['notes 日本.txt', 'table.csv'])

    const phone = await stage.open('/files', {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.locator('tr', { hasText: 'table.csv' }).waitFor()
    await seen(phone, 'files-ja-dark-phone')
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)

    const button = row.getByRole('button')
    await button.click()
    await row.getByRole('button', { name: 'Sure? Delete: notes 日本.txt' }).waitFor()
    await page.getByRole('heading', { name: 'Files' }).click()
    await row.getByRole('button', { name: 'Delete: notes 日本.txt', exact: true }).waitFor()
    expect(await files()).toHaveLength(2)
    await seen(page, 'files-en-light')
    await button.click()
    await button.click()
    await row.waitFor({ state: 'detached' })
    expect(await files()).toHaveLength(1)
    expect(stage.troubles).toEqual([])
  })

  test('U39 files are given to a session when it starts, and what its agent left is listed with it', async () => {
    const page = await stage.open('/files')
    await page.locator('[data-files]').setInputFiles({
      name: 'given.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('Seen by the agent'),
    })
    await page.locator('tr', { hasText: 'given.txt' }).waitFor()
    await page.getByRole('link', { name: 'Sessions' }).click()
    await page.getByRole('button', { name: 'Options' }).click()
    await page.getByLabel('given.txt').check()
    await page.getByLabel('Tools that run without asking').fill('Bash')
    await seen(page, 'home-files-en-light')
    const command = 'mkdir outputs && cp uploads/given.txt outputs/left.txt'
    const script = JSON.stringify([{ tools: [{ name: 'Bash', input: { command } }] }, { say: 'done' }])
    await page.getByLabel('Task for the agent').fill(`Copy it\n\`\`\`script\n${script}\n\`\`\``)
    await page.getByLabel('Task for the agent').press('Control+Enter')
    await page.waitForURL(/\/s\/sesn_/)
    await page.locator('.now [data-state="done"]').waitFor()
    if ((await page.locator('.inspector').count()) === 0) await page.getByRole('button', { name: 'Inspector' }).click()
    const coming = page.waitForEvent('download')
    await page.locator('[data-left] a', { hasText: 'left.txt' }).click()
    expect(readFileSync((await (await coming).path())!, 'utf8')).toBe('Seen by the agent')
    await page.locator('.inspector').getByText('uploads/given.txt', { exact: true }).waitFor()
    await seen(page, 'session-files-en-light')
    await page.getByRole('link', { name: 'Files' }).click()
    const left = page.locator('tr', { hasText: 'left.txt' })
    await left.getByRole('link', { name: 'left by a session' }).click()
    await page.waitForURL(/\/s\/sesn_/)
    expect(stage.troubles).toEqual([])
  })
})
