import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe.skipIf(mustSkip)('the page of the audit log', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ auth: 'on' })
  })
  afterAll(() => stage?.close())

  const logIn = async (options: Parameters<Stage['open']>[1] = {}) => {
    const page = await stage.open('/audit', options)
    await page.locator('[data-form="login"] input').fill(stage.firstKey!)
    await page.keyboard.press('Enter')
    await page.locator('[data-form="login"]').waitFor({ state: 'detached' })
    return page
  }
  const send = (path: string, body: object, key = stage.firstKey!) =>
    fetch(stage.server.url + path, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  test('U40 who did what is found by what it is about, in words, and taken out', async () => {
    const made = await send('/v1/api_keys', { name: 'Night watch', scopes: ['sessions:read', 'agents:write'] })
    const { secret } = (await made.json()) as { secret: string }
    expect((await send('/v1/agents', { name: 'Reviewer' }, secret)).status).toBe(200)
    expect((await send('/v1/sessions', {}, secret)).status).toBe(403)
    const page = await logIn()
    const line = (action: string) => page.locator(`[data-audit="${action}"]`)
    await line('agent.created').getByText('Night watch').waitFor()
    await line('request.refused').getByText('Asked for what is not allowed').waitFor()
    await seen(page, 'audit-en-light')
    await page.getByLabel('About').selectOption('Keys')
    await line('agent.created').waitFor({ state: 'detached' })
    await line('api_key.created').first().waitFor()
    const coming = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download as a file' }).click()
    const text = readFileSync((await (await coming).path())!, 'utf8')
    expect(text).toContain('api_key.created')
    expect(text).not.toContain('agent.created')
    expect(text).not.toContain(secret)
    const phone = await logIn({ locale: 'ja-JP', colorScheme: 'dark', viewport: { width: 390, height: 844 } })
    await phone.getByText('エージェントを保存').waitFor()
    await seen(phone, 'audit-ja-dark-phone')
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(stage.troubles).toEqual([])
  })
})
