import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, picture, setStage, type Stage } from './support/browser.ts'

/** Each page in each look: no violation of WCAG 2.2 AA that axe can find, and a picture in artifacts/console. */
const LOOKS = [
  { name: 'en-light', locale: 'en-US', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { name: 'ja-light', locale: 'ja-JP', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { name: 'en-dark', locale: 'en-US', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  { name: 'ja-phone', locale: 'ja-JP', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const

describe.skipIf(mustSkip)('every page', () => {
  let stage: Stage
  const paths: Record<string, string> = {
    home: '/',
    approvals: '/approvals',
    overview: '/overview',
    agents: '/agents',
    agent: '/agents/new',
    skills: '/skills',
    environments: '/environments',
    schedules: '/schedules',
    files: '/files',
    audit: '/audit',
    keys: '/keys',
    webhooks: '/webhooks',
    settings: '/settings',
  }
  beforeAll(async () => {
    stage = await setStage()
    const allowed = { agent: { type: 'inline', allowed_tools: ['Bash', 'Write'] } }
    const done = await stage.server.create('Write and run a small program', allowed)
    const asks = await stage.server.create('小さなプログラムを書いて実行して', { approvals: { timeout_seconds: 3600 } })
    const question = await stage.server.create('Ask me a question')
    await Promise.all([done, asks, question].map(({ id }) => stage.server.idle(id)))
    Object.assign(paths, { session: `/s/${done.id}`, waiting: `/s/${asks.id}`, question: `/s/${question.id}` })
    Object.assign(paths, { gone: '/s/sesn_00000000000000000000000000', nowhere: '/nothing/here' })
  })
  afterAll(() => stage?.close())

  test.each(LOOKS)('U16 can be used by everyone: $name', async ({ name, ...look }) => {
    const found: string[] = []
    for (const [route, path] of Object.entries(paths)) {
      const page = await stage.open(path, look)
      await page.locator('#content').waitFor()
      if (route === 'waiting' || route === 'question') await page.locator('[data-approval]').waitFor()
      if (route === 'session') {
        await page.locator('.now [data-state="done"]').waitFor()
        for (const summary of await page.locator('.tool > summary').all()) await summary.click()
        // The colours of code come after it, and axe looks at them too.
        await page.locator('.diff [class^="code-"]').first().waitFor()
      }
      await page.waitForFunction(() => !document.querySelector('.skeleton'))
      expect(await page.evaluate(() => document.documentElement.lang)).toBe(look.locale.slice(0, 2))
      expect(
        await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
        `${route} is as wide as its window`,
      ).toBe(0)
      await picture(page, `${route}-${name}`)
      const { violations } = await new AxeBuilder({ page }).analyze()
      found.push(
        ...violations.map(
          ({ id, nodes }) => `${route}: ${id} ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
        ),
      )
      await page.context().close()
    }
    expect(found).toEqual([])
    expect(stage.troubles).toEqual([])
  })

  test('U52 a session that is not there says so and nothing else; the audit log leads to those that are', async () => {
    const page = await stage.open(paths.gone!)
    await page.getByText('This session was deleted or never existed.').waitFor()
    expect(await page.locator('#content header').innerText()).toBe('Session')
    await page.goto(`${stage.server.url}/audit`)
    await page.locator('[data-audit="session.created"] a').first().click()
    await page.waitForURL('**/s/sesn_*')
    await page.locator('#content header .status').waitFor()
  })

  test('U17 the language and the colours that were chosen are remembered', async () => {
    const page = await stage.open('/settings')
    await page.getByLabel('Theme').selectOption('dark')
    await page.getByRole('main').getByLabel('Language').selectOption('ja')
    await page.getByRole('heading', { name: '設定' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: '設定' }).waitFor()
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark')
  })

  test('U17 the palette and the keys lead everywhere', async () => {
    const page = await stage.open('/settings')
    await page.locator('h1').waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('overv')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/overview')
    await page.keyboard.press('g')
    await page.keyboard.press('a')
    await page.waitForURL('**/approvals')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })
})
