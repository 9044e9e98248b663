import type { Environment } from '@troupe/protocol/environment'
import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  draftOfEnvironment,
  emptyEnvironment,
  environmentBody,
  variablesIn,
  wrongVariable,
} from '../src/lib/environment-draft.ts'
import { mustSkip, picture, seen, setStage, type Stage } from './support/browser.ts'

describe('the form of an environment', () => {
  test('U42 variables are lines, values with = in them too; a name alone keeps the value that is there', () => {
    expect(variablesIn('A=1\n\n B = x=y \nOLD', ['OLD'])).toEqual({ A: '1', B: ' x=y ', OLD: null })
    expect(wrongVariable({ ...emptyEnvironment(), env: 'A=1\nNEW' }, null)).toBe('NEW')
    expect(wrongVariable({ ...emptyEnvironment(), env: '=1' }, null)).toBe('=1')
  })

  test('U42 what is shown and saved again is what was there', () => {
    const place = {
      cwd_root: '/srv',
      env: { TOKEN: null },
      env_names: ['CI_*'],
      limits: { max_turns: 5, turn_timeout_seconds: null, max_queue_seconds: 60 },
      networking: {
        type: 'limited',
        allowed_hosts: ['a.example'],
        allow_mcp_servers: true,
        allow_package_managers: false,
      },
    }
    const filesystem = { allow_write: ['/cache'], deny_write: [], deny_read: ['/home'], allow_read: [] }
    const resources = { memory_mb: 512, cpus: 1.5, pids: null }
    for (const config of [
      { type: 'sandbox', ...place, filesystem },
      { type: 'container', ...place, setup: ['true'], setup_timeout_seconds: 60, image: 'small', resources },
    ]) {
      const base = { name: 'Tight', description: null, config } as unknown as Environment
      expect(environmentBody(draftOfEnvironment(base), base)).toEqual({ name: 'Tight', description: null, config })
    }
  })
})

describe.skipIf(mustSkip)('environments in the console', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.close())

  test('U42 an environment is made, changed without its values, used by a session that tells what it did, and archived', async () => {
    const page = await stage.open('/environments')
    await page.getByText('An environment says where').waitFor()
    await picture(page, 'environments-empty')
    await page.getByRole('button', { name: 'New environment' }).click()
    await page.getByLabel('Name', { exact: true }).fill('Reports')
    await page.getByLabel('Description').fill('Where reports are made')
    await page.getByText('Preparation').click()
    await page.getByLabel('Commands before the first turn').fill('mkdir -p outputs\necho ready > ready.txt')
    await page.getByText('Variables', { exact: true }).click()
    await page.getByLabel('Variables of every agent').fill('TOKEN=secret-of-the-environment\nwrong')
    await page.getByText('This is no variable: wrong').waitFor()
    expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
    await page.getByLabel('Variables of every agent').fill('TOKEN=secret-of-the-environment')
    await seen(page, 'environment-form', true)
    await page.getByRole('button', { name: 'Save' }).click()
    const card = page.locator('[data-environment]', { hasText: 'Reports' })
    await card.getByText('Prepared by 2 commands').waitFor()
    await card.getByText('Sets TOKEN').waitFor()
    expect(await page.content()).not.toContain('secret-of-the-environment')

    await card.getByRole('button', { name: 'Edit' }).click()
    expect(await page.getByLabel('Variables of every agent').inputValue()).toBe('TOKEN')
    await page.getByLabel('Description').fill('Where the reports of the week are made')
    await page.getByRole('button', { name: 'Save' }).click()
    await card.getByText('Where the reports of the week are made').waitFor()
    await seen(page, 'environments', true)

    await card.getByRole('link', { name: 'Start a session here' }).click()
    await page.getByLabel('Environment').waitFor()
    expect(await page.getByLabel('Environment').locator('option:checked').textContent()).toBe('Reports')
    const command = 'cat ready.txt; echo "$TOKEN" | wc -c; echo a,b > outputs/table.csv; ln -s /etc outputs/away'
    const script = [{ tools: [{ name: 'Bash', input: { command } }] }, { say: 'There is a table.' }]
    await page.getByLabel('Permission mode').selectOption('bypassPermissions')
    await page.locator('#prompt').fill(`Make it\n\`\`\`script\n${JSON.stringify(script)}\n\`\`\``)
    await page.getByRole('button', { name: /^Start/ }).click()
    // What prepared the workdir, what was done in it, and what is left of it.
    await page.getByText('Setup 2 of 2').waitFor()
    await page.getByText('There is a table.').waitFor()
    const left = page.locator('.left')
    await left.getByText('table.csv').waitFor()
    await left
      .getByText('outputs/', { exact: false })
      .or(left.getByText('away was not kept: it is a link'))
      .first()
      .waitFor()
    const coming = page.waitForEvent('download')
    await left.getByText('table.csv').click()
    expect((await coming).suggestedFilename()).toBe('table.csv')
    const id = /\/s\/([^?]+)/.exec(page.url())![1]!
    expect((await stage.server.get<Session>(`/v1/sessions/${id}`)).environment_id).toMatch(/^env_/)
    const told = [
      { type: 'user.message', content: 'And now?' },
      { type: 'system.message', content: [{ type: 'text', text: 'The office closes at six.' }] },
    ]
    await stage.server.post(`/v1/sessions/${id}/events`, { events: told })
    await page.getByText('The office closes at six.').waitFor()
    await seen(page, 'session-made', true)

    await page.goto(`${stage.server.url}/environments`)
    await card.getByRole('button', { name: 'Archive' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click()
    await card.waitFor({ state: 'detached' })
    await page.getByLabel('Show archived environments too').check()
    await card.getByText('archived').waitFor()
    expect(stage.troubles).toEqual([])
  })
})
