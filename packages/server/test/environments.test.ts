import type { Policy } from '@troupe/protocol/access'
import type { Environment } from '@troupe/protocol/environment'
import type { Session } from '@troupe/protocol/session'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Anthropic as Anthropic1 } from 'anthropic-sdk-1.12'
import { newId } from '@troupe/protocol/ids'
import { makeWorkdir } from '../src/sessions/session-folders.ts'
import { all, counted, GENERATIONS } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const message = (content: string) => ({ type: 'user.message', content })
const ENVIRONMENTS = '/v1/environments'

describe('environments', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const make = (config: object, more: object = {}) =>
    server.post<Environment>(ENVIRONMENTS, { name: 'Mine', config, ...more })
  const refusal = async (path: string, body: unknown) => {
    const reply = await server.request('POST', path, body)
    return [reply.status, reply.body.code]
  }
  const answer = async (id: string, prompt: string) => {
    await server.send(id, prompt)
    return (await server.idle(id)).result!.text
  }

  test.each(GENERATIONS)(
    'EN1 the official SDK $version creates, retrieves, lists, changes, archives and deletes environments',
    async ({ Client }) => {
      const client = new Client(counted(server.url).options)
      const { environments } = client.beta
      const made = await environments.create({
        name: 'Python',
        description: 'For data',
        config: { type: 'cloud', networking: { type: 'unrestricted' } },
        metadata: { team: 'data', old: 'x' },
      })
      expect(made).toMatchObject({
        type: 'environment',
        name: 'Python',
        config: {
          type: 'cloud',
          networking: { type: 'unrestricted' },
          packages: { type: 'packages', apt: [], pip: [] },
        },
        archived_at: null,
      })
      expect(await environments.retrieve(made.id)).toEqual(made)
      const changed = await environments.update(made.id, {
        name: 'Python 3',
        description: null,
        metadata: { old: null, new: 'y' },
      })
      expect(changed).toMatchObject({ name: 'Python 3', description: null, metadata: { team: 'data', new: 'y' } })
      const other = await environments.create({ name: 'Other' })
      expect((await all(environments.list({ limit: 1 }))).slice(0, 2).map(({ id }) => id)).toEqual([other.id, made.id])
      const session = await client.beta.sessions.create({ agent: 'agent_default', environment_id: made.id })
      expect(session.environment_id).toBe(made.id)
      expect((await environments.archive(made.id)).archived_at).toEqual(expect.any(String))
      expect((await all(environments.list())).map(({ id }) => id)).not.toContain(made.id)
      expect((await all(environments.list({ include_archived: true }))).map(({ id }) => id)).toContain(made.id)
      await expect(environments.update(made.id, { name: 'x' })).rejects.toMatchObject({ status: 400 })
      expect(await environments.delete(other.id)).toEqual({ type: 'environment_deleted', id: other.id })
      await expect(environments.retrieve(other.id)).rejects.toMatchObject({ status: 404 })
      // What the server calls its own is there too, by the name that every create may leave out.
      expect(await environments.retrieve('env_default')).toMatchObject({ id: 'env_default', name: 'Default' })
    },
  )

  test('EN2 a session keeps what its environment was when it began, whatever becomes of that', async () => {
    const { id } = await make({ type: 'local', env: { COLOUR: 'red' }, limits: { max_turns: 7 } })
    const session = await server.create(null, { environment_id: id })
    expect(session.limits.max_turns).toBe(7)
    const config = { type: 'local', env: { COLOUR: 'blue' }, limits: { max_turns: 9 } }
    await server.post(`${ENVIRONMENTS}/${id}`, { config })
    expect(await answer(session.id, 'env COLOUR')).toBe('red')
    const later = await server.create('env COLOUR', { environment_id: id })
    expect((await server.idle(later.id)).result!.text).toBe('blue')
    await server.request('DELETE', `${ENVIRONMENTS}/${id}`)
    await server.restart()
    expect(await answer(session.id, 'env COLOUR')).toBe('red')
    const forked = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
    expect([forked.environment_id, await answer(forked.id, 'env COLOUR')]).toEqual([id, 'red'])
    expect((await server.get<Session>(`/v1/sessions/${session.id}`)).environment_id).toBe(id)
  })

  test('EN3 an archived environment, and one that is not there, starts nothing: no session and no deployment', async () => {
    const { id } = await make({ type: 'local' })
    const deployment = { name: 'D', agent: 'agent_default', initial_events: [message('say x')], environment_id: id }
    const before = await server.post<{ id: string }>('/v1/deployments', deployment)
    const run = () => server.post<Record<string, unknown>>(`/v1/deployments/${before.id}/run`)
    const { session_id } = await run()
    expect((await server.get<Session>(`/v1/sessions/${session_id as string}`)).environment_id).toBe(id)
    await server.post(`${ENVIRONMENTS}/${id}/archive`)
    expect(await refusal('/v1/sessions', { environment_id: id })).toEqual([400, 'environment_archived'])
    expect(await refusal('/v1/deployments', deployment)).toEqual([400, 'environment_archived'])
    expect(await refusal(`/v1/deployments/${before.id}`, { environment_id: id })).toEqual([400, 'environment_archived'])
    expect(await run()).toMatchObject({ session_id: null, error: { type: 'environment_archived_error' } })
    await server.request('DELETE', `${ENVIRONMENTS}/${id}`)
    expect(await refusal('/v1/sessions', { environment_id: id })).toEqual([404, 'environment_not_found'])
    expect(await run()).toMatchObject({ session_id: null, error: { type: 'environment_not_found_error' } })
    expect((await server.request('DELETE', `${ENVIRONMENTS}/${id}`)).status).toBe(404)
  })

  test('EN4 workdirs lie in the cwd_root of their environment, and go with their sessions, also when the server dies in between', async () => {
    const root = join(server.folder, 'workdirs')
    mkdirSync(root)
    expect(await refusal(ENVIRONMENTS, { name: 'x', config: { type: 'local', cwd_root: join(root, 'none') } })).toEqual(
      [400, 'cwd_not_found'],
    )
    const { id, config } = await make({ type: 'local', cwd_root: root })
    const one = await server.create(null, { environment_id: id })
    expect(one.cwd).toBe(join(root, one.uuid))
    const two = await server.post<Session>(`/v1/sessions/${one.id}/fork`, {})
    expect(readdirSync(root).toSorted()).toEqual([one.uuid, two.uuid].toSorted())
    expect(await answer(one.id, 'say here')).toBe('here')
    await server.request('DELETE', `/v1/sessions/${one.id}`)
    expect(readdirSync(root)).toEqual([two.uuid])
    // Made by a server that died before it could write the session.
    const sessions = join(server.folder, 'data', 'sessions')
    const environment = { id, config } as never
    const orphan = await makeWorkdir(sessions, newId('sesn'), { environment })
    expect(existsSync(orphan)).toBe(true)
    await server.restart()
    await expect.poll(() => readdirSync(root)).toEqual([two.uuid])
    // A workdir that was named is whose it was.
    const named = join(server.folder, 'named')
    mkdirSync(named)
    const three = await server.create(null, { environment_id: id, cwd: named })
    await server.request('DELETE', `/v1/sessions/${three.id}`)
    expect(existsSync(named)).toBe(true)
    rmSync(root, { recursive: true })
    expect(await refusal('/v1/sessions', { environment_id: id })).toEqual([400, 'cwd_not_found'])
  })

  test('EN5 variables reach the agent, under those of the request; their values are never shown, and stay when sent back as shown', async () => {
    const env = { TOKEN: 'env-secret-value', MODE: 'from-environment' }
    const made = await make({ type: 'local', env, env_names: ['MODE', 'APP_*'] })
    expect(made.config.env).toEqual({ TOKEN: null, MODE: null })
    const { config } = await server.post<Environment>(`${ENVIRONMENTS}/${made.id}`, { config: made.config })
    expect(config).toEqual(made.config)
    const fields = { environment_id: made.id, env: { MODE: 'from-request', APP_X: '1' } }
    const { id } = await server.create('env TOKEN', fields)
    expect((await server.idle(id)).result!.text).toBe('env-secret-value')
    expect(await answer(id, 'env MODE')).toBe('from-request')
    expect(await refusal('/v1/sessions', { environment_id: made.id, env: { OTHER: 'x' } })).toEqual([
      400,
      'env_not_allowed',
    ])
    const fresh = await server.create(null, { environment_id: made.id })
    const shown = await Promise.all(
      [`/v1/sessions/${fresh.id}`, `/v1/sessions/${fresh.id}/events`, '/v1/sessions', ENVIRONMENTS].map((path) =>
        server.request('GET', path),
      ),
    )
    for (const { text } of shown.slice(0, 2)) expect(text).not.toContain('env-secret-value')
    expect(shown[3]!.text).not.toContain('env-secret-value')
    for (const name of ['ANTHROPIC_BASE_URL', 'LD_PRELOAD', 'node_options', 'PATH', 'GIT_SSH', 'TROUPE_X', 'a=b'])
      expect([
        name,
        ...(await refusal(ENVIRONMENTS, { name: 'x', config: { type: 'local', env: { [name]: 'x' } } })),
      ]).toEqual([name, 400, 'env_not_allowed'])
    const keep = { type: 'local', env: { NEW: null } }
    expect(await refusal(`${ENVIRONMENTS}/${made.id}`, { config: keep })).toEqual([400, 'validation_failed'])
  })

  test('EN6 limits of the environment hold where a session names none', async () => {
    const limits = { max_turns: 7, turn_timeout_seconds: 100, max_queue_seconds: 50 }
    const { id } = await make({ type: 'local', limits })
    const named = { max_turns: 3, turn_timeout_seconds: 30, max_queue_seconds: 20 }
    expect((await server.create(null, { environment_id: id })).limits).toEqual(limits)
    expect((await server.create(null, { environment_id: id, limits: named })).limits).toEqual(named)
    expect((await server.create(null)).limits).toEqual({
      max_turns: null,
      turn_timeout_seconds: null,
      max_queue_seconds: null,
    })
  })

  test('EN7 what this version does not have is refused, a type never changes, and the built-in one is as it is', async () => {
    const tried = (config: object) => refusal(ENVIRONMENTS, { name: 'x', config })
    expect(await tried({ type: 'self_hosted' })).toEqual([400, 'unsupported_feature'])
    expect(await tried({ type: 'container', image: 'debian' })).toEqual([503, 'container_unavailable'])
    expect(await tried({ type: 'cloud', packages: { apt: ['jq'] } })).toEqual([400, 'unsupported_feature'])
    expect(await tried({ type: 'local', startup: ['make'] })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'sandbox', filesystem: { denyRead: ['/x'] } })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'bare' })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', cwd_root: 'relative' })).toEqual([400, 'validation_failed'])
    expect(await tried({ type: 'local', env: { BIG: 'x'.repeat(32_768) } })).toEqual([400, 'validation_failed'])
    expect(await refusal(ENVIRONMENTS, { name: 'x', scope: 'account' })).toEqual([400, 'unsupported_feature'])
    const { id } = await make({ type: 'local' })
    expect(await refusal(`${ENVIRONMENTS}/${id}`, { config: { type: 'cloud' } })).toEqual([
      400,
      'invalid_config_type_change',
    ])
    for (const [method, path] of [
      ['POST', '/env_default'],
      ['POST', '/env_default/archive'],
      ['DELETE', '/env_default'],
    ])
      expect((await server.request(method!, ENVIRONMENTS + path, method === 'POST' ? {} : undefined)).body.code).toBe(
        'environment_read_only',
      )
    const strict = await server.get<Environment>(`${ENVIRONMENTS}/${id}?compat=strict`)
    expect(strict.config).toMatchObject({ type: 'cloud', networking: { type: 'unrestricted' } })
  })

  test('EN8 sessions are found by the environment that they began in', async () => {
    const { id } = await make({ type: 'local' })
    const ids = [await server.create(null, { environment_id: id }), await server.create(null, { environment_id: id })]
    const found = async (environment: string) =>
      await server.get<{ data: Session[]; total_count: number }>(
        `/v1/sessions?environment_id=${environment}&count=true&limit=1000`,
      )
    expect((await found(id)).data.map((each) => each.id)).toEqual(ids.map((each) => each.id).toReversed())
    expect((await found(id)).total_count).toBe(2)
    const others = await found('env_default')
    expect(others.data.length).toBeGreaterThan(0)
    expect(others.data.every(({ environment_id }) => environment_id === 'env_default')).toBe(true)
  })

  test('EN43 what an environment keeps from its sessions is kept when the origin API resumes them too', async () => {
    const { id } = await make({ type: 'local', env_names: ['CI_*'] })
    const session = await server.create('say one', { environment_id: id })
    await server.idle(session.id)
    const resume = async (fields: object) => {
      const body = { prompt: 'say two', resume_session_id: session.id, ...fields }
      const { status, body: answer } = await server.request('POST', '/execute/', body)
      return [status, answer.code]
    }
    expect(await resume({ env: { OTHER: '1' } })).toEqual([400, 'env_not_allowed'])
    // The same environment, as one that confines commands.
    const { store } = server.app
    const row = (await store.readSession(session.id))!
    const environment = { id, config: { ...row.options.environment!.config, type: 'sandbox' } } as never
    await store.commit({ sessionId: row.id, at: 1, events: [], session: { options: { ...row.options, environment } } })
    const kept = join(server.folder, 'data')
    expect(await resume({ cwd: kept })).toEqual([403, 'cwd_not_allowed'])
    const now = (await store.readSession(session.id))!
    expect([now.cwd, now.turnCount]).toEqual([row.cwd, 1])
  })

  test('EN9 what is done under an idempotency key is done once', async () => {
    const key = { 'idempotency-key': 'environment-1' }
    const first = await server.post<Environment>(ENVIRONMENTS, { name: 'Once' }, key)
    expect(await server.post<Environment>(ENVIRONMENTS, { name: 'Once' }, key)).toEqual(first)
    const named = (await all(new Anthropic1(counted(server.url).options).beta.environments.list())).filter(
      ({ name }) => name === 'Once',
    )
    expect(named.length).toBe(1)
  })
})

