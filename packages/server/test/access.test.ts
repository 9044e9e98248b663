import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCOPES, type ScopeName } from '@troupe/protocol/access'
import { newId } from '@troupe/protocol/ids'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { all, Anthropic088, GENERATIONS } from './support/sdk-clients.ts'
import { type Reply, type TestServer, testServer } from './support/server.ts'

/** A server whose callers need keys, and its first key. */
async function lockedServer(flags: Parameters<typeof testServer>[0] = {}) {
  const keys: string[] = []
  const server = await testServer({ auth: 'on', ...flags }, { onFirstKey: (secret) => keys.push(secret) })
  return { server, keys, operator: keys[0]! }
}

interface Made {
  id: string
  secret: string
  prefix: string
  workspace_id: string
}

describe('keys', () => {
  let server: TestServer
  let operator: string
  let told: string[]
  beforeAll(async () => {
    const locked = await lockedServer()
    ;({ server, operator } = locked)
    told = locked.keys
  })
  afterAll(() => server.stop())

  const as = (secret: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    server.request(method, path, body, { authorization: `Bearer ${secret}`, ...headers })
  const good = async (reply: Promise<Reply>) => {
    const { status, body, text } = await reply
    expect([status, text]).toEqual([200, text])
    return body as never
  }
  const make = (scopes: ScopeName[], more: Record<string, unknown> = {}): Promise<Made> =>
    good(as(operator, 'POST', '/v1/api_keys', { name: 'Test', scopes, ...more }))

  test('KE7 the first start makes one key and says it once; no start after it makes another', async () => {
    expect(told).toHaveLength(1)
    expect(operator).toMatch(/^sk_troupe_[\w-]{43}$/)
    await server.restart()
    expect(told).toHaveLength(1)
    expect((await as(operator, 'GET', '/v1/sessions')).status).toBe(200)
  })

  test('KE8 a secret is in no file of the data folder', async () => {
    const { secret, id, prefix } = await make(['sessions:read'])
    const again = await as(
      operator,
      'POST',
      '/v1/api_keys',
      { name: 'B', scopes: ['admin'] },
      { 'idempotency-key': 'k' },
    )
    const replayed = await as(
      operator,
      'POST',
      '/v1/api_keys',
      { name: 'B', scopes: ['admin'] },
      { 'idempotency-key': 'k' },
    )
    expect(replayed.body).toMatchObject({ id: again.body.id, secret: null })
    const row = await as(operator, 'GET', `/v1/api_keys/${id}`)
    expect(row.body).toMatchObject({ prefix: secret.slice(0, 16), status: 'active' })
    expect(prefix.length).toBeLessThan(secret.length / 2)
    for (const file of ['troupe.db', 'troupe.db-wal']) {
      const bytes = readFileSync(join(server.folder, 'data', file), 'latin1')
      for (const each of [secret, operator, String(again.body.secret)]) expect(bytes.includes(each)).toBe(false)
    }
  })

  test('KE9 without a key, and with one that is not good, nothing is answered but what everybody may have', async () => {
    const none = await server.request('GET', '/v1/sessions')
    expect(none).toMatchObject({ status: 401, body: { code: 'missing_credentials' } })
    expect(none.headers.get('www-authenticate')).toBe('Bearer')
    for (const bad of ['sk_troupe_x', 'nonsense', `${operator}x`, `est_${'a'.repeat(43)}`])
      expect(await as(bad, 'GET', '/v1/sessions')).toMatchObject({ status: 401, body: { code: 'invalid_api_key' } })
    expect((await server.request('POST', '/execute/', { prompt: 'x' })).status).toBe(401)
    for (const path of ['/health', '/ready', '/openapi.json', '/'])
      expect([path, (await server.request('GET', path)).status]).toEqual([path, 200])
    expect((await server.request('GET', '/v1/sessions', undefined, { 'x-api-key': operator })).status).toBe(200)
  })

  test('KE10 every route of the server names what it needs', () => {
    const needs = [...server.app.needs]
    expect(needs.length).toBeGreaterThan(60)
    expect(needs.filter(([, need]) => need === null)).toEqual([])
    const named = new Set(needs.flatMap(([, need]) => (typeof need === 'string' || need === null ? [] : need)))
    expect([...named].filter((scope) => !(scope in SCOPES))).toEqual([])
    const open = needs.filter(([, need]) => need === 'public').map(([route]) => route)
    expect(open.filter((route) => route.includes('/v1/'))).toEqual(['POST /v1/login', 'POST /v1/logout'])
  })

  test('KE11 a key without the scope that a route names is refused, on every route', async () => {
    const { secret } = await make(['metrics:read'])
    const fill = (route: string) => route.replaceAll(/:\w+/g, newId('sesn'))
    for (const [route, need] of server.app.needs) {
      if (typeof need === 'string' || need === null || need.includes('metrics:read')) continue
      const [method = '', path = ''] = route.split(' ')
      const reply = await as(secret, method, fill(path), method === 'POST' ? {} : undefined)
      expect([route, reply.status, reply.body.code]).toEqual([route, 403, 'scope_missing'])
    }
  })

  test('KE12 an approval is answered by who may answer it, whichever way the answer is sent', async () => {
    const { secret } = await make(['sessions:read', 'sessions:write'])
    const session = await good(as(secret, 'POST', '/v1/sessions', {}))
    const answer = { events: [{ type: 'user.tool_confirmation', tool_use_id: newId('sevt'), result: 'allow' }] }
    const path = `/v1/sessions/${(session as { id: string }).id}/events`
    expect(await as(secret, 'POST', path, answer)).toMatchObject({ status: 403, body: { code: 'scope_missing' } })
    expect((await as(operator, 'POST', path, answer)).status).toBe(404)
  })

  test('KE13 nobody gives what they do not have, nor takes it from others', async () => {
    const admin = await make(['admin'])
    const give = (secret: string, scopes: ScopeName[], more = {}) =>
      as(secret, 'POST', '/v1/api_keys', { name: 'x', scopes, ...more })
    expect((await give(admin.secret, ['sessions:read', 'admin'])).status).toBe(200)
    expect(await give(admin.secret, ['operator'])).toMatchObject({ status: 403, body: { code: 'scope_missing' } })
    expect(await give(admin.secret, ['admin'], { workspace_id: 'wrkspc_x' })).toMatchObject({ status: 404 })
    const first = ((await as(operator, 'GET', '/v1/api_keys?limit=100')).body.data as Made[]).find(
      ({ prefix }) => prefix === operator.slice(0, 16),
    )!
    for (const [method, path] of [
      ['DELETE', ''],
      ['POST', '/rotate'],
    ] as const)
      expect(await as(admin.secret, method, `/v1/api_keys/${first.id}${path}`)).toMatchObject({
        status: 403,
        body: { code: 'scope_missing' },
      })
    // One with bounds could shed them by a key without.
    const bounded = await make(['admin'], { policy: { requests_per_minute: 600 } })
    expect(await give(bounded.secret, ['sessions:read'])).toMatchObject({
      status: 403,
      body: { code: 'limit_not_allowed' },
    })
  })

  test('KE14 a rotated key has two good secrets until the grace time is over; a revoked one has none', async () => {
    const { id, secret } = await make(['sessions:read'])
    const kept = (await good(as(operator, 'POST', `/v1/api_keys/${id}/rotate`))) as Made
    for (const each of [secret, kept.secret]) expect((await as(each, 'GET', '/v1/sessions')).status).toBe(200)
    const cut = (await good(as(operator, 'POST', `/v1/api_keys/${id}/rotate`, { grace_seconds: 0 }))) as Made
    for (const each of [secret, kept.secret]) expect((await as(each, 'GET', '/v1/sessions')).status).toBe(401)
    expect((await as(cut.secret, 'GET', '/v1/sessions')).status).toBe(200)
    expect(await good(as(operator, 'DELETE', `/v1/api_keys/${id}`))).toMatchObject({ status: 'revoked' })
    expect((await as(cut.secret, 'GET', '/v1/sessions')).body).toMatchObject({ code: 'invalid_api_key' })
    expect((await as(operator, 'POST', `/v1/api_keys/${id}/rotate`)).status).toBe(404)
  })

  test('KE15 a key that has expired, and one whose workspace is archived, are not good', async () => {
    const { id, secret } = await make(['sessions:read'])
    await good(as(operator, 'POST', `/v1/api_keys/${id}`, { expires_at: '2020-01-01T00:00:00Z' }))
    expect((await as(secret, 'GET', '/v1/sessions')).status).toBe(401)
    expect(await good(as(operator, 'GET', `/v1/api_keys/${id}`))).toMatchObject({ status: 'expired' })
    const workspace = (await good(as(operator, 'POST', '/v1/workspaces', { name: 'Short' }))) as { id: string }
    const key = await make(['admin'], { workspace_id: workspace.id })
    expect((await as(key.secret, 'GET', '/v1/sessions')).status).toBe(200)
    await good(as(operator, 'POST', `/v1/workspaces/${workspace.id}/archive`))
    expect((await as(key.secret, 'GET', '/v1/sessions')).status).toBe(401)
  })

  test('KE16 it is known when a key was last used', async () => {
    const { id, secret } = await make(['sessions:read'])
    await as(secret, 'GET', '/v1/sessions')
    await server.restart()
    const { last_used_at } = (await good(as(operator, 'GET', `/v1/api_keys/${id}`))) as { last_used_at: string }
    expect(Date.parse(last_used_at)).toBeGreaterThan(Date.now() - 60_000)
  })

  test('KE17 a token is for one session, does what it may there, and ends', async () => {
    const key = await make(['sessions:read', 'sessions:write'])
    const mine = (await good(as(key.secret, 'POST', '/v1/sessions', {}))) as { id: string }
    const other = (await good(as(key.secret, 'POST', '/v1/sessions', {}))) as { id: string }
    const token = async (body: object) => {
      const made = await good(as(key.secret, 'POST', `/v1/sessions/${mine.id}/tokens`, body))
      return (made as { token: string }).token
    }
    expect((await as(key.secret, 'POST', `/v1/sessions/${mine.id}/tokens`, { scopes: ['approve'] })).status).toBe(403)
    const read = await token({ scopes: ['read'] })
    expect(read).toMatch(/^est_/)
    expect((await as(read, 'GET', `/v1/sessions/${mine.id}/events`)).status).toBe(200)
    expect((await as(read, 'GET', `/v1/sessions/${other.id}/events`)).status).toBe(404)
    expect((await as(read, 'GET', '/v1/sessions')).status).toBe(403)
    const say = { events: [{ type: 'user.message', content: [{ type: 'text', text: 'hello' }] }] }
    expect((await as(read, 'POST', `/v1/sessions/${mine.id}/events`, say)).status).toBe(403)
    const send = await token({ scopes: ['read', 'send'] })
    expect((await as(send, 'POST', `/v1/sessions/${mine.id}/events`, say)).status).toBe(200)
    expect((await as(send, 'DELETE', `/v1/sessions/${mine.id}`)).status).toBe(403)
    expect((await as(send, 'POST', `/v1/sessions/${mine.id}/tokens`, { scopes: ['read'] })).status).toBe(403)
    // In the address only where a page can do no better.
    const stream = `/v1/sessions/${mine.id}/events/stream?from=start&until=idle&access_token=${read}`
    expect((await server.request('GET', stream)).text).toContain('session.status_idle')
    expect((await server.request('GET', `/v1/sessions/${mine.id}?access_token=${read}`)).status).toBe(401)
    expect(
      (await server.request('GET', stream.replace(/&acc.*/, ''), undefined, { cookie: `troupe_session=${read}` }))
        .status,
    ).toBe(200)
    await good(as(operator, 'DELETE', `/v1/api_keys/${key.id}`))
    expect((await as(read, 'GET', `/v1/sessions/${mine.id}`)).status).toBe(401)
  })

  test('KE18 a browser is logged in by a key, and its cookie writes from our own pages only', async () => {
    const key = await make(['sessions:read', 'sessions:write'])
    const origin = server.url
    const bad = await server.request('POST', '/v1/login', { api_key: 'sk_troupe_wrong' }, { origin })
    expect(bad.status).toBe(401)
    const reply = await server.request('POST', '/v1/login', { api_key: key.secret }, { origin })
    const set = reply.headers.get('set-cookie')!
    expect(set).toMatch(/^troupe_session=elt_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/)
    const cookie = set.split(';')[0]!
    expect((await server.request('GET', '/v1/sessions', undefined, { cookie })).status).toBe(200)
    expect((await server.request('POST', '/v1/sessions', {}, { cookie, origin })).status).toBe(200)
    for (const headers of [{ cookie }, { cookie, origin: 'http://localhost:1' }, { cookie, origin: 'null' }] as Record<
      string,
      string
    >[])
      expect(await server.request('POST', '/v1/sessions', {}, headers)).toMatchObject({
        status: 403,
        body: { code: 'origin_not_allowed' },
      })
    expect((await server.request('POST', '/v1/logout', {}, { cookie, origin })).status).toBe(200)
    expect((await server.request('GET', '/v1/sessions', undefined, { cookie })).status).toBe(401)
  })

  test('KE19 a stream ends when its key is revoked', async () => {
    const key = await make(['sessions:read', 'sessions:write'])
    const { id } = (await good(as(key.secret, 'POST', '/v1/sessions', {}))) as { id: string }
    const stream = await fetch(`${server.url}/v1/sessions/${id}/events/stream`, {
      headers: { authorization: `Bearer ${key.secret}` },
    })
    expect(stream.status).toBe(200)
    await good(as(operator, 'DELETE', `/v1/api_keys/${key.id}`))
    await expect(stream.text()).rejects.toThrow()
  })

  test('KE22 a rate is kept to and said', async () => {
    const { secret } = await make(['sessions:read'], { policy: { requests_per_minute: 2 } })
    const replies = []
    for (let n = 0; n < 3; n++) replies.push(await as(secret, 'GET', '/v1/sessions'))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 429])
    expect(replies[2]!.body.code).toBe('rate_limited')
    expect(Number(replies[2]!.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(replies[0]!.headers.get('ratelimit-policy')).toBe('"requests";q=2;w=60')
  })

  test('KE24 an official client that names another workspace than its key has is refused, and changes nothing', async () => {
    const { secret, workspace_id } = await make(['agents:write', 'agents:read'])
    const [{ Client }] = GENERATIONS as [(typeof GENERATIONS)[0]]
    const { agents } = new Client({ baseURL: server.url, apiKey: secret }).beta
    const { id } = await agents.create({ name: 'Own', model: 'sonnet', workspace_id })
    const strayed = await agents
      .create({ name: 'Strayed', model: 'sonnet', workspace_id: newId('wrkspc') })
      .catch(String)
    expect(strayed).toContain('anthropic-workspace-id')
    const named = (await all(agents.list())).filter(({ name }) => ['Own', 'Strayed'].includes(name))
    expect(named.map((agent) => agent.id)).toEqual([id])
  })

  test('KE23 with a key of another workspace nothing of this one is seen or touched, on any route', async () => {
    const workspace = await good(as(operator, 'POST', '/v1/workspaces', { name: 'Strangers' }))
    const { secret } = await make(['admin'], { workspace_id: (workspace as { id: string }).id })
    const create = (path: string, body: object) => good(as(operator, 'POST', path, body)) as Promise<{ id: string }>
    const session = await create('/v1/sessions', {
      external_id: 'mine',
      initial_events: [{ type: 'user.message', content: 'say mine' }],
    })
    await as(operator, 'GET', `/v1/sessions/${session.id}?wait_for=idle&timeout=60`)
    const events = (await as(operator, 'GET', `/v1/sessions/${session.id}/events`)).body.data as { id: string }[]
    const turns = (await as(operator, 'GET', `/v1/sessions/${session.id}/turns`)).body.data as { id: string }[]
    const agent = await create('/v1/agents', { name: 'Mine', model: 'haiku' })
    const hook = await create('/v1/webhook_endpoints', { url: 'https://example.org/hook' })
    const initial_events = [{ type: 'user.message', content: 'say mine' }]
    const deployment = await create('/v1/deployments', { name: 'Mine', agent: agent.id, initial_events })
    const deploymentRun = await create(`/v1/deployments/${deployment.id}/run`, {})
    const key = await make(['sessions:read'])
    const sent = async (path: string, name: string, content: string) => {
      const form = new FormData()
      form.append(path === '/v1/files' ? 'file' : 'files[]', new Blob([content]), name)
      const reply = await fetch(server.url + path, { method: 'POST', headers: { 'x-api-key': operator }, body: form })
      return (await reply.json()) as { id: string; latest_version_id: string }
    }
    const file = await sent('/v1/files', 'mine.txt', 'mine')
    const skill = await sent('/v1/skills', 'mine/SKILL.md', '---\nname: mine\ndescription: mine\n---\n')
    const environment = await create('/v1/environments', { name: 'Mine' })
    const resource = await create(`/v1/sessions/${session.id}/resources`, { type: 'file', file_id: file.id })
    const delegating = await create('/v1/sessions', {
      initial_events: [{ type: 'user.message', content: 'subagent mine' }],
    })
    await as(operator, 'GET', `/v1/sessions/${delegating.id}?wait_for=idle&timeout=60`)
    const threads = (await as(operator, 'GET', `/v1/sessions/${delegating.id}/threads`)).body.data as { id: string }[]
    await good(as(operator, 'POST', `/v1/webhook_endpoints/${hook.id}/test`, {}))
    const sentOut = (await as(operator, 'GET', `/v1/webhook_endpoints/${hook.id}/deliveries`)).body.data as {
      id: string
    }[]
    const asked = newId('sevt')
    const grant = {
      id: newId('grant'),
      sessionId: session.id,
      agentId: agent.id,
      rule: 'Bash',
      actor: null,
      createdAt: 1,
    }
    await server.app.store.commit({
      sessionId: session.id,
      at: Date.now(),
      events: [],
      grants: [grant],
      newApprovals: [
        {
          id: asked,
          sessionId: session.id,
          turnId: turns[0]!.id,
          threadId: null,
          kind: 'tool_confirmation',
          toolName: 'Bash',
          input: {},
          sdkToolUseId: 'toolu_1',
          reason: 'mine',
          rule: null,
          status: 'pending',
          held: false,
          decision: null,
          actor: null,
          verdictEventId: null,
          createdAt: 1,
          expiresAt: null,
          onTimeout: 'stay',
          decidedAt: null,
          consumedAt: null,
        },
      ],
    })
    const ids: Record<string, string> = {
      session_id: session.id,
      turn_id: turns[0]!.id,
      event_id: events[1]!.id,
      agent_id: agent.id,
      deployment_id: deployment.id,
      deployment_run_id: deploymentRun.id,
      webhook_endpoint_id: hook.id,
      delivery_id: sentOut[0]!.id,
      api_key_id: key.id,
      file_id: file.id,
      skill_id: skill.id,
      version: skill.latest_version_id,
      environment_id: environment.id,
      resource_id: resource.id,
      thread_id: threads.at(-1)!.id,
      approval_id: asked,
      grant_id: grant.id,
    }
    /** Nobody's: of the server itself, or for operators, who have no workspace. */
    const NOBODYS = new Set(['model_id', 'workspace_id'])
    const bodies: Record<string, unknown> = {
      'post /v1/sessions/{session_id}/events': { events: [{ type: 'user.interrupt' }] },
      'post /v1/sessions/{session_id}/rewind': { to_event_id: events[1]!.id },
      'post /v1/sessions/{session_id}/resources': { type: 'file', file_id: file.id },
      'post /v1/sessions/{session_id}/tokens': { scopes: ['read'] },
      'post /v1/approvals/{approval_id}': { result: 'allow' },
      'post /v1/webhook_endpoints/{webhook_endpoint_id}/replay': { from: new Date(0).toISOString() },
    }
    /** All of ours, as its owner sees it. */
    const now = () =>
      Promise.all(
        [
          `/v1/sessions/${session.id}/events?limit=1000`,
          `/v1/sessions/${session.id}/turns`,
          `/v1/sessions/${session.id}/resources`,
          `/v1/sessions/${delegating.id}/threads/${threads.at(-1)!.id}/events`,
          ...['agents', 'environments', 'files', 'skills', 'deployments', 'deployment_runs', 'webhook_endpoints'].map(
            (kind) => `/v1/${kind}`,
          ),
          `/v1/webhook_endpoints/${hook.id}/deliveries`,
          `/v1/approvals/${asked}`,
          '/v1/grants',
          `/v1/skills/${skill.id}/versions`,
          `/v1/api_keys/${key.id}`,
        ].map(async (path) => {
          const reply = await as(operator, 'GET', path)
          expect([path, reply.status]).toEqual([path, 200])
          // Nobody answers there: how often it has been tried is a matter of time.
          const whole = (name: string, value: unknown) =>
            ['status', 'attempts', 'attempt_count', 'next_attempt_at'].includes(name) ? undefined : value
          return [path, path.endsWith('/deliveries') ? JSON.stringify(reply.body, whole) : reply.body]
        }),
      )
    const before = await now()
    const { paths } = (await server.get('/openapi.json')) as { paths: Record<string, Record<string, unknown>> }
    let tried = 0
    // It never ends; SE6 reads it with a stranger's key.
    delete paths['/v1/events/stream']
    for (const [path, methods] of Object.entries(paths))
      for (const method of Object.keys(methods)) {
        const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
        // A route about something new is about something of ours here.
        expect(named.filter((name) => !(name in ids) && !NOBODYS.has(name))).toEqual([])
        const of: Record<string, string> = {
          ...ids,
          ...(path.includes('{thread_id}') && { session_id: delegating.id }),
        }
        const full = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => of[name] ?? 'nothing')
        const body = ['get', 'delete'].includes(method) ? undefined : (bodies[`${method} ${path}`] ?? {})
        const reply = await as(secret, method.toUpperCase(), full, body)
        const what = `${method} ${full}: ${reply.status} ${reply.text.slice(0, 300)}`
        if (named.some((name) => name in ids)) {
          expect(reply.status, what).toBe(404)
          tried++
        } else if (reply.status === 200 && reply.headers.get('content-type')?.includes('json'))
          for (const id of Object.values(ids)) expect(reply.text.includes(id), what).toBe(false)
      }
    expect(tried).toBeGreaterThan(60)
    const resumed = await as(secret, 'POST', '/execute/', { prompt: 'x', resume_session_id: session.id })
    expect(resumed.status).toBe(400)
    const own = await good(as(secret, 'POST', '/v1/sessions', { external_id: 'mine' }))
    expect((own as { id: string }).id).not.toBe(session.id)
    expect(await as(secret, 'POST', '/v1/sessions', { agent: agent.id })).toMatchObject({ status: 404 })
    expect(await now()).toEqual(before)
  })

  test('W16 the official SDKs send the key that they are given, each in its way', async () => {
    const { secret } = await make(['sessions:read'])
    for (const { Client } of GENERATIONS) {
      const client = new Client({ baseURL: server.url, apiKey: secret })
      expect(Array.isArray(await all(client.beta.sessions.list()))).toBe(true)
      const stranger = new Client({ baseURL: server.url, apiKey: 'sk_troupe_wrong' })
      await expect(all(stranger.beta.sessions.list())).rejects.toMatchObject({ status: 401 })
    }
    const old = new Anthropic088({ baseURL: server.url, apiKey: secret })
    expect(Array.isArray((await old.beta.sessions.list()).data)).toBe(true)
  })
})

