import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe.skipIf(mustSkip)('the page of keys', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ auth: 'on' })
  })
  afterAll(() => stage?.close())

  const logIn = async (page: Page, key: string) => {
    await page.locator('[data-form="login"] input').fill(key)
    await page.keyboard.press('Enter')
    await page.locator('[data-form="login"]').waitFor({ state: 'detached' })
  }
  /** What the server answers to this key. */
  const status = async (key: string, method = 'GET', path = '/v1/sessions') =>
    (await fetch(stage.server.url + path, { method, headers: { 'x-api-key': key } })).status
  test('U24 a key is made, its secret shown once, rotated and revoked', async () => {
    const page = await stage.open('/keys')
    await logIn(page, stage.firstKey!)
    await page.getByRole('button', { name: 'Make a key' }).click()
    await page.getByLabel('Name').fill('Dashboard on the wall')
    await page.getByLabel('May').selectOption('look')
    await page.getByLabel('Lasts').selectOption('90')
    await seen(page, 'keys-form-en-light')
    await page.keyboard.press('Tab')
    await page.getByRole('dialog').getByRole('button', { name: 'Make a key' }).press('Enter')
    const secret = (await page.locator('[data-secret]').textContent())!
    await seen(page, 'keys-made-en-light')
    expect(await status(secret)).toBe(200)
    expect(await status(secret, 'POST')).toBe(403)

    await page.getByRole('button', { name: 'Rotate “Dashboard on the wall”' }).click()
    await page.getByLabel('The old secret stays good').selectOption('0')
    await page.getByRole('button', { name: 'Rotate', exact: true }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const second = (await page.locator('[data-secret]').textContent())!
    expect(second).not.toBe(secret)
    expect([await status(secret), await status(second)]).toEqual([401, 200])

    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.locator('[data-secret]').waitFor({ state: 'detached' })
    const kept = () => page.evaluate(() => document.documentElement.outerHTML + JSON.stringify({ ...localStorage }))
    expect(await kept()).not.toContain(second)
    await page.reload()
    const row = page.locator('tr', { hasText: 'Dashboard on the wall' })
    await row.waitFor()
    expect(await kept()).not.toContain(second)

    await row.getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('It ends at once').waitFor()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await row.waitFor({ state: 'detached' })
    expect(await status(second)).toBe(401)
    await page.getByLabel('Show revoked keys too').check()
    await row.getByText('revoked').waitFor()
    expect(stage.troubles).toEqual([])
  })

  test('U24 a page whose own key is revoked asks for another', async () => {
    const page = await stage.open('/keys', { locale: 'ja-JP', viewport: { width: 390, height: 844 } })
    await logIn(page, stage.firstKey!)
    await page.getByRole('button', { name: 'キーを作る' }).click()
    await page.getByLabel('名前').fill('携帯電話')
    await page.getByLabel('できること').selectOption('own')
    const boxes = page.locator('.scopes')
    for (const scope of ['sessions:read', 'sessions:write', 'approvals:write', 'agents:read', 'usage:read'])
      await boxes.getByText(scope, { exact: true }).click()
    await boxes.getByText('admin', { exact: true }).click()
    await seen(page, 'keys-form-ja-phone')
    await page.getByRole('dialog').getByRole('button', { name: 'キーを作る' }).click()
    const secret = (await page.locator('[data-secret]').textContent())!
    await seen(page, 'keys-made-ja-phone')

    const other = await stage.open('/keys')
    await logIn(other, secret)
    await other.getByRole('button', { name: 'Revoke “携帯電話”' }).click()
    await other.getByRole('button', { name: 'Revoke', exact: true }).click()
    await other.locator('[data-form="login"]').waitFor()
    expect(stage.troubles).toEqual([])
  })

  test('U25 a key that may not be given is refused in the form, which keeps what was written', async () => {
    const made = await fetch(`${stage.server.url}/v1/api_keys`, {
      method: 'POST',
      headers: { 'x-api-key': stage.firstKey!, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Administrator', scopes: ['admin'] }),
    })
    const { secret } = (await made.json()) as { secret: string }
    const theirs = await stage.open('/keys')
    await logIn(theirs, secret)
    await theirs.getByRole('button', { name: 'Make a key' }).click()
    await theirs.getByLabel('Name').fill('Too much')
    await theirs.getByLabel('May').selectOption('own')
    await theirs.locator('.scopes').getByText('operator', { exact: true }).click()
    await theirs.getByRole('dialog').getByRole('button', { name: 'Make a key' }).click()
    await theirs.getByRole('alert').getByText('Only a key with the scope operator may give operator.').waitFor()
    await seen(theirs, 'keys-refused-en-light')
    expect(await theirs.getByLabel('Name').inputValue()).toBe('Too much')
    await theirs.locator('.scopes').getByText('operator', { exact: true }).click()
    await theirs.getByRole('dialog').getByRole('button', { name: 'Make a key' }).click()
    await theirs.locator('[data-secret]').waitFor()
  })
})
