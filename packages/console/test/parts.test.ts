import type { Deployment } from '@troupe/protocol/deployment'
import type { Environment } from '@troupe/protocol/environment'
import type { Agent } from '@troupe/protocol/saved-agent'
import type { Skill } from '@troupe/protocol/skill'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentBody, draftOfAgent, isWhole, TOOLS } from '../src/lib/agent-draft.ts'
import { NEW_SUBAGENT, partsBody, partsOf } from '../src/lib/agent-parts.ts'
import { lacksAgents, rosterBody, rosterOf } from '../src/lib/agent-roster.ts'
import { clientToolsBody, clientToolsFit, clientToolsOf, inputSchemaProblem } from '../src/lib/client-tools.ts'
import { FETCH_ANYWHERE } from '../src/lib/fetch-domains.ts'
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

  test('U54 a roster comes through the form in the shape that it had', () => {
    const entry = { type: 'agent', id: 'agent_2', version: 3 }
    const newer = (subagents: object) => ({ type: 'multiagent_20261001', subagents })
    const enabled = (inline: string) => ({
      type: 'enabled',
      inline_agents: { type: inline },
      predefined_agents: [entry],
    })
    for (const multiagent of [
      null,
      { type: 'coordinator', agents: [entry] },
      newer(enabled('enabled')),
      newer(enabled('disabled')),
      newer({ type: 'disabled' }),
    ]) {
      const agent = { multiagent } as unknown as Agent
      expect(rosterBody(rosterOf(agent), agent)).toEqual(multiagent)
    }
    const chosen = [{ id: 'agent_2', version: null }]
    const fresh = { type: 'agent', id: 'agent_2' }
    expect(rosterBody({ delegation: 'roster', agents: chosen }, null)).toEqual({ type: 'coordinator', agents: [fresh] })
    expect(lacksAgents({ delegation: 'roster', agents: [] })).toBe(true)
    expect(lacksAgents({ delegation: 'both', agents: [] })).toBe(false)
  })

  test('U54 what the form does not show of a toolset stays as it is, and where pages come from is what it says', () => {
    const toolset = (web: object, read: string) => ({
      type: 'agent_toolset_20260401',
      default_config: { enabled: true, permission_policy: { type: 'always_ask' } },
      configs: TOOLS.map((name) => ({
        name,
        type: name,
        enabled: true,
        permission_policy: { type: name === 'read' ? read : 'auto' },
        ...(name === 'web_fetch' && { url_sources: null, ...web }),
      })),
    })
    const agent = {
      name: 'A',
      model: { id: 'sonnet' },
      tools: [toolset({ allowed_domains: ['docs.example.com'] }, 'auto')],
      mcp_servers: [],
      skills: [],
      allowed_tools: [],
      disallowed_tools: [],
      multiagent: null,
    } as unknown as Agent
    const draft = draftOfAgent(agent)
    expect(draft.fetch).toEqual({ bound: 'only', domains: 'docs.example.com' })
    expect(agentBody(draft, agent)).toEqual({})
    const asks = { ...draft, tools: { ...draft.tools, read: 'always_ask' as const } }
    expect(agentBody(asks, agent)).toEqual({
      tools: [toolset({ allowed_domains: ['docs.example.com'] }, 'always_ask')],
    })
    const but = { ...draft, fetch: { bound: 'but' as const, domains: 'a.com,  b.org/x ' } }
    expect(agentBody(but, agent)).toEqual({ tools: [toolset({ blocked_domains: ['a.com', 'b.org/x'] }, 'auto')] })
    expect(agentBody({ ...draft, fetch: FETCH_ANYWHERE }, agent)).toEqual({ tools: [toolset({}, 'auto')] })
    expect(isWhole(draft)).toBe(true)
    expect(isWhole({ ...draft, fetch: { bound: 'only', domains: ' , ' } })).toBe(false)
  })

  test('U54 tools of the client are sent as they were typed, and not before they can be', () => {
    const tool = { type: 'custom', name: 'get_weather', description: 'Weather', input_schema: { type: 'object' } }
    const drafts = clientToolsOf({ tools: [{ type: 'agent_toolset_20260401' }, tool] } as unknown as Agent)
    expect(clientToolsBody(drafts)).toEqual([tool])
    expect(clientToolsFit(drafts)).toBe(true)
    expect(clientToolsFit([...drafts, ...drafts])).toBe(false)
    const schemas = ['{', 'null', '[]', '{"type":"string"}', '{"type":"object"}']
    expect(schemas.map(inputSchemaProblem)).toEqual(['syntax', 'object', 'object', 'object', null])
    expect(clientToolsFit([{ ...drafts[0]!, schema: '{' }])).toBe(false)
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
  })
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
  })

  test('U54 a roster, tools of the client and where pages come from are set in the form, and taken away again', async () => {
    const helper = await stage.server.post<Agent>('/v1/agents', { name: 'Checker', model: 'haiku' })
    const page = await stage.open('/agents/new')
    const form = page.locator('[data-form="agent"]')
    const save = form.getByRole('button', { name: 'Save' })
    await form.getByLabel('Name', { exact: true }).fill('Lead')
    await form.getByLabel('Where web pages may be fetched from').selectOption('only')
    await form.getByText('Name at least one domain.').waitFor()
    expect(await save.isDisabled()).toBe(true)
    await form.getByLabel('Domains').fill('docs.example.com')
    await form.getByRole('button', { name: 'Add a tool' }).click()
    const tool = form.locator('.subagent')
    await tool.getByLabel('Name').fill('get_weather')
    await tool.getByLabel('What it is for').fill('The weather of a place')
    await tool.getByLabel('What it takes').fill('{ "type": "text" }')
    await tool.getByText('What a tool takes is an object').waitFor()
    expect(await save.isDisabled()).toBe(true)
    await tool.getByLabel('What it takes').fill('{ "type": "object", "properties": { "place": { "type": "string" } } }')
    await form.getByLabel('Whom it may start').selectOption('roster')
    await form.getByText('Choose at least one agent.').waitFor()
    expect(await save.isDisabled()).toBe(true)
    await form.getByLabel('Checker').check()
    await seen(page, 'agent-roster-en-light', true)
    await save.click()
    await page.waitForURL(/\/agents\/agent_/)
    const saved = () => stage.server.get<Agent>(`/v1/agents/${page.url().split('/').at(-1)}`)
    const web = { name: 'web_fetch', allowed_domains: ['docs.example.com'] }
    expect(await saved()).toMatchObject({
      multiagent: { type: 'coordinator', agents: [{ id: helper.id, version: 1 }] },
      tools: [
        { configs: expect.arrayContaining([expect.objectContaining(web)]) },
        { name: 'get_weather', input_schema: { properties: { place: { type: 'string' } } } },
      ],
    })
    await stage.server.post(`/v1/agents/${helper.id}`, { description: 'Checks' })
    const phone = await stage.open(new URL(page.url()).pathname, {
      locale: 'ja-JP',
      colorScheme: 'dark',
      viewport: { width: 390, height: 844 },
    })
    await phone.getByRole('button', { name: '最新のバージョンにする' }).click()
    await seen(phone, 'agent-roster-ja-dark-phone', true)
    expect(await phone.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    await phone.getByRole('button', { name: '保存' }).click()
    await phone.getByText('変更はありません。').waitFor()
    expect(await saved()).toMatchObject({ version: 2, multiagent: { agents: [{ version: 2 }] } })

    await page.reload()
    await form.getByLabel('Whom it may start').selectOption('own')
    await form.getByRole('button', { name: 'Delete the tool get_weather' }).click()
    await form.getByLabel('Where web pages may be fetched from').selectOption('any')
    await save.click()
    await form.getByText('Nothing has changed.').waitFor()
    const { multiagent, tools } = await saved()
    expect(multiagent).toBeNull()
    expect(JSON.stringify(tools)).not.toMatch(/domains|custom/)
    expect(stage.troubles).toEqual([])
  })

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
  })
})
