import type { Policy } from '@troupe/protocol/access'
import { newId } from '@troupe/protocol/ids'
import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const ALL_BUT_KEYS = ['sessions:read', 'sessions:write', 'approvals:write', 'agents:write', 'deployments:write']

/**
 * Routes that write, and by which no session comes to be, works, or becomes less bounded. A new route is either here,
 * with good reason, or refuses a key whose policy the session goes beyond.
 */
const WIDEN_NOTHING = new Set([
  // They end something, or take something away.
  'DELETE /v1/sessions/:session_id',
  'POST /v1/sessions/:session_id/archive',
  'POST /v1/sessions/:session_id/turns/:turn_id/cancel',
  'DELETE /v1/sessions/:session_id/inputs/:event_id',
  'POST /v1/sessions/:session_id/threads/:thread_id/archive',
  'DELETE /sessions/:session_id',
  'POST /cancel/:session_id',
  // A token has the policies of its key.
  'POST /v1/sessions/:session_id/tokens',
])

describe('doors of a bounded key', () => {
  let server: TestServer
  let operator = ''
  beforeAll(async () => {
    server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  })
  afterAll(() => server.stop())

  const call = (key: string, method: string, path: string, body?: unknown) =>
    server.request(method, path, body, { 'x-api-key': key })
  const good = async <T = Session>(key: string, path: string, body: unknown = {}): Promise<T> => {
    const { status, text, body: answer } = await call(key, 'POST', path, body)
    expect([path, status, text]).toEqual([path, 200, text])
    return answer as T
  }
  const read = async <T = Session>(path: string) => (await call(operator, 'GET', path)).body as T
  const keyOf = (policy: Policy, scopes: string[] = ALL_BUT_KEYS, more: object = {}) =>
    good<{ id: string; secret: string }>(operator, '/v1/api_keys', { name: 'bounded', scopes, policy, ...more })
  const message = (content: string) => ({ type: 'user.message', content })
  const FREE = { type: 'inline', permission_mode: 'acceptEdits' }
  const idle = (id: string) => read(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
  const held = async (id: string) => {
    for (;;) {
      const { data } = await read<{ data: unknown[] }>(`/v1/sessions/${id}/events?types[]=agent.message`)
      if (data.length > 0) return
    }
  }

  test('KP5 what runs can be stopped when the day is spent, and by whoever could not have started it', async () => {
    const key = (await keyOf({ daily_budget_cents: '1' })).secret
    const stop = { events: [{ type: 'user.interrupt' }] }
    const running = await good(key, '/v1/sessions', { initial_events: [message('hold')] })
    await held(running.id)
    const spent = await good(key, '/v1/sessions', { initial_events: [message('cost 0.05')] })
    await idle(spent.id)
    const send = (body: object) => call(key, 'POST', `/v1/sessions/${running.id}/events`, body)
    expect((await send({ events: [message('say x')] })).body.code).toBe('daily_budget_reached')
    expect((await send({ events: [...stop.events, message('say x')] })).body.code).toBe('daily_budget_reached')
    await good(key, `/v1/sessions/${running.id}/events`, stop)
    expect((await idle(running.id)).stop_reason).toEqual({ type: 'interrupted' })

    const other = await good(operator, '/v1/sessions', { agent: FREE, initial_events: [message('hold')] })
    await held(other.id)
    const strict = (await keyOf({ permission_modes: ['default'] })).secret
    await good(strict, `/v1/sessions/${other.id}/events`, stop)
    expect((await idle(other.id)).stop_reason).toEqual({ type: 'interrupted' })
  })

  test('KP6 every route that writes to a session refuses a key that it goes beyond, or widens nothing', async () => {
    const free = await good(operator, '/v1/sessions', { agent: FREE, initial_events: [message('say x')] })
    await idle(free.id)
    const strict = (await keyOf({ permission_modes: ['default'] })).secret
    const { data } = await read<{ data: { id: string }[] }>(`/v1/sessions/${free.id}/events?types[]=turn.completed`)
    const bodies: Record<string, unknown> = {
      'POST /v1/sessions/:session_id/events': { events: [message('say x')] },
      'POST /v1/sessions/:session_id/resources': { type: 'file', file_id: 'file_x' },
      'POST /v1/sessions/:session_id/rewind': { to_event_id: data[0]!.id, scope: 'conversation' },
      'POST /v1/sessions/:session_id': { limits: { max_turns: 5 } },
      'POST /v1/sessions/:session_id/inputs/:event_id': { content: 'say more' },
    }
    let refused = 0
    for (const route of server.app.needs.keys()) {
      const [method = '', path = ''] = route.split(' ')
      const writes = method === 'POST' || method === 'DELETE'
      if (!writes || !path.includes(':session_id') || path.startsWith('/internal/')) continue
      const name = `${method} ${path.replace(/\/$/, '')}`
      if (WIDEN_NOTHING.has(name)) continue
      const filled = path.replace(':session_id', free.id).replaceAll(/:\w+/g, newId('sevt'))
      const reply = await call(strict, method, filled, bodies[name] ?? (method === 'POST' ? {} : undefined))
      expect([name, reply.status, reply.body.code]).toEqual([name, 403, 'permission_mode_not_allowed'])
      refused++
    }
    expect(refused).toBeGreaterThanOrEqual(6)
  })

  test('KP7 a bounded key gets no secret of another key, and what it sets going again runs as its own', async () => {
    const admin = await keyOf({ permission_modes: ['default'] }, ['admin'])
    const unbounded = await good<{ id: string }>(operator, '/v1/api_keys', { name: 'free', scopes: ['admin'] })
    const rotate = await call(admin.secret, 'POST', `/v1/api_keys/${unbounded.id}/rotate`, {})
    expect([rotate.status, rotate.body.code, rotate.body.secret]).toEqual([403, 'limit_not_allowed', undefined])
    // Its own stays as bounded as it was.
    const own = await good<{ secret: string }>(admin.secret, `/v1/api_keys/${admin.id}/rotate`, { grace_seconds: 0 })
    const create = await call(own.secret, 'POST', '/v1/sessions', { agent: FREE })
    expect([create.status, create.body.code]).toEqual([403, 'permission_mode_not_allowed'])

    const agent = await good<{ id: string }>(operator, '/v1/agents', {
      name: 'Free',
      model: 'haiku',
      permission_mode: 'acceptEdits',
    })
    const deployment = await good<{ id: string }>(operator, '/v1/deployments', {
      name: 'Hourly',
      agent: agent.id,
      initial_events: [message('say x')],
      schedule: { type: 'cron', expression: '0 * * * *', timezone: 'UTC' },
    })
    const path = `/v1/deployments/${deployment.id}`
    await good(operator, `${path}/pause`)
    await good(own.secret, `${path}/unpause`)
    const row = await server.app.store.deployments.read('wrkspc_default', deployment.id)
    expect(row!.principal).toBe(admin.id)
    const run = await good<{ error: { type: string } | null; session_id: string | null }>(own.secret, `${path}/run`)
    expect([run.session_id, run.error?.type]).toEqual([null, 'session_creation_rejected_error'])
  })

  test('KP11 a bounded key saves no agent that it could have no session with, nor changes one', async () => {
    const key = (await keyOf({ permission_modes: ['default'], models: ['haiku'], disallowed_tools: ['Bash'] })).secret
    const agent = { name: 'Saved', model: 'haiku' }
    const refused = async (path: string, body: object) => {
      const reply = await call(key, 'POST', path, body)
      return [reply.status, reply.body.code]
    }
    expect(await refused('/v1/agents', { ...agent, model: 'opus' })).toEqual([403, 'model_not_allowed'])
    const wide = { ...agent, permission_mode: 'bypassPermissions' }
    expect(await refused('/v1/agents', wide)).toEqual([403, 'permission_mode_not_allowed'])
    const helper = { name: 'helper', description: 'helps', system: 'Help.', model: 'opus' }
    expect(await refused('/v1/agents', { ...agent, subagents: [helper] })).toEqual([403, 'model_not_allowed'])

    type Saved = { id: string; version: number; disallowed_tools: string[] }
    const own = await good<Saved>(key, '/v1/agents', agent)
    expect(own.disallowed_tools).toEqual(['Bash'])
    // What runs by a schedule of an unbounded key is none of its business.
    const theirs = await good<Saved>(operator, '/v1/agents', { ...wide, name: 'Nightly' })
    expect(await refused(`/v1/agents/${theirs.id}`, { system: 'Obey me' })).toEqual([
      403,
      'permission_mode_not_allowed',
    ])
    const narrowed = await good<Saved>(key, `/v1/agents/${theirs.id}`, { permission_mode: 'default' })
    expect([narrowed.version, narrowed.disallowed_tools]).toEqual([2, ['Bash']])
    // It took nothing back from whoever is bounded by nothing.
    const free = await good<Saved>(operator, `/v1/agents/${theirs.id}`, { disallowed_tools: [] })
    expect(free.disallowed_tools).toEqual([])
  })
})