describe('environments and keys', () => {
  let server: TestServer
  let operator = ''
  beforeAll(async () => {
    server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret) })
  })
  afterAll(() => server.stop())

  const call = (key: string, method: string, path: string, body?: unknown) =>
    server.request(method, path, body, { 'x-api-key': key })
  const good = async <T = { id: string }>(key: string, path: string, body: unknown): Promise<T> => {
    const { status, text, body: answer } = await call(key, 'POST', path, body)
    expect([path, status, text]).toEqual([path, 200, text])
    return answer as T
  }
  const SCOPES = ['sessions:read', 'sessions:write', 'environments:read', 'environments:write', 'deployments:write']
  const keyOf = async (policy: Policy, more: object = {}) =>
    (await good<{ secret: string }>(operator, '/v1/api_keys', { name: 'k', scopes: SCOPES, policy, ...more })).secret
  const code = async (key: string, path: string, body: unknown) => (await call(key, 'POST', path, body)).body.code

  test('EN10 a key has the environments that its policy names, by every way to begin or go on, and changes none', async () => {
    const { id: mine } = await good(operator, ENVIRONMENTS, { name: 'Mine' })
    const { id: other } = await good(operator, ENVIRONMENTS, { name: 'Other' })
    const key = await keyOf({ environments: [mine] })
    const session = await good<Session>(key, '/v1/sessions', { environment_id: mine })
    expect(await code(key, '/v1/sessions', { environment_id: other })).toBe('environment_not_allowed')
    expect(await code(key, '/v1/sessions', {})).toBe('environment_not_allowed')
    expect(await code(key, '/execute/', { prompt: 'say x' })).toBe('environment_not_allowed')
    const elsewhere = await good<Session>(operator, '/v1/sessions', { environment_id: other })
    const path = `/v1/sessions/${elsewhere.id}`
    expect(await code(key, `${path}/events`, { events: [message('say x')] })).toBe('environment_not_allowed')
    expect(await code(key, `${path}/fork`, {})).toBe('environment_not_allowed')
    await good(key, `/v1/sessions/${session.id}/events`, { events: [message('say x')] })
    // Or it could loosen the one that it has.
    expect(await code(key, ENVIRONMENTS, { name: 'x' })).toBe('environment_not_allowed')
    expect(await code(key, `${ENVIRONMENTS}/${mine}`, { name: 'x' })).toBe('environment_not_allowed')
  })

  test('EN11 a bounded key saves no environment that goes beyond its bounds, and uses those of others as they are', async () => {
    const root = join(server.folder, 'theirs')
    mkdirSync(join(root, 'inner'), { recursive: true })
    const key = await keyOf({ cwd_roots: [root], env_names: ['APP_*'], max_turns: 5 })
    const tried = (config: object) => code(key, ENVIRONMENTS, { name: 'x', config: { type: 'local', ...config } })
    expect(await tried({ cwd_root: server.folder })).toBe('cwd_not_allowed')
    expect(await tried({ cwd_root: join(root, 'inner') })).toBe(undefined)
    expect(await tried({ env: { OTHER: 'x' } })).toBe('env_not_allowed')
    expect(await tried({ env: { APP_X: 'x' } })).toBe(undefined)
    const config = { type: 'local', env: { OTHER: 'x' }, limits: { max_turns: 9 } }
    const { id } = await good(operator, ENVIRONMENTS, { name: 'Theirs', config })
    expect(await code(key, `${ENVIRONMENTS}/${id}`, { name: 'y' })).toBe('env_not_allowed')
    const session = await good<Session>(key, '/v1/sessions', { environment_id: id })
    expect(session.limits.max_turns).toBe(5)
    const less = await good(operator, ENVIRONMENTS, {
      name: 'Less',
      config: { type: 'local', limits: { max_turns: 2 } },
    })
    expect((await good<Session>(key, '/v1/sessions', { environment_id: less.id })).limits.max_turns).toBe(2)
  })

  test('EN12 nothing of an environment of another workspace is found', async () => {
    const { id } = await good(operator, ENVIRONMENTS, { name: 'Mine' })
    const { id: workspace_id } = await good(operator, '/v1/workspaces', { name: 'Other' })
    const stranger = await keyOf({}, { workspace_id })
    const agent = 'agent_default'
    const tries: [string, string, unknown][] = [
      ['GET', `${ENVIRONMENTS}/${id}`, undefined],
      ['POST', `${ENVIRONMENTS}/${id}`, { name: 'x' }],
      ['POST', `${ENVIRONMENTS}/${id}/archive`, undefined],
      ['DELETE', `${ENVIRONMENTS}/${id}`, undefined],
      ['POST', '/v1/sessions', { environment_id: id }],
      ['POST', '/v1/deployments', { name: 'x', agent, environment_id: id, initial_events: [message('x')] }],
    ]
    for (const [method, path, body] of tries)
      expect([method, path, (await call(stranger, method, path, body)).body.code]).toEqual([
        method,
        path,
        'environment_not_found',
      ])
    expect((await call(stranger, 'GET', `${ENVIRONMENTS}?include_archived=true`)).body.data).toEqual([])
    expect((await call(operator, 'GET', `${ENVIRONMENTS}/${id}`)).body).toMatchObject({
      name: 'Mine',
      archived_at: null,
    })
  })
})
