import type { Session } from '@troupe/protocol/session'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustSkip, setStage, type Stage } from './support/browser.ts'

/** The console in a real browser, before a real server with the genuine agent and the demo model. */
describe.skipIf(mustSkip)('in a browser', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.close())

  const allowed = { agent: { type: 'inline', allowed_tools: ['Bash', 'Write'] } }
  const create = (prompt: string, fields: object = {}) => stage.server.create(prompt, { ...fields })
  const session = (id: string) => stage.server.get<Session & Record<string, unknown>>(`/v1/sessions/${id}`)
  const idOf = (page: Page) => new URL(page.url()).pathname.split('/').at(-1)!
  const state = (page: Page, word: string) => page.locator(`.now [data-state="${word}"]`).waitFor()

  test('U9 a prompt and Ctrl+Enter start a session, and the page shows what it does until it is done', async () => {
    const page = await stage.open('/')
    await page.locator('[data-banner="demo"]').waitFor()
    await page.getByRole('button', { name: 'Options' }).click()
    await page.getByLabel('Tools that run without asking').fill('Write, Bash')
    await page.getByLabel('Task for the agent').fill('Write and run a small program')
    await page.getByLabel('Task for the agent').press('Control+Enter')
    await page.waitForURL(/\/s\/sesn_/)
    await state(page, 'done')
    expect(
      await page.locator('[data-tool]').evaluateAll((all) => all.map((each) => each.getAttribute('data-tool'))),
    ).toEqual(['Write', 'Bash'])
    await page.locator('[data-tool="Write"] summary').click()
    await page.locator('.diff .line.add').first().waitFor()
    await page.locator('[data-tool="Bash"] summary').click()
    expect(await page.locator('.terminal').innerText()).toContain('The first ten primes')
    expect((await session(idOf(page))).agent.allowed_tools).toEqual(['Write', 'Bash'])
  })

  test('U10 nothing is lost or repeated by a reload in mid-turn and by a restart of the server', async () => {
    const { id } = await create('Stream a long text slowly')
    const page = await stage.open(`/s/${id}`)
    await page.locator('.caret').waitFor()
    await page.reload()
    await state(page, 'done')
    const texts = () => page.locator('.rowbox').allInnerTexts()
    const before = await texts()
    expect(before.filter((text) => text.includes('They say the troupe never did find its author'))).toHaveLength(1)

    const { port } = new URL(stage.server.url)
    await stage.server.restart({ port: Number(port) })
    await stage.server.send(id, 'Please introduce yourself.')
    await page.getByText(/Caught up: \d+ event/).waitFor()
    await page.getByText('Please introduce yourself.').last().waitFor()
    await page.waitForFunction(() => document.querySelectorAll('.rowbox').length >= 4)
    await state(page, 'done')
    const after = await texts()
    expect(after.slice(0, before.length)).toEqual(before)
    expect(new Set(after).size).toBe(after.length)
  })

  test('U11 a call is allowed as it was edited, by keys alone', async () => {
    const { id } = await create('Write and run a small program')
    const page = await stage.open(`/s/${id}`)
    await page.locator('[data-approval]').getByText('Write this file?').waitFor()
    await page.waitForFunction(() => /^\(\d+\) /.test(document.title))
    await page.keyboard.press('a')
    await page.locator('[data-approval]').getByText('Run this command?').waitFor()
    await page.keyboard.press('e')
    const editor = page.locator('[data-approval] textarea')
    await editor.fill('echo edited by hand')
    await editor.press('Control+Enter')
    await state(page, 'done')
    expect(await page.locator('[data-approval]').count()).toBe(0)
    const results = (await stage.server.events(id)).filter(({ type }) => type === 'agent.tool_result')
    expect(JSON.stringify(results.at(-1)!.content)).toContain('edited by hand')
  })

  test('U11 a call is denied with a reason that the agent reads', async () => {
    const { id } = await create('Write a file')
    const page = await stage.open('/approvals')
    const card = page.locator('[data-approval]').filter({ hasText: 'in “Write a file”' })
    await card.getByRole('button', { name: 'Deny' }).click()
    await card.getByLabel('Reason').fill('not in this house')
    await card.getByLabel('Reason').press('Enter')
    await card.waitFor({ state: 'detached' })
    expect((await stage.server.idle(id)).result!.text).toContain('not in this house')
  })

  test('U11 a dangerous command is asked about twice', async () => {
    const script = JSON.stringify([
      { tools: [{ name: 'Bash', input: { command: 'rm -rf ./nothing' } }] },
      { say: 'ok' },
    ])
    const { id } = await create(`Remove\n\`\`\`script\n${script}\n\`\`\``)
    const page = await stage.open(`/s/${id}`)
    await page.locator('[data-approval]').waitFor()
    await page.keyboard.press('a')
    await page.getByRole('button', { name: 'Sure? Allow it' }).waitFor()
    // Another button has to be meant as well.
    await page.getByRole('button', { name: 'For this session' }).click()
    await page.getByRole('button', { name: 'Allow once' }).waitFor()
    expect((await session(id)).required_actions).toHaveLength(1)
    await page.keyboard.press('a')
    await page.getByRole('button', { name: 'Sure? Allow it' }).waitFor()
    expect((await session(id)).required_actions).toHaveLength(1)
    await page.keyboard.press('a')
    await state(page, 'done')
  })

  test('U11 a question is answered with one of its options', async () => {
    const { id } = await create('Ask me a question')
    const page = await stage.open(`/s/${id}`)
    await page.getByLabel('Tragedy').check()
    await page.getByRole('button', { name: 'Answer' }).click()
    await state(page, 'done')
    expect((await session(id)).result!.text).toContain('Tragedy')
  })

  test('U12 a message steers the running turn, another waits and can be cancelled, and the turn is interrupted', async () => {
    const { id } = await create('Run a slow command', allowed)
    const page = await stage.open(`/s/${id}`)
    await page.locator('[data-tool="Bash"]').waitFor()
    const box = page.getByLabel('Message to the agent')
    await box.fill('Wait for me')
    await box.press('Control+Enter')
    const pending = page.getByRole('region', { name: 'Waiting to be taken' })
    await pending.getByText('Wait for me').waitFor()
    await pending.getByRole('button', { name: 'Cancel' }).click()
    await pending.waitFor({ state: 'detached' })
    await page.getByLabel('Delivery').selectOption('steer')
    await box.fill('Mind the gap')
    await box.press('Control+Enter')
    await page.locator('.talk').getByText('You wrote while I was working').waitFor()
    await state(page, 'done')

    await box.fill('Stream a long text slowly')
    await box.press('Control+Enter')
    await page.locator('.caret').waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('Interrupt? Press again').waitFor()
    await page.keyboard.press('Escape')
    await state(page, 'stopped')
  })

  test('U12 what waits is moved up, and a turn is stopped at once', async () => {
    const { id } = await create('Run a slow command', allowed)
    const page = await stage.open(`/s/${id}`)
    await page.locator('[data-tool="Bash"]').waitFor()
    const box = page.getByLabel('Message to the agent')
    const pending = page.getByRole('region', { name: 'Waiting to be taken' })
    for (const text of ['first said', 'second said']) {
      await box.fill(text)
      await box.press('Control+Enter')
      await pending.getByText(text).waitFor()
    }
    await pending.getByRole('button', { name: 'Move up' }).click()
    await pending.locator('li').first().getByText('second said').waitFor()
    await page.getByRole('button', { name: 'Stop now' }).click()
    await stage.server.event(id, ({ type, stop_reason }) => type === 'turn.cancelled' && stop_reason !== null)
    const taken = (await stage.server.events(id)).filter(({ type }) => type === 'user.interrupt')
    expect(taken).toMatchObject([{ mode: 'now' }])
  })

  test('U20 what somebody else has answered stays for a while and says so', async () => {
    const { id } = await create('Write and run a small program')
    const [ask] = (await stage.server.idle(id)).required_actions
    const page = await stage.open(`/s/${id}`)
    const card = page.locator(`[data-approval="${ask!.event_id}"]`)
    await card.getByRole('button', { name: 'Allow once' }).waitFor()
    await stage.server.post(`/v1/approvals/${ask!.event_id}`, { result: 'deny', actor: 'Hanako' })
    await card.locator('[data-elsewhere]').getByText('Hanako').waitFor()
    expect(await card.getByRole('button', { name: 'Allow once' }).count()).toBe(0)
    await card.waitFor({ state: 'detached', timeout: 20_000 })
  })

  test('U21 a result of a client’s tool is given by hand', async () => {
    const script = JSON.stringify([
      { tools: [{ name: 'mcp__client__look_up', input: { word: 'door' } }] },
      { say: 'thanks' },
    ])
    const tool = { type: 'custom', name: 'look_up', description: 'x', input_schema: { type: 'object' } }
    const { id } = await create(`Look\n\`\`\`script\n${script}\n\`\`\``, { agent: { type: 'inline', tools: [tool] } })
    const page = await stage.open(`/s/${id}`)
    await page.locator('[data-approval] textarea').fill('the door is blue')
    await page.getByRole('button', { name: 'Send result' }).click()
    await state(page, 'done')
    const results = (await stage.server.events(id)).filter(({ type }) => type.endsWith('tool_result'))
    expect(JSON.stringify(results)).toContain('the door is blue')
  })

  test('U22 the page says how full the context is, and compacts it', async () => {
    const { id } = await create('Write a short poem')
    await stage.server.idle(id)
    const page = await stage.open(`/s/${id}`)
    await page
      .locator('[data-context]')
      .getByText(/context \d+ %/)
      .waitFor()
    if ((await page.locator('.inspector').count()) === 0) await page.getByRole('button', { name: 'Inspector' }).click()
    await page.getByRole('button', { name: 'Compact' }).click()
    await page.getByText('Older context was summarised').waitFor()
    await state(page, 'done')
  })

  test('U23 the usage of the newest days is shown in their order, of all else the largest, with the sum of all', async () => {
    const page = await stage.open('/settings')
    const sums = (cost_usd: number) => ({
      cost_usd,
      input_tokens: 1,
      output_tokens: 1,
      cache_read_input_tokens: 1,
      cache_creation_input_tokens: 1,
    })
    // A server that has worked for 40 days, and for 1,200 sessions of which a late one cost most.
    await page.route('**/v1/usage?*', (route) => {
      const query = new URL(route.request().url()).searchParams
      const group = query.get('group_by')!
      const all =
        group === 'day'
          ? Array.from({ length: 40 }, (_, n) => ({ name: `day ${String(n).padStart(2, '0')}`, cost: n }))
          : Array.from({ length: 1_200 }, (_, n) => ({ name: `${group} ${n}`, cost: n === 1_100 ? 500 : 1 }))
      const rows = query.get('order') === 'desc' && group === 'day' ? all.toReversed() : all
      const [from, limit] = [Number(query.get('page') ?? 0), Number(query.get('limit') ?? 20)]
      return route.fulfill({
        json: {
          data: rows.slice(from, from + limit).map(({ name, cost }) => ({ group: { [group]: name }, ...sums(cost) })),
          totals: sums(1_234),
          next_page: from + limit < rows.length ? String(from + limit) : null,
        },
      })
    })
    await page.goto(`${stage.server.url}/overview`)
    const names = () => page.locator('.chart .bar > .clip').allInnerTexts()
    await page.locator('.chart .bar').nth(30).waitFor()
    expect([(await names())[0], (await names()).at(-1), (await names()).length]).toEqual(['day 09', 'day 39', 31])
    await page.getByText('$1,234.00 in all').waitFor()
    await page.getByLabel('By', { exact: true }).selectOption('session')
    await page.getByText('session 1100').waitFor()
    expect((await names())[0]).toBe('session 1100')
    await page.getByText('The largest 31.').waitFor()
    await page.unroute('**/v1/usage?*')
    await page.route('**/v1/usage?*', (route) => route.fulfill({ status: 500, json: {} }))
    await page.getByLabel('By', { exact: true }).selectOption('api_key')
    await page.locator('section[aria-labelledby="usage"]').getByRole('button', { name: 'Try again' }).waitFor()
  })

  test('U13 thousands of events are a few rows in the page, and its reader stays where they read', async () => {
    const { id } = await create('Please introduce yourself.')
    await stage.server.idle(id)
    const first = (await stage.server.events(id)).at(-1)!
    const page = await stage.open('/')
    // The server's own stream, with three thousand more events behind the genuine ones.
    await page.route(`**/v1/sessions/${id}/events/stream*`, (route) =>
      route.fulfill({
        contentType: 'text/event-stream',
        body: Array.from({ length: 3000 }, (_, index) => {
          const seq = index + 1
          const text = `Line ${seq}`
          const event = { ...first, id: `sevt_x${seq}`, seq, type: 'agent.message', content: [{ type: 'text', text }] }
          return `event: message\nid: ${seq}\ndata: ${JSON.stringify(event)}\n\n`
        }).join(''),
      }),
    )
    await page.goto(`${stage.server.url}/s/${id}`)
    await page.getByText('Line 3000', { exact: true }).waitFor()
    expect(await page.locator('.rowbox').count()).toBeLessThan(80)
    await page.mouse.move(700, 400)
    await page.mouse.wheel(0, -3000)
    await page.getByText('Line 3000', { exact: true }).waitFor({ state: 'detached' })
    await page.locator('.below').click()
    await page.getByText('Line 3000', { exact: true }).waitFor()
  })

  test('U14 sessions are found, cancelled and deleted many at a time, and old ones cleaned up', async () => {
    const made = await Promise.all(['alpha one', 'alpha two'].map((prompt) => create(prompt)))
    for (const { id } of made) await stage.server.idle(id)
    const page = await stage.open('/overview')
    await page.locator('tbody td.name').first().waitFor()
    await page.keyboard.press('/')
    // What it answered is found too, though no column shows it.
    await page.keyboard.type('first ten primes')
    await page.locator('tbody td.name').getByText('Write and run a small program').first().waitFor()
    await page.getByRole('searchbox').fill('alpha')
    await page.waitForFunction(() => document.querySelectorAll('tbody td.name').length === 2)
    await page.getByLabel('Select all').check()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('No session fits.').waitFor()
    for (const { id } of made) expect((await stage.server.request('GET', `/v1/sessions/${id}`)).status).toBe(410)
    await page.getByRole('button', { name: 'Clean up' }).click()
    await page.getByText('0 sessions would be deleted.').waitFor()
  })

  test('U15 the first screen is small, and no page asks anybody else for anything', () => {
    const dist = fileURLToPath(new URL('../dist', import.meta.url))
    const page = readFileSync(`${dist}/index.html`, 'utf8')
    const entry = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, path]) => path!)
    expect(readdirSync(`${dist}/assets`).length).toBeGreaterThan(entry.length)
    const bytes = entry.reduce((sum, path) => sum + gzipSync(readFileSync(`${dist}/${path}`)).length, 0)
    expect(bytes).toBeLessThan(250 * 1024)
    expect(stage.troubles).toEqual([])
  })
})
