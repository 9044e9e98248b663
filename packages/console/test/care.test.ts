import type { Session } from '@troupe/protocol/session'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { reasonInWords } from '../src/lib/reasons.ts'
import { clockOf } from '../src/lib/use-now.ts'
import { en } from '../src/words/en.ts'
import { ja } from '../src/words/ja.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

const POLICY = fileURLToPath(new URL('../../server/src/runner/policy.ts', import.meta.url))
const run = promisify(execFile)

describe('why something is asked', () => {
  test('U34 each reason that the server can give is said in the language of the reader', () => {
    const source = readFileSync(POLICY, 'utf8')
    const reasons = [...source.matchAll(/permission: 'ask'[^}]*?reason: (['`])(.+?)\1 ?\}/g)].map(([, , text]) =>
      text!.replaceAll(/\$\{[^}]+\}/g, 'Bash'),
    )
    expect(reasons).toHaveLength(5)
    for (const reason of reasons) {
      expect(reasonInWords(reason, en)).toBe(reason)
      expect(reasonInWords(reason, ja)).toMatch(/[ぁ-ん]/)
    }
    expect(reasonInWords('Told by a later server.', ja)).toBe('Told by a later server.')
  })
})

describe('the clock of the page', () => {
  test('U38 however many times stand on a page, one timer keeps them, and none when there are none', () => {
    const started = vi.spyOn(globalThis, 'setInterval')
    const ended = vi.spyOn(globalThis, 'clearInterval')
    const clock = clockOf(50_000)
    expect(clockOf(50_000)).toBe(clock)
    let told = 0
    const ends = Array.from({ length: 30 }, () => clock.subscribe(() => told++))
    expect(started.mock.calls.map(([, ms]) => ms)).toEqual([50_000])
    ;(started.mock.calls[0]![0] as () => void)()
    expect(told).toBe(30)
    for (const end of ends) end()
    expect(ended).toHaveBeenCalledTimes(1)
    const later = vi.spyOn(Date, 'now').mockReturnValue(clock.now() + 60_000)
    // Who comes after a pause is not told the time of before it.
    clock.subscribe(() => told++)()
    expect(clock.now()).toBe(Date.now())
    for (const spy of [started, ended, later]) spy.mockRestore()
  })
})

describe.skipIf(mustSkip)('what makes the console complete', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ auth: 'on' })
  })
  afterAll(() => stage?.close())

  const logIn = async (path: string, options: Parameters<Stage['open']>[1] = {}) => {
    const page = await stage.open(path, options)
    await page.locator('[data-form="login"] input').fill(stage.firstKey!)
    await page.keyboard.press('Enter')
    await page.locator('[data-form="login"]').waitFor({ state: 'detached' })
    return page
  }
  const headers = () => ({ 'x-api-key': stage.firstKey!, 'content-type': 'application/json' })
  const ask = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(stage.server.url + path, {
      headers: headers(),
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    })
    return (await response.json()) as T
  }
  const create = (prompt: string, fields: object = {}) =>
    ask<Session>('/v1/sessions', { initial_events: [{ type: 'user.message', content: prompt }], ...fields })
  const idle = (id: string) => ask<Session>(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
  const count = async () => (await ask<{ data: Session[] }>('/v1/sessions?limit=100')).data.length

  test('U35 what a button would send is copied as a command and as a program, and both do it', async () => {
    const page = await logIn('/', { permissions: ['clipboard-read', 'clipboard-write'] })
    await page.getByLabel('Task for the agent').fill('It’s said: "Introduce yourself"; it\'s $HOME')
    const env = { ...process.env, TROUPE_API_KEY: stage.firstKey! }
    const before = await count()
    const copied = async (which: number) => {
      const button = page.locator('.copy-request button').nth(which)
      await button.click()
      await button.getByText('Copied').waitFor()
      return page.evaluate(() => navigator.clipboard.readText())
    }
    const command = await copied(0)
    expect(command).toContain('x-api-key: $TROUPE_API_KEY')
    expect(JSON.parse((await run('bash', ['-c', `${command} -sS`], { env })).stdout)).toMatchObject({ type: 'session' })
    const program = join(mkdtempSync(join(tmpdir(), 'troupe-copied-')), 'request.ts')
    writeFileSync(program, await copied(1))
    await run(process.execPath, [program], { env })
    expect(await count()).toBe(before + 2)
    const sessions = (await ask<{ data: Session[] }>('/v1/sessions?limit=2')).data
    expect(sessions.map(({ prompt }) => prompt)).toEqual(
      Array.from({ length: 2 }, () => 'It’s said: "Introduce yourself"; it\'s $HOME'),
    )
  })

  test('U35 every change that the page asked for can be copied afterwards, and no key is among them', async () => {
    const { id } = await create('Introduce yourself')
    await idle(id)
    const page = await logIn(`/s/${id}`)
    if ((await page.locator('.inspector').count()) === 0) await page.getByRole('button', { name: 'Inspector' }).click()
    await page.locator('.inspector').getByRole('button', { name: 'Archive' }).click()
    await page.getByText('The session is archived and takes no more input.').waitFor()
    await page.getByRole('button', { name: 'What this page has sent' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText(`POST /v1/sessions/${id}/archive`).waitFor()
    expect(await dialog.locator('li').count()).toBe(1)
    expect(await dialog.innerText()).not.toContain('login')
    await seen(page, 'sent-en-light')
  })

  test('U36 the transcript of a subagent is read on a page of its own, with the way back', async () => {
    const { id } = await create('Start a subagent', { agent: { type: 'inline', permission_mode: 'bypassPermissions' } })
    await idle(id)
    const page = await logIn(`/s/${id}`)
    await page.locator('.aside a').first().click()
    await page.waitForURL(/\?thread=/)
    const bar = page.locator('[data-thread]')
    await bar.getByText('Ended').waitFor()
    await page.locator('.rowbox').first().waitFor()
    const inner = await page.locator('.scroll').innerText()
    await seen(page, 'thread-en-light')
    // It is the same after a reload: the address says whose transcript it is.
    await page.reload()
    await bar.getByText('Ended').waitFor()
    await page.locator('.rowbox').first().waitFor()
    expect(await page.locator('.scroll').innerText()).toBe(inner)
    await bar.getByRole('link', { name: 'Back' }).click()
    await page.getByText('I will send a subagent to look around.').waitFor()
    expect(await bar.count()).toBe(0)
    const phone = await logIn(new URL(page.url()).pathname, { locale: 'ja-JP', viewport: { width: 390, height: 844 } })
    await phone.locator('.aside a').first().click()
    await phone.locator('[data-thread]').waitFor()
    await seen(phone, 'thread-ja-phone')
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  })

  test('U37 what was answered can be read afterwards: by whom, with which reason, as it was edited', async () => {
    const { id } = await create('Write a file')
    const session = await idle(id)
    await ask(`/v1/approvals/${session.required_actions[0]!.event_id}`, {
      result: 'deny',
      deny_message: 'not in this house',
      actor: 'Hanako',
    })
    await idle(id)
    const page = await logIn('/approvals', { locale: 'ja-JP' })
    await page.getByRole('button', { name: 'これまでの回答' }).click()
    const row = page.locator('[data-history] li').first()
    await row.locator('summary').getByText('不許可').waitFor()
    await row.locator('summary').click()
    await row.getByText('not in this house').waitFor()
    await row.getByText('Hanako').first().waitFor()
    await row.getByText('許可するルールがありません').waitFor()
    await row.locator('.diff').waitFor()
    await seen(page, 'approvals-history-ja-light')
    expect(stage.troubles).toEqual([])
  })
})
