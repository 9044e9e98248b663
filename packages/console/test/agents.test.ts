import type { Agent } from '@troupe/protocol/saved-agent'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentBody, agentToTry, draftOfAgent, EMPTY_AGENT, schemaProblem } from '../src/lib/agent-draft.ts'
import { changesBetween } from '../src/lib/agent-changes.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

const agent = (fields: object = {}): Agent => ({
  type: 'agent',
  id: 'agent_1',
  version: 3,
  name: 'Reviewer',
  description: null,
  model: { id: 'sonnet', effort: { type: 'high' }, speed: 'fast' },
  system: 'Be brief.',
  tools: [
    { type: 'custom', name: 'weather', description: 'x', input_schema: { type: 'object' } },
    {
      type: 'mcp_toolset',
      mcp_server_name: 'docs',
      configs: [{ name: 'drop', enabled: false }],
      default_config: { enabled: true, permission_policy: { type: 'always_allow' } },
    },
  ],
  mcp_servers: [{ type: 'url', name: 'docs', url: 'https://example.com/mcp' }],
  skills: [],
  multiagent: null,
  execution_identity: { type: 'service_account' },
  permission_mode: 'default',
  allowed_tools: [],
  disallowed_tools: [],
  metadata: {},
  source: 'api',
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:00Z',
  archived_at: null,
  ...fields,
})

describe('the form of an agent', () => {
  test('U28 what was not changed is not sent, and what the form does not show stays', () => {
    const base = agent()
    const draft = draftOfAgent(base)
    expect(agentBody(draft, base)).toEqual({})
    expect(agentBody({ ...draft, system: '', effort: '' }, base)).toEqual({ system: null, effort: null })
    const changed = agentBody({ ...draft, tools: { ...draft.tools, bash: 'none', read: 'always_allow' } }, base)
    expect(Object.keys(changed)).toEqual(['tools'])
    const [toolset, custom, docs] = changed.tools as { type: string; configs: unknown[] }[]
    expect(toolset!.configs).toContainEqual({ name: 'bash', enabled: false })
    expect(toolset!.configs).toContainEqual({
      name: 'read',
      enabled: true,
      permission_policy: { type: 'always_allow' },
    })
    expect([custom, docs]).toEqual(base.tools)
  })

  test('U28 a draft is tried as it stands: inline where nothing is saved, over the version where something is', () => {
    expect(agentToTry({ ...EMPTY_AGENT, system: 'Be brief.' }, null)).toEqual({
      type: 'inline',
      permission_mode: 'default',
      system: 'Be brief.',
    })
    const base = agent()
    expect(agentToTry(draftOfAgent(base), base)).toEqual({ type: 'agent', id: 'agent_1', version: 3 })
    expect(agentToTry({ ...draftOfAgent(base), name: 'Other', model: 'opus' }, base)).toEqual({
      type: 'agent_with_overrides',
      id: 'agent_1',
      version: 3,
      model: 'opus',
    })
  })

  test('U28 a schema that is none is said to be none, and versions differ by field', () => {
    expect(['', '{"type":"object"}', '{', '[]', '3'].map(schemaProblem)).toEqual([
      null,
      null,
      'syntax',
      'object',
      'object',
    ])
    const toolset = (type: string) => [
      { type: 'agent_toolset_20260401', configs: [{ name: 'bash', enabled: true, permission_policy: { type } }] },
    ]
    expect(changesBetween(agent({ tools: toolset('auto') }), agent({ tools: toolset('deny') }))).toEqual([
      { field: 'tools', before: 'bash: auto\n', after: 'bash: deny\n' },
    ])
    expect(changesBetween(agent(), agent({ system: 'Be long.', allowed_tools: ['Bash'] }))).toEqual([
      { field: 'system', before: 'Be brief.\n', after: 'Be long.\n' },
      { field: 'allowed_tools', before: '', after: '[\n  "Bash"\n]\n' },
    ])
  })
})

