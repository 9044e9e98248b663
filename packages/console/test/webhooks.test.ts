import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Receiver, receiver } from '../../server/test/support/receiver.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe.skipIf(mustSkip)('the page of webhooks', () => {
  let stage: Stage
  let hooks: Receiver
  beforeAll(async () => {
    stage = await setStage({ webhook_allow_private: true })
    hooks = await receiver()
  })
  afterAll(async () => {
    await stage?.close()
    await hooks?.close()
  })

  test('U26 an endpoint is added, tried, told of a session, sent to again, disabled and deleted', async () => {
    const page = await stage.open('/webhooks')
    await page.getByRole('button', { name: 'Add an endpoint' }).click()
    const form = page.getByRole('dialog')
    await form.getByLabel('Address').fill(`${hooks.url}/in`)
    await form.getByLabel('Events').fill('no_such_event')
    await form.getByRole('button', { name: 'Add an endpoint' }).click()
    await form.getByRole('alert').waitFor()
    await seen(page, 'webhooks-refused-en-light')
    await form.getByLabel('Events').fill('session.status_idle, turn.*')
    await form.getByLabel('Description').fill('The room of the night shift')
    await form.getByRole('button', { name: 'Add an endpoint' }).click()
    expect(await page.locator('[data-secret]').textContent()).toMatch(/^whsec_/)
    await page.getByRole('button', { name: 'I have kept it' }).click()

    await page.getByRole('button', { name: 'Send a test' }).click()
    const sent = page.locator('.deliveries > li')
    await sent.filter({ hasText: 'webhook.test' }).getByText('delivered').waitFor()
    expect((await hooks.until(1))[0]!.payload.data.type).toBe('webhook.test')

    let well = false
    hooks.answer = ({ payload }, response) => {
      const code = payload.data.type === 'session.status_idle' && !well ? 500 : 200
      response.writeHead(code).end(code === 500 ? '<b>Not now</b>' : 'ok')
    }
    const session = await stage.server.create('Introduce yourself')
    await stage.server.idle(session.id)
    const idle = sent.filter({ hasText: 'session.status_idle' })
    await idle.getByText('waiting').waitFor()
    await idle.locator('summary').click()
    await idle.getByText('500').first().waitFor()
    // What a receiver answers is text.
    expect(await idle.locator('.answer').textContent()).toBe('<b>Not now</b>')
    await seen(page, 'webhooks-en-light')
    well = true
    await idle.getByRole('button', { name: 'Send again' }).click()
    await idle.getByText('delivered').waitFor()
    expect(await idle.getByRole('link').getAttribute('href')).toBe(`/s/${session.id}`)

    const phone = await stage.open('/webhooks', {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.getByRole('button', { name: '送信の記録' }).click()
    await phone.locator('.deliveries summary').first().click()
    await seen(phone, 'webhooks-ja-dark-phone')
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)

    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByText('disabled', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('No endpoint yet.').waitFor()
    expect(stage.troubles).toEqual([])
  })
})
