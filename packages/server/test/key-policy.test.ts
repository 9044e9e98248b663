import type { Policy } from '@troupe/protocol/access'
import type { Queue } from '@troupe/protocol/queue'
import type { Session } from '@troupe/protocol/session'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

describe('the policy of a key', () => {
  let server: TestServer
  let operator = ''
  let root: string
  beforeAll(async () => {
    server = await testServer(
      { auth: 'on', default_model: 'claude-house' },
      { onFirstKey: (secret) => (operator = secret) },
    )
    root = join(server.folder, 'allowed')
    mkdirSync(join(root, 'inner'), { recursive: true })
    mkdirSync(join(server.folder, 'allowed-not'))
    symlinkSync(server.folder, join(root, 'way-out'))
    symlinkSync(root, join(server.folder, 'way-in'))
  })
  afterAll(() => server.stop())

  const call = (key: string, method: string, path: string, body?: unknown) =>
    server.request(method, path, body, { 'x-api-key': key })
  const good = async <T = Session>(key: string, path: string, body: unknown): Promise<T> => {
    const { status, text, body: answer } = await call(key, 'POST', path, body)
    expect([path, status, text]).toEqual([path, 200, text])
    return answer as T
  }
  const keyOf = async (policy: Policy, more: object = {}) =>
    (
      await good<{ secret: string }>(operator, '/v1/api_keys', {
        name: 'bounded',
        scopes: ['sessions:read', 'sessions:write', 'approvals:write'],
        policy,
        ...more,
      })
    ).secret
  const refusal = async (key: string, path: string, body: unknown) => {
    const reply = await call(key, 'POST', path, body)
    return [reply.status, reply.body.code]
  }
  const inline = (fields: object) => ({ agent: { type: 'inline', ...fields } })
  const message = (content: string) => ({ type: 'user.message', content })
  const idle = async (key: string, id: string) =>
    (await call(key, 'GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)).body as unknown as Session

  test('KP1 a session is made within its policy: mode, models, workdir, environment, turns and budget, by every way to make one', async () => {
    const key = await keyOf({
      permission_modes: ['default', 'plan'],
      models: ['claude-haiku*', 'default'],
      cwd_roots: [root],
      env_names: ['APP_*'],
      max_turns: 5,
      session_budget_cents: '200',
    })
    const budget = (amount: string) => ({ budget: { type: 'limit', max_list_cost: { amount, currency: 'USD' } } })
    const cases: [object, string | null][] = [
      [{}, null],
      [inline({ permission_mode: 'plan', model: 'claude-haiku-9' }), null],
      [inline({ permission_mode: 'bypassPermissions' }), 'permission_mode_not_allowed'],
      [inline({ permission_mode: 'acceptEdits' }), 'permission_mode_not_allowed'],
      [inline({ model: 'claude-opus-9' }), 'model_not_allowed'],
      [inline({ model: 'claude-house' }), null],
      [inline({ subagents: [{ name: 'x', description: 'x', system: 'x', model: 'opus' }] }), 'model_not_allowed'],
      [{ cwd: root }, null],
      [{ cwd: join(root, 'inner') }, null],
      [{ cwd: join(server.folder, 'way-in', 'inner') }, null],
      [{ cwd: server.folder }, 'cwd_not_allowed'],
      [{ cwd: join(server.folder, 'allowed-not') }, 'cwd_not_allowed'],
      [{ cwd: join(root, 'way-out') }, 'cwd_not_allowed'],
      [{ cwd: join(root, '..') }, 'cwd_not_allowed'],
      [{ env: { APP_MODE: 'x' } }, null],
      [{ env: { APP_MODE: 'x', OTHER: 'y' } }, 'env_not_allowed'],
      [{ limits: { max_turns: 5 } }, null],
      [{ limits: { max_turns: 6 } }, 'limit_not_allowed'],
      [budget('200'), null],
      [budget('201'), 'limit_not_allowed'],
    ]
    for (const [body, code] of cases) {
      const reply = await call(key, 'POST', '/v1/sessions', body)
      expect([body, reply.body.code ?? null]).toEqual([body, code])
      expect(reply.status).toBe(code === null ? 200 : code === 'env_not_allowed' ? 400 : 403)
    }
    const plain = await good(key, '/v1/sessions', {})
    expect([plain.limits.max_turns, plain.budget!.max_list_cost.amount]).toEqual([5, '200'])
    // The origin API, anew and going on.
    const execute = (body: object) => refusal(key, '/execute/', { prompt: 'say x', ...body })
    expect(await execute({ permission_mode: 'bypassPermissions' })).toEqual([403, 'permission_mode_not_allowed'])
    expect(await execute({ cwd: server.folder })).toEqual([403, 'cwd_not_allowed'])
    expect(await execute({ max_turns: 6 })).toEqual([403, 'limit_not_allowed'])
    const started = await good<{ session_id: string }>(key, '/execute/', { prompt: 'say x' })
    await idle(key, started.session_id)
    const resume = { resume_session_id: started.session_id }
    expect(await execute({ ...resume, model: 'claude-opus-9' })).toEqual([403, 'model_not_allowed'])
    expect(await execute({ ...resume, cwd: server.folder })).toEqual([403, 'cwd_not_allowed'])
    expect((await good<{ session_id: string }>(key, '/execute/', { prompt: 'say y', ...resume })).session_id).toBe(
      started.session_id,
    )
    // A conversation from elsewhere.
    const entry = {
      type: 'user',
      uuid: '0198c0de-0000-7000-8000-000000000001',
      parentUuid: null,
      sessionId: '0198c0de-0000-7000-8000-000000000002',
      cwd: '/',
      timestamp: '2026-01-01T00:00:00.000Z',
      message: { role: 'user', content: 'hello' },
    }
    const taken = (body: object) => refusal(key, '/v1/sessions/import', { transcript: JSON.stringify(entry), ...body })
    expect(await taken(inline({ permission_mode: 'bypassPermissions' }))).toEqual([403, 'permission_mode_not_allowed'])
    expect(await taken({ cwd: server.folder })).toEqual([403, 'cwd_not_allowed'])
    const imported = await good(key, '/v1/sessions/import', { transcript: JSON.stringify(entry) })
    expect([imported.limits.max_turns, imported.budget!.max_list_cost.amount]).toEqual([5, '200'])
    // Saved agents, and what is raised afterwards.
    const saved = await good<{ id: string }>(operator, '/v1/agents', { name: 'Opus', model: 'claude-opus-9' })
    expect(await refusal(key, '/v1/sessions', { agent: saved.id })).toEqual([403, 'model_not_allowed'])
    const update = (body: object) => refusal(key, `/v1/sessions/${plain.id}`, body)
    expect(await update({ limits: { max_turns: 9 } })).toEqual([403, 'limit_not_allowed'])
    expect(await update(budget('300'))).toEqual([403, 'limit_not_allowed'])
    expect(await update({ agent: { permission_mode: 'bypassPermissions' } })).toEqual([
      403,
      'permission_mode_not_allowed',
    ])
    expect(await update({ agent: { model: 'claude-opus-9' } })).toEqual([403, 'model_not_allowed'])
    const cleared = await good(key, `/v1/sessions/${plain.id}`, { budget: null, limits: { max_turns: null } })
    expect([cleared.limits.max_turns, cleared.budget!.max_list_cost.amount]).toEqual([5, '200'])
  })

  test('KP2 a bounded key makes no session work that it could not have had made, and neither forks nor imports one', async () => {
    const free = await good(operator, '/v1/sessions', {
      ...inline({ permission_mode: 'acceptEdits' }),
      initial_events: [message('say hello')],
    })
    await idle(operator, free.id)
    const bounded = [
      [{ permission_modes: ['default'] }, 'permission_mode_not_allowed'],
      [{ models: ['claude-haiku*'] }, 'model_not_allowed'],
      [{ max_turns: 3 }, 'limit_not_allowed'],
      [{ session_budget_cents: '10' }, 'limit_not_allowed'],
      [{ disallowed_tools: ['Bash'] }, 'limit_not_allowed'],
    ] as const
    for (const [policy, code] of bounded) {
      const key = await keyOf(policy as unknown as Policy)
      expect([policy, await refusal(key, `/v1/sessions/${free.id}/events`, { events: [message('say x')] })]).toEqual([
        policy,
        [403, code],
      ])
      expect([policy, await refusal(key, `/v1/sessions/${free.id}/compact`, {})]).toEqual([policy, [403, code]])
    }
    const strict = await keyOf({ permission_modes: ['default'] })
    expect(await refusal(strict, `/v1/sessions/${free.id}/fork`, {})).toEqual([403, 'permission_mode_not_allowed'])
    const softer = await keyOf({ disallowed_tools: ['Bash', 'WebFetch(domain:*)'], max_turns: 4 })
    const fork = await good(softer, `/v1/sessions/${free.id}/fork`, {})
    expect(fork.agent.disallowed_tools).toEqual(expect.arrayContaining(['Bash', 'WebFetch(domain:*)']))
    expect(fork.limits.max_turns).toBe(4)
    // What it has made so, it may go on with.
    await good(softer, `/v1/sessions/${fork.id}/events`, { events: [message('say mine')] })
    expect((await idle(softer, fork.id)).result!.text).toBe('mine')
  })

  test('KP3 the narrower of key and workspace holds, tools that are denied are denied, and no key sheds its policy', async () => {
    const workspace = await good<{ id: string }>(operator, '/v1/workspaces', {
      name: 'team',
      policy: { max_turns: 7, permission_modes: ['default', 'plan'], disallowed_tools: ['WebSearch'] },
    })
    const key = await keyOf(
      { max_turns: 9, permission_modes: ['plan', 'acceptEdits'], disallowed_tools: ['Bash'] },
      {
        workspace_id: workspace.id,
      },
    )
    const session = await good(key, '/v1/sessions', inline({ permission_mode: 'plan', allowed_tools: ['Bash'] }))
    expect(session.limits.max_turns).toBe(7)
    expect(session.agent.disallowed_tools).toEqual(expect.arrayContaining(['Bash', 'WebSearch']))
    for (const permission_mode of ['default', 'acceptEdits'])
      expect(await refusal(key, '/v1/sessions', inline({ permission_mode }))).toEqual([
        403,
        'permission_mode_not_allowed',
      ])
    const admin = await keyOf({ max_turns: 2 }, { scopes: ['admin'] })
    expect(await refusal(admin, '/v1/api_keys', { name: 'x', scopes: ['admin'] })).toEqual([403, 'limit_not_allowed'])
  })

  test('KP4 when the day is spent no work is taken by that key, and other keys go on', async () => {
    const key = await keyOf({ daily_budget_cents: '3' })
    const other = await keyOf({ daily_budget_cents: '1000' })
    const first = await good(key, '/v1/sessions', { initial_events: [message('cost 0.02')] })
    await idle(key, first.id)
    await good(key, `/v1/sessions/${first.id}/events`, { events: [message('cost 0.05')] })
    await idle(key, first.id)
    const create = await call(key, 'POST', '/v1/sessions', { initial_events: [message('say x')] })
    expect([create.status, create.body.code]).toEqual([429, 'daily_budget_reached'])
    const wait = Number(create.headers.get('retry-after'))
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(86_400)
    const send = { events: [message('say x')] }
    expect(await refusal(key, `/v1/sessions/${first.id}/events`, send)).toEqual([429, 'daily_budget_reached'])
    expect(await refusal(key, '/execute/', { prompt: 'say x' })).toEqual([429, 'daily_budget_reached'])
    // What costs nothing is taken, and so is the work of others.
    await good(key, '/v1/sessions', {})
    await good(key, `/v1/sessions/${first.id}/events`, { events: [{ type: 'user.interrupt' }] }).catch(() => null)
    await good(other, '/v1/sessions', { initial_events: [message('say x')] })
  })

  test('KP10 max_running holds for sessions that are made and those that go on; who is kept back says policy', async () => {
    const key = await keyOf({ max_running: 1 })
    const other = await keyOf({})
    const rest = await good(key, '/v1/sessions', { initial_events: [message('say rested')] })
    await idle(key, rest.id)
    const first = await good(key, '/v1/sessions', { initial_events: [message('hold')], recovery: 'fail' })
    const second = await good(key, '/v1/sessions', { initial_events: [message('say second')], concurrency_key: 'x' })
    await good(key, `/v1/sessions/${rest.id}/events`, { events: [message('say woken')] })
    const free = await good(other, '/v1/sessions', { initial_events: [message('say free')] })
    expect((await idle(other, free.id)).result!.text).toBe('free')
    for (const { id } of [second, rest])
      expect((await call(key, 'GET', `/v1/sessions/${id}`)).body).toMatchObject({
        status: 'running',
        queue: { reason: 'policy' },
      })
    const line = (await call(key, 'GET', '/v1/queue')).body as unknown as Queue
    expect([line.running, line.depth]).toEqual([1, 2])
    expect(line.data.map(({ reason }) => reason)).toEqual(['policy', 'policy'])
    await good(key, `/v1/sessions/${first.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    expect([(await idle(key, second.id)).result!.text, (await idle(key, rest.id)).result!.text]).toEqual([
      'second',
      'woken',
    ])
  })

  test('KP10 max_running of a workspace holds over all its keys, from the time it is set', async () => {
    const { id: workspace_id } = await good<{ id: string }>(operator, '/v1/workspaces', {
      name: 'small',
      policy: { max_running: 1 },
    })
    const keys = [await keyOf({}, { workspace_id }), await keyOf({ max_running: 5 }, { workspace_id })]
    const first = await good(keys[0]!, '/v1/sessions', { initial_events: [message('hold')], recovery: 'fail' })
    const second = await good(keys[1]!, '/v1/sessions', { initial_events: [message('say second')] })
    expect((await call(keys[1]!, 'GET', `/v1/sessions/${second.id}`)).body).toMatchObject({
      queue: { position: expect.any(Number) as number, reason: 'policy' },
    })
    await good(operator, `/v1/workspaces/${workspace_id}`, { policy: null })
    expect((await idle(keys[1]!, second.id)).result!.text).toBe('second')
    await good(keys[0]!, `/v1/sessions/${first.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    for (const max_running of [0, 1001, 1.5])
      expect(await refusal(operator, '/v1/workspaces', { name: 'x', policy: { max_running } })).toEqual([
        400,
        'validation_failed',
      ])
  })
})
