import { AUDIT_ACTIONS, type AuditEvent } from '@troupe/protocol/audit'
import type { Session } from '@troupe/protocol/session'
import Sqlite from 'better-sqlite3'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AUDITED } from '../src/store/audited.ts'
import { type TestServer, testServer } from './support/server.ts'

interface Made {
  id: string
  secret: string
}
interface Page {
  data: AuditEvent[]
  next_page: string | null
}

describe('the audit log', () => {
  let server: TestServer
  let operator = ''
  beforeAll(async () => {
    server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  })
  afterAll(() => server.stop())

  const as = (key: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    server.request(method, path, body, { 'x-api-key': key, ...headers })
  const good = async <T>(key: string, method: string, path: string, body?: unknown): Promise<T> => {
    const { status, text, body: answer } = await as(key, method, path, body)
    expect([path, status, text]).toEqual([path, 200, text])
    return answer as T
  }
  const keyOf = (fields: object = {}) =>
    good<Made>(operator, 'POST', '/v1/api_keys', {
      name: 'key',
      scopes: ['sessions:write', 'sessions:read'],
      ...fields,
    })
  const exported = async (query: string) => {
    const response = await fetch(`${server.url}/v1/audit_events/export?${query}`, {
      headers: { 'x-api-key': operator },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
    return response.text()
  }
  const list = (query = '', key = operator) => good<Page>(key, 'GET', `/v1/audit_events?order=asc&${query}`)
  const of = async (id: string) => (await list(`resource_id=${id}`)).data
  const actions = async (id: string) => (await of(id)).map(({ action }) => action)

  test('RT8 acts of administration say who did what to which thing, when and from where', async () => {
    const before = Date.now()
    const key = await keyOf({ policy: { max_running: 3 } })
    const first = (await of(key.id))[0]!
    expect(first).toMatchObject({
      type: 'audit_event',
      workspace_id: 'wrkspc_default',
      action: 'api_key.created',
      outcome: 'done',
      reason: null,
      resource: { type: 'api_key', id: key.id },
      details: { name: 'key', scopes: ['sessions:write', 'sessions:read'], policy: { max_running: 3 } },
      count: 1,
      request: { route: 'POST /v1/api_keys', address: '127.0.0.1', user_agent: 'node' },
    })
    expect(first.principal).toMatch(/^apikey_/)
    expect(first.credential).toBe(first.principal)
    expect(first.request!.id).toMatch(/^req_/)
    expect(Date.parse(first.created_at)).toBeGreaterThanOrEqual(before - 1)
    await good(operator, 'POST', `/v1/api_keys/${key.id}`, { name: 'other', policy: null })
    await good(operator, 'POST', `/v1/api_keys/${key.id}`, { name: 'other' })
    await good(operator, 'POST', `/v1/api_keys/${key.id}/rotate`)
    await good(operator, 'DELETE', `/v1/api_keys/${key.id}`)
    await good(operator, 'DELETE', `/v1/api_keys/${key.id}`)
    expect(await actions(key.id)).toEqual(['api_key.created', 'api_key.updated', 'api_key.rotated', 'api_key.revoked'])
    expect((await of(key.id))[1]!.details).toMatchObject({ changed: ['name', 'policy'], name: 'other', policy: {} })
    const make = async (path: string, body: object) => (await good<{ id: string }>(operator, 'POST', path, body)).id
    const workspace = await make('/v1/workspaces', { name: 'w' })
    await make(`/v1/workspaces/${workspace}`, { retention: { ttl_seconds: 60 } })
    await make(`/v1/workspaces/${workspace}/archive`, {})
    const whole = await good<Page>(operator, 'GET', `/v1/audit_events?order=asc&workspace_id=${workspace}`)
    expect(whole.data.map(({ action }) => action)).toEqual([
      'workspace.created',
      'workspace.updated',
      'workspace.archived',
    ])
    const agent = await make('/v1/agents', { name: 'A', model: 'claude-haiku-9' })
    await make(`/v1/agents/${agent}`, { name: 'B' })
    await make(`/v1/agents/${agent}`, { name: 'B' })
    const deployment = await make('/v1/deployments', {
      name: 'D',
      agent,
      initial_events: [{ type: 'user.message', content: 'say x' }],
    })
    await make(`/v1/deployments/${deployment}/pause`, {})
    await make(`/v1/deployments/${deployment}/archive`, {})
    await make(`/v1/agents/${agent}/archive`, {})
    expect(await actions(agent)).toEqual(['agent.created', 'agent.updated', 'agent.archived'])
    expect(await actions(deployment)).toEqual(['deployment.created', 'deployment.updated', 'deployment.archived'])
    const endpoint = await make('/v1/webhook_endpoints', { url: 'https://example.com/?token=canary-url' })
    await make(`/v1/webhook_endpoints/${endpoint}`, { types: ['session.*'], status: 'disabled' })
    await make(`/v1/webhook_endpoints/${endpoint}/rotate_secret`, {})
    await good(operator, 'DELETE', `/v1/webhook_endpoints/${endpoint}`)
    expect(await actions(endpoint)).toEqual([
      'webhook_endpoint.created',
      'webhook_endpoint.updated',
      'webhook_endpoint.secret_rotated',
      'webhook_endpoint.deleted',
    ])
  })

  test('RT8 sessions are made, changed, archived and erased by somebody, and the server alone is named server', async () => {
    const key = await keyOf()
    const { id } = await good<Session>(key.secret, 'POST', '/v1/sessions', {
      initial_events: [{ type: 'user.message', content: 'say x' }],
    })
    await good(key.secret, 'GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)
    await good(operator, 'POST', `/v1/sessions/${id}`, { title: 'no act', limits: { max_turns: 4 } })
    await good(key.secret, 'POST', `/v1/sessions/${id}/archive`)
    await good(operator, 'POST', '/v1/sessions/prune', { older_than: 0 })
    const lines = (await of(id)).map(({ action, principal, request }) => [action, principal === key.id, request?.route])
    expect(lines).toEqual([
      ['session.created', true, 'POST /v1/sessions'],
      ['session.updated', false, 'POST /v1/sessions/:session_id'],
      ['session.archived', true, 'POST /v1/sessions/:session_id/archive'],
      ['session.deleted', false, 'POST /v1/sessions/prune'],
    ])
    const { data } = await list('action[]=api_key.created')
    expect(data[0]).toMatchObject({
      principal: 'server',
      credential: null,
      request: null,
      details: { name: 'First key' },
    })
  })

  test('RT9 tokens and logins say whose they are, and what is done with one names it', async () => {
    const key = await keyOf({ scopes: ['admin'] })
    const { id } = await good<Session>(key.secret, 'POST', '/v1/sessions', {})
    const token = await good<{ id: string }>(key.secret, 'POST', `/v1/sessions/${id}/tokens`, { scopes: ['read'] })
    const origin = server.url
    const login = await server.request('POST', '/v1/login', { api_key: key.secret }, { origin })
    const cookie = login.headers.get('set-cookie')!.split(';')[0]!
    const made = await server.request('POST', '/v1/sessions', {}, { cookie, origin })
    expect(made.status).toBe(200)
    await server.request('POST', '/v1/logout', {}, { cookie, origin })
    const { data } = await list(`principal=${key.id}`)
    expect(data.map(({ action }) => action)).toEqual([
      'session.created',
      'session_token.created',
      'login.created',
      'session.created',
      'login.ended',
    ])
    expect(data[1]).toMatchObject({ resource: { type: 'session', id }, details: { token_id: token.id } })
    expect(data[3]!.credential).toBe(data[2]!.resource!.id)
  })

  test('RT10 what is refused is noted behind the answer, and a flood of it is one line with a count', async () => {
    const key = await keyOf({ policy: { permission_modes: ['plan'] } })
    const asks = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
    for (let n = 0; n < 20; n++)
      expect((await as(key.secret, 'POST', '/v1/sessions', asks)).body.code).toBe('permission_mode_not_allowed')
    expect((await as(key.secret, 'GET', '/v1/audit_events')).body.code).toBe('scope_missing')
    expect((await as('sk_troupe_wrong', 'GET', '/v1/sessions')).status).toBe(401)
    expect((await as(key.secret, 'POST', '/v1/sessions', { priority: 'high' })).status).toBe(400)
    const lines = await vi.waitFor(async () => {
      const { data } = await list(`principal=${key.id}&outcome=refused`)
      expect(data.reduce((sum, { count }) => sum + count, 0)).toBe(21)
      return data
    }, 60_000)
    expect(lines.length).toBeLessThanOrEqual(4)
    expect(lines[0]).toMatchObject({
      action: 'request.refused',
      outcome: 'refused',
      reason: 'permission_mode_not_allowed',
      principal: key.id,
      request: { route: 'POST /v1/sessions' },
    })
    const unknown = await vi.waitFor(async () => {
      const { data } = await list('principal=nobody')
      expect(data.length).toBeGreaterThan(0)
      return data
    }, 60_000)
    expect(unknown[0]).toMatchObject({ reason: 'invalid_api_key', credential: 'nobody' })
  })

  test('RT11 an admin sees its own workspace, an operator all; others see nothing', async () => {
    const { id: workspace_id } = await good<Made>(operator, 'POST', '/v1/workspaces', { name: 'other' })
    const stranger = await keyOf({ workspace_id, scopes: ['admin'] })
    const mine = await good<Session>(operator, 'POST', '/v1/sessions', {})
    const { data } = await list('', stranger.secret)
    expect(data.map(({ action }) => action)).toEqual(['workspace.created', 'api_key.created'])
    expect((await list(`resource_id=${mine.id}`, stranger.secret)).data).toEqual([])
    for (const other of ['wrkspc_default', 'all', 'wrkspc_none'])
      expect((await as(stranger.secret, 'GET', `/v1/audit_events?workspace_id=${other}`)).status).toBe(404)
    const all = await list('workspace_id=all&limit=1000')
    expect(new Set(all.data.map((line) => line.workspace_id)).size).toBeGreaterThan(1)
    const reader = await keyOf()
    for (const path of ['/v1/audit_events', '/v1/audit_events/export'])
      expect((await as(reader.secret, 'GET', path)).status).toBe(403)
  })

  test('RT12 the log is paged, filtered and exported', async () => {
    const key = await keyOf()
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.push((await good<Session>(key.secret, 'POST', '/v1/sessions', {})).id)
    const filter = `principal=${key.id}&action[]=session.*&action[]=api_key.created`
    const seen: string[] = []
    for (let page: string | null = ''; page !== null;) {
      const answer: Page = await list(`${filter}&limit=2${page && `&page=${encodeURIComponent(page)}`}`)
      expect(answer.data.length).toBeLessThanOrEqual(2)
      seen.push(...answer.data.map(({ resource }) => resource!.id))
      page = answer.next_page
    }
    expect(seen).toEqual(ids)
    const newest = await good<Page>(operator, 'GET', `/v1/audit_events?${filter}&limit=1`)
    expect(newest.data[0]!.resource!.id).toBe(ids[4])
    const since = newest.data[0]!.created_at
    expect((await list(`${filter}&created_at[gt]=${since}`)).data).toEqual([])
    expect((await list(`${filter}&created_at[gte]=${since}`)).data.length).toBeGreaterThan(0)
    expect((await list('action[]=session.deleted&principal=apikey_none')).data).toEqual([])
    expect((await as(operator, 'GET', '/v1/audit_events?action[]=[a-z]*')).status).toBe(400)
    const lines = (await exported(filter)).trim().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as AuditEvent).resource!.id)).toEqual(ids)
    const odd = await as(key.secret, 'POST', '/v1/sessions', {}, { 'user-agent': 'a\u0085b' })
    expect(await exported(`resource_id=${(odd.body as Session).id}`)).toContain(String.raw`a\u0085b`)
  })

  test('RT13 no line holds a secret', async () => {
    const key = await keyOf({ name: 'k' })
    await good(key.secret, 'POST', '/v1/sessions', { env: { APP: 'canary-env' }, title: 'canary-title' })
    const text = await exported('workspace_id=all')
    expect(text).toContain(key.id)
    for (const secret of [operator, key.secret, 'canary-env', 'canary-title', 'canary-url', 'whsec_'])
      expect(text).not.toContain(secret)
    expect(text).not.toMatch(/sk_troupe_|est_[\w-]{20}|elt_[\w-]{20}/)
  })

  test('RT16 who decided about a call that waited is in the log, with what was allowed for good', async () => {
    const other = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { env: { ANTHROPIC_API_KEY: undefined } },
    )
    onTestFinished(() => other.stop())
    const steps = [{ tools: [{ name: 'Bash', input: { command: 'mkdir x' } }] }]
    const prompt = `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
    const asked = await other.create(prompt)
    const late = await other.create(prompt, { approvals: { timeout_seconds: 1 } })
    const [approval] = (await other.idle(asked.id)).required_actions
    await other.post(`/v1/approvals/${approval!.event_id}`, { result: 'allow', remember: 'session', actor: 'kim' })
    const { data: grants } = await other.get<{ data: { id: string }[] }>(`/v1/grants?session_id=${asked.id}`)
    await other.idle(asked.id)
    const of = async (id: string) => (await other.get<Page>(`/v1/audit_events?resource_id=${id}`)).data
    expect(await of(approval!.event_id)).toMatchObject([
      {
        action: 'approval.decided',
        principal: 'local',
        details: { status: 'allowed', actor: 'kim', tool_name: 'Bash', session_id: asked.id },
        request: { route: 'POST /v1/approvals/:approval_id' },
      },
    ])
    expect(await of(grants[0]!.id)).toMatchObject([
      { action: 'grant.created', principal: 'local', details: { rule: 'Bash(=mkdir x)', session_id: asked.id } },
    ])
    // The clock decided about the other one.
    const byClock = await vi.waitFor(async () => {
      const { data } = await other.get<Page>('/v1/audit_events?action[]=approval.decided&principal=server')
      expect(data).toHaveLength(1)
      return data[0]!
    }, 60_000)
    expect(byClock).toMatchObject({ details: { session_id: late.id }, request: null })
    await other.idle(asked.id)
    expect((await other.request('DELETE', `/v1/sessions/${asked.id}`)).status).toBe(200)
    expect((await of(grants[0]!.id)).map(({ action }) => action)).toEqual(['grant.created'])
  })

  test('RT14 a line is in the transaction of its act: where the line cannot be written nothing is done', async () => {
    const other = await testServer()
    onTestFinished(() => other.stop())
    const { id } = await other.create(null)
    const db = new Sqlite(join(other.folder, 'data', 'troupe.db'))
    onTestFinished(() => void db.close())
    db.exec(`create trigger refuse before insert on audit_events begin select raise(abort, 'no'); end`)
    expect((await other.request('DELETE', `/v1/sessions/${id}`)).status).toBe(500)
    expect((await other.request('POST', '/v1/sessions', {})).status).toBe(500)
    expect((await other.request('POST', '/v1/api_keys', { name: 'x', scopes: ['admin'] })).status).toBe(500)
    expect((await other.get<{ data: unknown[] }>('/v1/sessions')).data).toHaveLength(1)
    expect((await other.get<{ data: unknown[] }>('/v1/api_keys')).data).toHaveLength(0)
    db.exec('drop trigger refuse')
    expect((await other.request('DELETE', `/v1/sessions/${id}`)).status).toBe(200)
  })

  test('RT15 what expires says so, and lines older than audit_days are forgotten', async () => {
    let ahead = 0
    const other = await testServer(
      { audit_days: 2 },
      { clock: { now: () => Date.now() + ahead }, retentionEveryMs: 10 },
    )
    onTestFinished(() => other.stop())
    const { id } = await other.create(null, { retention: { ttl_seconds: 3_600 } })
    ahead += 3_700_000
    const line = async () =>
      (await other.get<Page>('/v1/audit_events?action[]=session.deleted')).data.map(
        ({ reason, principal, resource }) => [reason, principal, resource!.id],
      )
    await vi.waitFor(async () => expect(await line()).toEqual([['retention', 'server', id]]), 10_000)
    ahead += 86_400_000
    await other.restart()
    expect(await line()).toHaveLength(1)
    ahead += 86_400_000
    await other.restart()
    expect(await line()).toHaveLength(0)
  })
})

test('RT8 every action that is written is one that is documented', () => {
  const written = new Set([...AUDITED.map(({ action }) => action), 'request.refused'])
  expect([...written].toSorted()).toEqual(Object.keys(AUDIT_ACTIONS).toSorted())
  const api = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
  const rows = Object.entries(AUDIT_ACTIONS).map(([action, meaning]) => `| \`${action}\` | ${meaning} |`)
  expect(rows.filter((row) => !api.includes(row))).toEqual([])
})