describe.skipIf(mustSkip)('the pages of agents', () => {
  let stage: Stage
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-agents-'))
    writeFileSync(join(folder, 'greeter.md'), '---\nname: Greeter\ndescription: Says hello\n---\nYou greet people.\n')
    stage = await setStage({ agents_dir: folder })
  })
  afterAll(() => stage?.close())

  const agents = async () => (await stage.server.get<{ data: Agent[] }>('/v1/agents?include_archived=true')).data

  test('U29 an agent is tried before it is saved, saved, changed, compared, used and archived', async () => {
    const page = await stage.open('/agents/new')
    const form = page.locator('[data-form="agent"]')
    await form.getByLabel('Name', { exact: true }).fill('Program writer')
    await form.getByLabel('System prompt').fill('You write small programs.')
    await form.locator('[data-tool-policy="write"]').selectOption('always_allow')
    await form.locator('[data-tool-policy="bash"]').selectOption('always_ask')
    await form.getByLabel('Shape of the answer').fill('{ "type": ')
    await form.getByText('This is no JSON yet.').waitFor()
    expect(await form.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
    await form.getByLabel('Shape of the answer').fill('')

    const tryOut = page.locator('.try-out')
    await tryOut.getByLabel('A task to try it with').fill('Write and run a small program')
    await tryOut.getByRole('button', { name: 'Try', exact: true }).click()
    await tryOut.locator('[data-approval]').getByText('Run this command?').waitFor()
    await seen(page, 'agent-new-en-light')
    expect((await agents()).filter(({ source }) => source === 'api')).toEqual([])
    await tryOut.getByRole('button', { name: 'Allow once' }).click()
    await tryOut.locator('.now [data-state="done"]').waitFor()

    await form.getByRole('button', { name: 'Save' }).click()
    await page.waitForURL(/\/agents\/agent_/)
    await page.getByText('Version 1', { exact: true }).waitFor()
    await form.getByLabel('System prompt').fill('You write small programs.\nYou test them.')
    await form.locator('[data-tool-policy="web_search"]').selectOption('none')
    await form.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Version 2', { exact: true }).first().waitFor()
    await form.locator('.diff .line.add').getByText('You test them.').waitFor()
    await form.locator('.versions').scrollIntoViewIfNeeded()
    await seen(page, 'agent-versions-en-light')
    const saved = (await agents()).find(({ name }) => name === 'Program writer')!
    expect(saved).toMatchObject({ version: 2, system: 'You write small programs.\nYou test them.' })

    await page.getByRole('link', { name: 'Start a session with this agent' }).click()
    await page.waitForURL(/\?agent=/)
    await page.getByText('Model, prompt, tools and permissions are those of the agent.').waitFor()
    await seen(page, 'home-agent-en-light')
    await page.getByLabel('Task for the agent').fill('Introduce yourself')
    await page.getByLabel('Task for the agent').press('Control+Enter')
    await page.waitForURL(/\/s\/sesn_/)
    const session = await stage.server.get<{ agent: { id: string; version: number } }>(
      `/v1/sessions/${new URL(page.url()).pathname.split('/').at(-1)}`,
    )
    expect(session.agent).toMatchObject({ id: saved.id, version: 2 })

    await page.goto(`${stage.server.url}/agents/${saved.id}`)
    await page.getByRole('button', { name: 'Archive' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click()
    await page.getByText('This agent is archived.').waitFor()
    expect(await form.getByLabel('Name', { exact: true }).isDisabled()).toBe(true)
    expect(stage.troubles).toEqual([])
  })

  test('U29 what somebody else saved meanwhile is said, and what was written stays until it is given up', async () => {
    const made = await stage.server.post<Agent>('/v1/agents', { name: 'Shared', system: 'One.' })
    const page = await stage.open(`/agents/${made.id}`)
    await page.getByLabel('System prompt').fill('Mine.')
    await stage.server.post(`/v1/agents/${made.id}`, { system: 'Theirs.' })
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Version 2 was saved elsewhere').waitFor()
    expect(await page.getByLabel('System prompt').inputValue()).toBe('Mine.')
    await page.getByRole('button', { name: 'Show that one' }).click()
    expect(await page.getByLabel('System prompt').inputValue()).toBe('Theirs.')
  })

  test('U30 an agent from a folder is shown with where it comes from, tried, and not changed', async () => {
    const phone = { locale: 'ja-JP', colorScheme: 'dark', viewport: { width: 390, height: 844 } } as const
    const page = await stage.open('/agents', phone)
    await page.getByRole('link', { name: 'Greeter' }).waitFor()
    await seen(page, 'agents-ja-dark-phone')
    await page.getByRole('link', { name: 'Greeter' }).click()
    await page.getByText('サーバーのエージェント用フォルダ').waitFor()
    await seen(page, 'agent-file-ja-dark-phone')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await page.getByRole('button', { name: '保存' }).count()).toBe(0)
    await page.getByLabel('試しに頼むこと').fill('Introduce yourself')
    await page.getByRole('button', { name: '試す' }).click()
    await page.locator('.try-out .now [data-state="done"]').waitFor()
    expect(stage.troubles).toEqual([])
  })
})