test('KE10 the table of scopes in docs/api.md is the one that counts', () => {
  const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
  for (const [scope, what] of Object.entries(SCOPES)) expect(text).toContain(`| \`${scope}\` | ${what} |`)
})

test('KE20 beyond loopback a server starts with keys only', async () => {
  await expect(testServer({ host: '0.0.0.0' })).rejects.toThrow(/there is no key yet/)
  await expect(testServer({ host: '0.0.0.0', auth: 'off' })).rejects.toThrow(/An open agent server runs anyone's code/)
  await expect(testServer({ allowed_hosts: ['*'] })).rejects.toThrow(/TROUPE_AUTH=on/)
})

test('KE21 without a key nobody on this machine needs one; with `auto` everybody does once there is one', async () => {
  const server = await testServer()
  expect((await server.request('GET', '/v1/sessions')).status).toBe(200)
  const { secret } = await server.post<Made>('/v1/api_keys', { name: 'First', scopes: ['operator'] })
  expect((await server.request('GET', '/v1/sessions')).status).toBe(200)
  await server.restart()
  expect((await server.request('GET', '/v1/sessions')).status).toBe(401)
  expect((await server.request('GET', '/v1/sessions', undefined, { 'x-api-key': secret })).status).toBe(200)
  await server.restart({ auth: 'off' })
  expect((await server.request('GET', '/v1/sessions')).status).toBe(200)
  await server.stop()
})
