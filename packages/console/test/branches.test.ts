import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

const PROMPT = 'Write and run a small program'

describe.skipIf(mustSkip)('branches in the session page', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.close())

  test('U27 a session is taken out, forked before a message, and set back after it was said what that changes', async () => {
    const session = await stage.server.create(PROMPT, {
      agent: { type: 'inline', allowed_tools: ['Bash', 'Write'] },
    })
    await stage.server.idle(session.id)
    const written = () => (existsSync(session.cwd) ? readdirSync(session.cwd) : [])
    const files = written()
    expect(files.length).toBeGreaterThan(0)

    const page = await stage.open(`/s/${session.id}`)
    await page.locator('.now [data-state="done"]').waitFor()
    await page.getByRole('button', { name: 'Inspector' }).click()
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Markdown' }).click()
    expect((await download).suggestedFilename()).toMatch(/\.md$/)
    await seen(page, 'branches-en-light')

    await page.getByRole('button', { name: 'Fork' }).click()
    await page.getByLabel('It goes on from').selectOption({ label: `Before “${PROMPT}”` })
    await seen(page, 'fork-en-light')
    await page.getByRole('dialog').getByRole('button', { name: 'Fork' }).click()
    await page.waitForURL((url) => url.pathname.startsWith('/s/') && !url.pathname.endsWith(session.id))
    expect(written()).toEqual(files)

    const phone = await stage.open(`/s/${session.id}`, {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.locator('.now [data-state="done"]').waitFor()
    await phone.getByRole('button', { name: '詳細' }).click()
    await phone.getByRole('button', { name: '巻き戻し' }).click()
    const dialog = phone.getByRole('dialog')
    await dialog.getByText('エージェントは 1 ターン分を忘れます。').waitFor()
    await dialog.getByText(files[0]!).first().waitFor()
    await seen(phone, 'rewind-ja-dark-phone')
    expect(written()).toEqual(files)
    await dialog.getByRole('button', { name: '巻き戻し' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(written()).toEqual([])
    expect(stage.troubles).toEqual([])
  })
})
