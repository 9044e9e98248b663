import type { Session } from '@troupe/protocol/session'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { receiver } from './support/receiver.ts'
import { testServer } from './support/server.ts'

test('IS1 a secret is in no output of the server: logs, events, answers, errors, exports, metrics, webhooks, traces, command lines, folders', async () => {
  const canaries = {
    model: 'sk-ant-canary-model-11',
    other: 'canary-of-the-server-22',
    env: 'canary-session-env-33',
    header: 'canary-wrong-header-44',
    query: 'canary-wrong-query-55',
    mcp: 'canary-mcp-env-66',
    cookie: 'canary-wrong-cookie-77',
    json: 'canary-broken-json-88',
    environment: 'canary-environment-env-99',
    repository: 'canary-repository-token-aa',
    collector: 'canary-collector-header-bb',
    idempotency: 'canary-idempotency-key-cc',
  }
  let log = ''
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    },
  })
  let operator = ''
  const hook = await receiver()
  onTestFinished(() => hook.close())
  const traces = await receiver()
  onTestFinished(() => traces.close())
  const server = await testServer(
    { auth: 'on', webhook_allow_private: true, allow_stdio_mcp: true, git_sources: 'http://127.0.0.1:9/' },
    {
      logger: pino({ level: 'debug' }, sink),
      onFirstKey: (secret) => (operator = secret),
      env: {
        ANTHROPIC_API_KEY: canaries.model,
        DATABASE_PASSWORD: canaries.other,
        OTEL_EXPORTER_OTLP_ENDPOINT: traces.url,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=${canaries.collector}`,
      },
    },
  )
  onTestFinished(() => server.stop())
  const outputs: [string, string][] = []
  const call = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const reply = await fetch(server.url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(headers ?? { 'x-api-key': operator }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await reply.text()
    outputs.push([`${method} ${path.split('access_token')[0]}`, text + JSON.stringify([...reply.headers])])
    return { status: reply.status, text }
  }
  /** Shown once to who asked for it, and never again: that answer is not looked at. */
  const secretOf = async (path: string, body: unknown) => {
    const { status, text } = await call('POST', path, body)
    outputs.pop()
    expect(status, text).toBe(200)
    const answer = JSON.parse(text) as { secret?: string; token?: string }
    return (answer.secret ?? answer.token)!
  }

  const key = await secretOf('/v1/api_keys', { name: 'ci', scopes: ['sessions:read', 'sessions:write'] })
  const signing = await secretOf('/v1/webhook_endpoints', { url: `${hook.url}/hook`, event_types: ['*'] })
  const made = await call('GET', '/v1/api_keys')
  const { data: keys } = JSON.parse(made.text) as { data: { id: string; name: string }[] }
  const rotated = await secretOf(`/v1/api_keys/${keys.find(({ name }) => name === 'ci')!.id}/rotate`, {})
  const place = await call('POST', '/v1/environments', {
    name: 'with a secret',
    config: { type: 'local', env: { PLACE_TOKEN: canaries.environment } },
  })
  const { id: environment_id } = JSON.parse(place.text) as { id: string }
  // Nobody listens there: the clone fails, and says so wherever it can.
  const repository = {
    type: 'github_repository',
    url: 'http://127.0.0.1:9/a/b',
    authorization_token: canaries.repository,
  }
  const given = await call('POST', '/v1/sessions', {
    environment_id,
    resources: [repository],
    initial_events: [{ type: 'user.message', content: 'hello' }],
  })
  expect(given.status, given.text).toBe(200)
  const cloning = (JSON.parse(given.text) as Session).id
  const failed = await call('GET', `/v1/sessions/${cloning}?wait_for=idle&timeout=60`)
  expect((JSON.parse(failed.text) as Session).last_error!.type).toBe('repository_clone_error')
  const created = await call(
    'POST',
    '/v1/sessions',
    {
      env: { APP_TOKEN: canaries.env },
      agent: {
        type: 'inline',
        tools: [{ type: 'mcp_toolset', mcp_server_name: 'store' }],
        mcp_servers: [{ type: 'stdio', name: 'store', command: 'no-such-program', env: { TOKEN: canaries.mcp } }],
      },
      initial_events: [{ type: 'user.message', content: 'hello' }],
    },
    { authorization: `Bearer ${key}` },
  )
  expect(created.status, created.text).toBe(200)
  const { id } = JSON.parse(created.text) as Session
  await call('GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)
  const token = await secretOf(`/v1/sessions/${id}/tokens`, { scopes: ['read'], ttl_seconds: 60 })
  for (const path of [
    '/v1/sessions',
    '/v1/environments',
    `/v1/environments/${environment_id}`,
    `/v1/sessions/${cloning}/events?limit=1000`,
    `/v1/sessions/${cloning}/resources`,
    `/v1/sessions/${cloning}/export?format=jsonl`,
    `/v1/sessions/${id}/events?limit=1000`,
    `/v1/sessions/${id}/turns`,
    `/v1/sessions/${id}/events/stream?from=start&until=idle`,
    `/v1/sessions/${id}/export?format=jsonl`,
    `/v1/sessions/${id}/export?format=markdown`,
    `/v1/sessions/${id}/export?format=html`,
    `/status/${id}`,
    '/sessions/',
    '/metrics',
    '/v1/info',
    '/v1/models',
    '/v1/usage',
    '/v1/queue',
    '/ready',
    '/openapi.json',
    '/v1/api_keys',
    '/v1/webhook_endpoints',
    '/v1/audit_events',
    '/v1/audit_events/export',
    '/v1/approvals?status=all',
    '/',
    '/docs/',
  ])
    await call('GET', path)
  // A stream may be opened with a token in its address, which logs would keep.
  await call('GET', `/v1/sessions/${id}/events/stream?from=start&until=idle&access_token=${token}`, undefined, {})
  await call('GET', `/v1/sessions/${id}/events/stream?access_token=${canaries.query}`, undefined, {})
  await call('GET', '/v1/sessions', undefined, { authorization: `Bearer ${canaries.header}` })
  await call('GET', '/v1/sessions', undefined, { 'x-api-key': canaries.header })
  await call('GET', '/v1/sessions', undefined, { cookie: `troupe_session=${canaries.cookie}` })
  await call('POST', '/v1/sessions', `{"env": {"TOKEN": "${canaries.json}"`)
  await call('POST', '/v1/sessions', { env: { LD_PRELOAD: canaries.env } })
  await call('POST', '/execute/', { prompt: 'hi', env: { NODE_OPTIONS: canaries.env } })
  await call('POST', '/v1/sessions', { title: 1 }, { 'x-api-key': operator, 'idempotency-key': canaries.idempotency })
  const working = await call('POST', '/v1/sessions', {
    environment_id,
    env: { APP_TOKEN: canaries.env },
    initial_events: [{ type: 'user.message', content: 'hold' }],
  })
  const { id: held } = JSON.parse(working.text) as Session
  await call('GET', `/v1/sessions/${held}/events/stream?from=start&until=idle`, undefined, {
    authorization: `Bearer ${canaries.header}`,
  })
  for (let told = false; !told;)
    told = (await call('GET', `/v1/sessions/${held}/events?types[]=agent.message`)).text.includes('agent.message')
  // What everybody on this machine may read of its processes, and what agents find in their folders.
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      outputs.push([`the command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`, 'utf8')])
    } catch {
      // It has ended.
    }
  const sessions = join(server.folder, 'data', 'sessions')
  for (const name of readdirSync(sessions, { recursive: true, encoding: 'utf8' })) {
    const file = join(sessions, name)
    if (statSync(file, { throwIfNoEntry: false })?.isFile()) outputs.push([`file ${name}`, readFileSync(file, 'utf8')])
  }
  await call('POST', `/v1/sessions/${held}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  for (const { body } of await traces.until(1)) outputs.push(['traces', body])
  const [first] = await hook.until(1)
  for (const { headers, body } of hook.received) outputs.push(['webhook', JSON.stringify(headers) + body])
  expect(first!.headers['webhook-signature']).toEqual(expect.any(String))
  outputs.push(['log', log])

  // It was looked at where something is: a log of every request, with its id, and a session that ran.
  expect(log).toMatch(/"req":"req_\w+","method":"GET","url":"\/v1\/sessions\/sesn_/)
  expect(log).toContain('access_token=…')
  expect(outputs.find(([what]) => what.includes('/events?'))![1]).toContain('hello')
  // The environment of an MCP program is part of the agent's definition, which the session shows to who may read it.
  const ofDefinition = (what: string, name: string) =>
    name === 'mcp' && /^\w+ \/v1\/sessions(\/\w+\?wait_for.*)?$/.test(what)
  const planted = { ...canaries, operator, key, rotated, signing, token }
  const found = outputs.flatMap(([what, text]) =>
    Object.entries(planted).flatMap(([name, secret]) =>
      text.includes(secret) && !ofDefinition(what, name) ? [`${what}: ${name}`] : [],
    ),
  )
  expect(found).toEqual([])
})
