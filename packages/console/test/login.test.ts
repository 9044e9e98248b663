import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, picture, seen, setStage, type Stage } from './support/browser.ts'

describe.skipIf(mustSkip)('a server that asks for keys', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ auth: 'on' })
  })
  afterAll(() => stage?.close())

  test('U19 the page asks for a key, works with it, keeps it from scripts, and forgets it when told to', async () => {
    const page = await stage.open('/')
    const form = page.locator('[data-form="login"]')
    await form.waitFor()
    await seen(page, 'login-en-light')
    await page.getByLabel('API key').fill('sk_troupe_wrong')
    await page.keyboard.press('Enter')
    await form.locator('[role="alert"]').waitFor()
    await page.getByLabel('API key').fill(stage.firstKey!)
    await page.keyboard.press('Enter')
    await form.waitFor({ state: 'detached' })
    const prompt = page.getByRole('textbox').first()
    await prompt.fill('Introduce yourself')
    await page.keyboard.press('Control+Enter')
    await page.locator('.now [data-state="done"]').waitFor()
    expect(await page.evaluate(() => document.cookie + JSON.stringify(localStorage))).not.toContain('troupe_session')
    expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain('sk_troupe_')
    await page.goto(`${stage.server.url}/settings`)
    await page.getByRole('button', { name: 'Log out' }).click()
    await form.waitFor()
    const japanese = await stage.open('/s/sesn_00000000000000000000000000', { locale: 'ja-JP' })
    await japanese.getByRole('heading', { name: 'ログイン' }).waitFor()
    await picture(japanese, 'login-ja-light')
    expect(stage.troubles).toEqual([])
  })
})
