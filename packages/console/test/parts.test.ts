import type { Deployment } from '@troupe/protocol/deployment'
import type { Environment } from '@troupe/protocol/environment'
import type { Agent } from '@troupe/protocol/saved-agent'
import type { Skill } from '@troupe/protocol/skill'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NEW_SUBAGENT, partsBody, partsOf } from '../src/lib/agent-parts.ts'
import { centsOf, draftOfSchedule, scheduleBody } from '../src/lib/schedule-draft.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

describe('parts in forms', () => {
  test('U51 parts of an agent come through its form as they were, and what is new is sent as it was typed', () => {
    const parts = {
      permission_rules: [{ rule: 'Bash(git push *)', policy: 'deny' }],
      skills: [{ type: 'custom', skill_id: 'skill_1', version: 'skver_1' }],
      subagents: [{ name: 'reader', description: 'Reads', system: 'Read.', effort: 'low', disallowed_tools: ['Bash'] }],
    }
    expect(partsBody(partsOf(parts as unknown as Agent))).toEqual(parts)
    const draft = {
      rules: [
        { rule: ' Read ', policy: 'always_allow' as const },
        { rule: ' ', policy: 'deny' as const },
      ],
      skills: [{ id: 'skill_2', version: null }],
      subagents: [
        { ...NEW_SUBAGENT, name: ' a ', description: 'b', system: 'c', model: ' haiku ', tools: 'Read, Grep' },
      ],
    }
    expect(partsBody(draft)).toEqual({
      permission_rules: [{ rule: 'Read', policy: 'always_allow' }],
      skills: [{ type: 'custom', skill_id: 'skill_2' }],
      subagents: [{ name: 'a', description: 'b', system: 'c', model: 'haiku', tools: ['Read', 'Grep'] }],
    })
  })

  test('U51 a budget is written in dollars and sent in cents', () => {
    expect(['', ' 2 ', '0.05', '12.5', '0', '0.00', '-1', '1.234', '1,5', 'x'].map(centsOf)).toEqual([
      null,
      '200',
      '5',
      '1250',
      ...Array.from({ length: 6 }),
    ])
    const base = {
      name: 'Night',
      agent: { type: 'agent', id: 'agent_1', version: 1 },
      initial_events: [],
      schedule: null,
      environment_id: 'env_2',
      budget: { type: 'limit', max_list_cost: { amount: '5', currency: 'USD' } },
      cwd: '/srv',
    } as unknown as Deployment
    const draft = draftOfSchedule(base)
    expect(draft).toMatchObject({ budget: '0.05', cwd: '/srv', environmentId: 'env_2' })
    expect(scheduleBody(draft, base)).toEqual({ name: 'Night', schedule: null })
    expect(scheduleBody({ ...draft, budget: '', cwd: ' ', environmentId: '' }, base)).toEqual({
      name: 'Night',
      schedule: null,
      budget: null,
      cwd: null,
      environment_id: 'env_default',
    })
  })
})

describe.skipIf(mustSkip)('parts in the pages', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  }, 120_000)
  afterAll(() => stage?.close())

  test('U51 rules, skills and subagents of an agent are made in its form, and taken away again', async () => {
    const files = new FormData()
    const text = '---\nname: house-style\ndescription: How we write\n---\nWrite short sentences.\n'
    files.append('files', new Blob([text]), 'house-style/SKILL.md')
    const skill = (await (
      await fetch(`${stage.server.url}/v1/skills`, { method: 'POST', body: files })
    ).json()) as Skill
    const page = await stage.open('/agents/new')
    const form = page.locator('[data-form="agent"]')
    await form.getByLabel('Name', { exact: true }).fill('Editor')
    await form.getByRole('button', { name: 'Add a rule' }).click()
    await form.getByLabel('Which calls').fill('Bash(git push *)')
    await form.getByLabel('What becomes of Bash(git push *)').selectOption('deny')
    await form.getByLabel(skill.display_name).check()
    await form.getByRole('button', { name: 'Add a subagent' }).click()
    const helper = form.getByRole('group', { name: 'Subagent' })
    await helper.getByLabel('Name').fill('reader')
    await helper.getByLabel('When to start it').fill('To read long files')
    await helper.getByLabel('System prompt').fill('You read.')
    await helper.getByLabel('Its tools').fill('Read, Grep')
    await seen(page, 'agent-parts-en-light', true)
    await form.getByRole('button', { name: 'Save' }).click()
    await page.waitForURL(/\/agents\/agent_/)
    const saved = () => stage.server.get<Agent>(`/v1/agents/${page.url().split('/').at(-1)}`)
    expect(await saved()).toMatchObject({
      permission_rules: [{ rule: 'Bash(git push *)', policy: 'deny' }],
      skills: [{ skill_id: skill.id, version: skill.latest_version_id }],
      subagents: [{ name: 'reader', description: 'To read long files', system: 'You read.', tools: ['Read', 'Grep'] }],
    })
    const phone = await stage.open(new URL(page.url()).pathname, {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.getByRole('group', { name: 'サブエージェント reader' }).waitFor()
    await seen(phone, 'agent-parts-ja-dark-phone', true)
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)

    await form.getByRole('button', { name: 'Delete the rule Bash(git push *)' }).click()
    await form.getByRole('button', { name: 'Delete the subagent reader' }).click()
    await form.getByLabel(skill.display_name).uncheck()
    await form.getByRole('button', { name: 'Save' }).click()
    await form.getByText('Nothing has changed.').waitFor()
    expect(await saved()).toMatchObject({ version: 2, skills: [] })
    expect((await saved()).permission_rules ?? []).toEqual([])
    expect((await saved()).subagents ?? []).toEqual([])
  }, 60_000)

  test('U51 a schedule is given a budget, a folder and an environment', async () => {
    await stage.server.post('/v1/agents', { name: 'Reporter' })
    const { id } = await stage.server.post<Environment>('/v1/environments', {
      name: 'Quiet',
      config: { type: 'local' },
    })
    const page = await stage.open('/schedules')
    await page.getByRole('button', { name: 'New schedule' }).click()
    const form = page.getByRole('dialog')
    await form.getByLabel('Name').fill('Night')
    await form.getByLabel('Agent').selectOption('Reporter')
    await form.getByLabel('Prompt of each session').fill('Introduce yourself')
    await form.getByLabel('Most that each session may cost').fill('a lot')
    expect(await form.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
    await form.getByLabel('Most that each session may cost').fill('0.50')
    await form.getByLabel('Environment').selectOption('Quiet')
    await seen(page, 'schedules-parts-en-light', true)
    await form.getByRole('button', { name: 'Save' }).click()
    await form.waitFor({ state: 'detached' })
    const { data } = await stage.server.get<{ data: Deployment[] }>('/v1/deployments')
    expect(data).toMatchObject([
      { environment_id: id, budget: { max_list_cost: { amount: '50', currency: 'USD' } }, cwd: null },
    ])
    expect(stage.troubles).toEqual([])
  }, 60_000)
})
