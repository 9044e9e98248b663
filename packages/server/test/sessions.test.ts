import type { Session } from '@troupe/protocol/session'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Reply, type TestServer, testServer } from './support/server.ts'

interface Page {
  data: Session[]
  next_page: string | null
  prev_page: string | null
  total_count?: number
}

const NOBODY = 'sesn_00000000000000000000000000'
const said = ({ status, body }: Reply) => `${status} ${body.code}`
const started = ({ type }: { type: string }) => type === 'agent.message'
const message = (content: string) => ({ type: 'user.message', content })

let server: TestServer
const folder = mkdtempSync(join(tmpdir(), 'troupe-sessions-'))
beforeAll(async () => {
  server = await testServer()
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const list = (query: string) => server.get<Page>(`/v1/sessions?${query}`)
const update = (id: string, body: object) => server.post<Session>(`/v1/sessions/${id}`, body)
const stopNow = async (id: string) => {
  await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  return server.idle(id)
}

/** Every route that names a session. */
const ROUTES: [string, string, unknown?][] = [
  ['GET', ''],
  ['POST', '', { title: 'x' }],
  ['DELETE', ''],
  ['POST', '/archive'],
  ['GET', '/events'],
  ['POST', '/events', { events: [message('say x')] }],
  ['POST', '/events', { events: [{ type: 'user.interrupt' }] }],
  ['GET', '/events/stream'],
  ['GET', '/turns'],
  ['GET', '/turns/turn_00000000000000000000000000'],
  ['POST', '/turns/turn_00000000000000000000000000/cancel'],
]

describe('creating', () => {
  test('S10 a session without events is idle and has every field; with events it runs at once', async () => {
    const session = await server.create(null, { title: 'T', metadata: { a: 'b' } })
    expect(session).toEqual({
      type: 'session',
      id: expect.stringMatching(/^sesn_[0-9a-z]{26}$/),
      uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      status: 'idle',
      agent: {
        type: 'agent',
        id: 'agent_default',
        version: 1,
        name: 'Claude',
        description: null,
        model: { id: 'default' },
        system: null,
        tools: [],
        mcp_servers: [],
        skills: [],
        multiagent: null,
        subagents: [],
        execution_identity: { type: 'service_account' },
        permission_mode: 'default',
        allowed_tools: [],
        disallowed_tools: [],
        permission_rules: [],
      },
      environment_id: 'env_default',
      title: 'T',
      prompt: null,
      metadata: { a: 'b' },
      external_id: null,
      cwd: join(server.folder, 'data', 'sessions', session.uuid, 'workdir'),
      model_source: 'configured',
      stop_reason: null,
      required_actions: [],
      last_error: null,
      result: null,
      queue: null,
      current_turn_id: null,
      last_seq: 1,
      usage: expect.objectContaining({ input_tokens: 0, list_cost: { amount: '0', currency: 'USD' }, cost_usd: 0 }),
      stats: { active_seconds: 0, duration_seconds: expect.any(Number) },
      budget: null,
      resources: [],
      vault_ids: [],
      outcome_evaluations: [],
      retention: { ttl_seconds: null, keep: false, source: null },
      expires_at: null,
      deployment_id: null,
      forked_from: null,
      approvals: { hold_seconds: 0, timeout_seconds: null, on_timeout: 'deny' },
      recovery: 'auto',
      permission_rules: [],
      priority: 0,
      concurrency_key: null,
      context: null,
      output_schema: null,
      limits: { max_turns: null, turn_timeout_seconds: null, max_queue_seconds: null },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: session.created_at,
      archived_at: null,
    } satisfies Record<keyof Omit<Session, 'converged'>, unknown>)
    expect(existsSync(session.cwd)).toBe(true)
    expect(await server.create(null, { initial_events: [] })).toMatchObject({ status: 'idle', last_seq: 1 })
    const running = await server.create('hold')
    expect(running).toMatchObject({ status: 'running', stop_reason: null, prompt: 'hold', result: null })
    await stopNow(running.id)
  })

  test('S11 initial events are one turn, and a plain string is one text block', async () => {
    const { id } = await server.create(null, { initial_events: [message('say one'), message('two')] })
    expect((await server.idle(id)).result!.text).toBe('one\ntwo')
    const [turn, ...others] = await server.turns(id)
    expect(others).toEqual([])
    expect(turn!.input_event_ids).toHaveLength(2)
    const [input] = (await server.events(id)).filter(({ type }) => type === 'user.message')
    expect(input).toMatchObject({ content: [{ type: 'text', text: 'say one' }] })
  })

  test('S12 an inline agent is resolved once: tools, policies, model and mode stand on the session', async () => {
    const { agent } = await server.create(null, {
      agent: {
        type: 'inline',
        name: 'Reviewer',
        description: 'Reads',
        model: { id: ' opus ', effort: 'high' },
        system: 'Review.',
        permission_mode: 'acceptEdits',
        allowed_tools: ['Read', 'Bash(ls:*)'],
        disallowed_tools: ['WebFetch'],
        tools: [
          {
            type: 'agent_toolset_20260401',
            default_config: { enabled: false },
            configs: [{ name: 'bash', enabled: true, permission_policy: { type: 'always_allow' } }],
          },
        ],
      },
    })
    expect(agent).toMatchObject({
      id: expect.stringMatching(/^agent_/),
      name: 'Reviewer',
      description: 'Reads',
      model: { id: 'opus', effort: { type: 'high' } },
      system: 'Review.',
      permission_mode: 'acceptEdits',
      allowed_tools: ['Bash', 'Read', 'Bash(ls:*)'],
    })
    expect(agent.disallowed_tools.toSorted()).toEqual([
      'Edit',
      'Glob',
      'Grep',
      'Read',
      'WebFetch',
      'WebSearch',
      'Write',
    ])
    expect(said(await server.request('POST', '/v1/sessions', { agent: 'agent_other' }))).toBe('404 agent_not_found')
    expect(said(await server.request('POST', '/v1/sessions', { environment_id: 'env_other' }))).toBe(
      '404 environment_not_found',
    )
  })

  test('S13 a workdir that is named must be an absolute path of a directory, and stays when the session goes', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const create = (cwd: string) => server.request('POST', '/v1/sessions', { cwd })
    expect(said(await create('relative'))).toBe('400 cwd_not_found')
    expect(said(await create(join(folder, 'nowhere')))).toBe('400 cwd_not_found')
    expect(said(await create(file))).toBe('400 cwd_not_a_directory')
    const { status, body } = await create(folder)
    expect([status, body.cwd]).toEqual([200, folder])
    await server.request('DELETE', `/v1/sessions/${body.id as string}`)
    expect(existsSync(file)).toBe(true)
  })

  test('S14 what is refused leaves neither a session nor a folder', async () => {
    const sessions = join(server.folder, 'data', 'sessions')
    const before = [(await list('count=true&include_archived=true')).total_count, (await readdir(sessions)).length]
    for (const body of [
      { env: { LD_PRELOAD: 'x' } },
      { env: { 'not a name': 'x' } },
      { initial_events: [message('  ')] },
      { initial_events: Array.from({ length: 51 }, () => message('x')) },
      { initial_events: [message('x'.repeat(1024 * 1024 + 1))] },
      { limits: { max_turns: 0 } },
      { external_id: '' },
      { title: 'x'.repeat(513) },
      { agent: { type: 'inline', permission_mode: 'root' } },
      { budget: {} },
    ])
      expect([body, (await server.request('POST', '/v1/sessions', body)).status]).toEqual([
        body,
        'initial_events' in body && JSON.stringify(body).length > 1024 * 1024 ? 413 : 400,
      ])
    expect([(await list('count=true&include_archived=true')).total_count, (await readdir(sessions)).length]).toEqual(
      before,
    )
  })

  test('S15 Prefer: wait answers when the session is idle, or after that time with the session as it is', async () => {
    const body = { initial_events: [message('say done')] }
    const done = await server.post<Session>('/v1/sessions', body, { prefer: 'respond-async, wait=30' })
    expect(done).toMatchObject({ status: 'idle', result: { text: 'done' }, stop_reason: { type: 'end_turn' } })
    const late = await server.post<Session>('/v1/sessions', { initial_events: [message('hold')] }, { prefer: 'wait=1' })
    expect(late.status).toBe('running')
    const asked = await server.get<Session>(`/v1/sessions/${late.id}?wait_for=idle&timeout=0.05`)
    expect(asked.status).toBe('running')
    expect(asked.current_turn_id).toMatch(/^turn_/)
    const waiting = server.get<Session>(`/v1/sessions/${late.id}?wait_for=idle`)
    await stopNow(late.id)
    expect(await waiting).toMatchObject({ status: 'idle', stop_reason: { type: 'interrupted' } })
  })
})

describe('changing', () => {
  test('S16 in an update what is absent stays, null clears, and metadata is merged by key', async () => {
    const { id } = await server.create(null, { title: 'T', metadata: { a: '1', b: '2' } })
    expect(await update(id, { metadata: { b: null, c: '3' } })).toMatchObject({
      title: 'T',
      metadata: { a: '1', c: '3' },
    })
    expect(await update(id, { title: null })).toMatchObject({ title: null, metadata: { a: '1', c: '3' } })
    expect(await update(id, { metadata: null })).toMatchObject({ metadata: {} })
    const changes = (await server.events(id)).filter(({ type }) => type === 'session.updated')
    expect(changes).toMatchObject([{ metadata: { a: '1', c: '3' } }, { title: null }, { metadata: {} }])
    expect(changes[0]).not.toHaveProperty('title')
  })

  test('S17 an update that changes nothing appends nothing', async () => {
    const before = await server.create(null, { title: 'T', metadata: { a: '1', b: '2' } })
    for (const body of [{}, { title: 'T' }, { metadata: { a: '1' } }, { metadata: {} }, { metadata: { none: null } }])
      expect(await update(before.id, body)).toMatchObject({
        last_seq: 1,
        updated_at: before.updated_at,
        metadata: { a: '1', b: '2' },
      })
  })

  test('S18 metadata has at most 16 pairs, also after merging; what is too much changes nothing', async () => {
    const pairs = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`key${from + n}`, 'v']))
    const { id, metadata } = await server.create(null, { metadata: pairs(0, 16) })
    const refused = await server.request('POST', `/v1/sessions/${id}`, { title: 'new', metadata: pairs(16, 1) })
    expect([refused.status, refused.body.code, refused.body.errors]).toEqual([
      400,
      'validation_failed',
      [{ pointer: '/metadata', code: 'too_big', detail: 'at most 16 pairs' }],
    ])
    expect(await server.get(`/v1/sessions/${id}`)).toMatchObject({ title: null, metadata })
    expect(Object.keys((await update(id, { metadata: { key0: null, key16: 'v' } })).metadata)).toHaveLength(16)
    for (const wrong of [pairs(0, 17), { ['k'.repeat(65)]: 'v' }, { k: 'v'.repeat(513) }, { '': 'v' }, { k: 1 }])
      expect(said(await server.request('POST', '/v1/sessions', { metadata: wrong }))).toBe('400 validation_failed')
  })

  test('S19 metadata may have any key, also those that objects have', async () => {
    const metadata = JSON.parse('{"constructor":"a","toString":"b","hasOwnProperty":"c"}') as Record<string, string>
    const { id } = await server.create(null, { metadata })
    expect((await update(id, { metadata: { constructor: null, valueOf: 'd' } })).metadata).toEqual({
      toString: 'b',
      hasOwnProperty: 'c',
      valueOf: 'd',
    })
  })
})

describe('ending', () => {
  test('S20 archive is refused while it runs; then it keeps the history and takes no more input', async () => {
    const { id } = await server.create('hold')
    await server.event(id, started)
    const busy = await server.request('POST', `/v1/sessions/${id}/archive`)
    expect([said(busy), busy.headers.get('x-should-retry')]).toEqual(['409 session_running', 'false'])
    await stopNow(id)
    const archived = await server.post<Session>(`/v1/sessions/${id}/archive`)
    expect(archived).toMatchObject({ status: 'terminated', stop_reason: { type: 'interrupted' } })
    expect(await server.post(`/v1/sessions/${id}/archive`)).toMatchObject({
      archived_at: archived.archived_at,
      last_seq: archived.last_seq,
    })
    for (const event of [message('say x'), { type: 'user.interrupt' }])
      expect([event, said(await server.request('POST', `/v1/sessions/${id}/events`, { events: [event] }))]).toEqual([
        event,
        '400 session_terminated',
      ])
    expect((await server.events(id)).at(-1)).toMatchObject({
      type: 'session.status_terminated',
      reason: 'archived',
      seq: archived.last_seq,
    })
  })

  test('S21 a deleted session is 410 on every route that names it, in both renderings of its id', async () => {
    const { id, uuid } = await server.create('hold')
    await server.event(id, started)
    expect(said(await server.request('DELETE', `/v1/sessions/${id}`))).toBe('409 session_running')
    await stopNow(id)
    const { status, body } = await server.request('DELETE', `/v1/sessions/${id}`)
    expect([status, body]).toEqual([200, { type: 'session_deleted', id }])
    for (const name of [id, uuid])
      for (const [method, path, sent] of ROUTES)
        expect([method, path, said(await server.request(method, `/v1/sessions/${name}${path}`, sent))]).toEqual([
          method,
          path,
          '410 session_deleted',
        ])
  })

  test('S22 a session that never was is 404 on every route, whatever its id looks like', async () => {
    for (const name of [NOBODY, '00000000-0000-7000-8000-000000000000', 'sesn_x', 'x'.repeat(200), '%00', '..%2F..'])
      for (const [method, path, sent] of ROUTES)
        expect([name, method, path, said(await server.request(method, `/v1/sessions/${name}${path}`, sent))]).toEqual([
          name,
          method,
          path,
          '404 session_not_found',
        ])
  })

  test('S23 the UUID names a session wherever its id does', async () => {
    const { id, uuid } = await server.create('say hi')
    await server.idle(id)
    const [turn] = await server.turns(id)
    expect(await server.get(`/v1/sessions/${uuid.toUpperCase()}`)).toMatchObject({ id })
    expect(await update(uuid, { title: 'by uuid' })).toMatchObject({ id, title: 'by uuid' })
    expect((await server.send(uuid, 'say more')).data).toMatchObject([{ session_id: id }])
    expect(await server.idle(uuid)).toMatchObject({ id, result: { text: 'more' } })
    expect(await server.get(`/v1/sessions/${uuid}/turns/${turn!.id}`)).toMatchObject({ session_id: id })
    const { body } = await server.request('DELETE', `/v1/sessions/${uuid}`)
    expect(body).toEqual({ type: 'session_deleted', id })
  })

  test('S24 prune matches what is idle long enough, says so on a dry run, and then deletes just that', async () => {
    const own = await testServer()
    const old = await own.create('say old')
    await own.idle(old.id)
    const archived = await own.create(null)
    await own.post(`/v1/sessions/${archived.id}/archive`)
    const running = await own.create('hold')
    const prune = (body: object) => own.post('/v1/sessions/prune', body)
    expect(await prune({ older_than: 3600 })).toEqual({ matched: 0, deleted: 0 })
    const after = new Date(Date.now() + 60_000).toISOString()
    expect(await prune({ older_than: after, statuses: ['terminated'], dry_run: true })).toEqual({
      matched: 1,
      deleted: 0,
    })
    expect(await prune({ older_than: after, dry_run: true })).toEqual({ matched: 2, deleted: 0 })
    expect(await prune({ older_than: after, statuses: ['terminated'] })).toEqual({ matched: 1, deleted: 1 })
    expect(await prune({ older_than: after })).toEqual({ matched: 1, deleted: 1 })
    expect(said(await own.request('GET', `/v1/sessions/${old.id}`))).toBe('410 session_deleted')
    expect((await own.get<Page>('/v1/sessions?include_archived=true')).data.map(({ id }) => id)).toEqual([running.id])
    for (const body of [{}, { older_than: 'yesterday' }, { older_than: -1 }, { older_than: 0, statuses: ['running'] }])
      expect(said(await own.request('POST', '/v1/sessions/prune', body))).toBe('400 validation_failed')
    await own.post(`/v1/sessions/${running.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await own.idle(running.id)
    await own.stop()
  })
})

describe('finding', () => {
  test('S25 filters hold over HTTP, singly and repeated, with the total when it is asked for', async () => {
    const own = await testServer()
    const done = await own.create('say x', { external_id: 'one' })
    await own.idle(done.id)
    const inline = await own.create(null, { agent: { type: 'inline' } })
    const failed = await own.create('crash')
    await own.idle(failed.id)
    const gone = await own.create(null)
    await own.post(`/v1/sessions/${gone.id}/archive`)
    const found = async (query: string) =>
      (await own.get<Page>(`/v1/sessions?order=asc&${query}`)).data.map(({ id }) => id)
    expect(await found('')).toEqual([done.id, inline.id, failed.id])
    expect(await found('include_archived=true')).toEqual([done.id, inline.id, failed.id, gone.id])
    expect(await found('statuses[]=terminated')).toEqual([])
    expect(await found('statuses[]=terminated&include_archived=true')).toEqual([gone.id])
    expect(await found('statuses[]=terminated&statuses[]=idle&include_archived=true')).toHaveLength(4)
    expect(await found('stop_reason[]=end_turn')).toEqual([done.id])
    expect(await found('stop_reason[]=end_turn&stop_reason[]=retries_exhausted')).toEqual([done.id, failed.id])
    expect(await found('external_id=one')).toEqual([done.id])
    expect(await found(`agent_id=${inline.agent.id}`)).toEqual([inline.id])
    expect(
      await found(`created_at[gt]=${encodeURIComponent(done.created_at)}&created_at[lt]=2100-01-01T00:00:00Z`),
    ).toEqual([inline.id, failed.id])
    expect(await own.get<Page>('/v1/sessions?limit=1&count=true')).toMatchObject({ total_count: 3 })
    expect(await own.get<Page>('/v1/sessions?limit=1')).not.toHaveProperty('total_count')
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'order=up', 'statuses[]=asleep', 'created_at[gt]=now'])
      expect([query, said(await own.request('GET', `/v1/sessions?${query}`))]).toEqual([query, '400 validation_failed'])
    await own.stop()
  })

  test('S26 a cursor is good for its own list and filters only, and outlives a restart', async () => {
    const own = await testServer()
    for (let n = 0; n < 3; n++) await own.create(null)
    const { id } = await own.create('say x')
    await own.idle(id)
    const cursor = (await own.get<Page>('/v1/sessions?limit=2')).next_page!
    const events = (await own.get<Page>(`/v1/sessions/${id}/events?limit=2`)).next_page!
    const [payload, signature] = cursor.split('.') as [string, string]
    const other = Buffer.from(JSON.stringify([0, '', 0])).toString('base64url')
    const refused = [
      `limit=2&page=${cursor}&order=asc`,
      `page=${cursor}&statuses[]=idle`,
      `page=${cursor}&include_archived=true`,
      `page=${other}.${signature}`,
      `page=${payload}.${signature.slice(0, -1)}${signature.endsWith('x') ? 'y' : 'x'}`,
      `page=${payload}`,
      `page=${payload}.`,
      `page=${events}`,
      'page=',
      'page=x',
    ]
    for (const query of refused)
      expect([query, said(await own.request('GET', `/v1/sessions?${query}`))]).toEqual([query, '400 invalid_cursor'])
    for (const path of [`/v1/sessions/${id}/events?page=${cursor}`, `/v1/sessions/${id}/turns?page=${events}`])
      expect([path, said(await own.request('GET', path))]).toEqual([path, '400 invalid_cursor'])
    const next = await own.get<Page>(`/v1/sessions?limit=2&page=${cursor}`)
    await own.restart()
    expect((await own.get<Page>(`/v1/sessions?limit=2&page=${cursor}`)).data.map((session) => session.id)).toEqual(
      next.data.map((session) => session.id),
    )
    await own.stop()
  })

  test('S27 an external_id converges: the second create answers the first session, until that is archived', async () => {
    const first = await server.create(null, { external_id: 'issue-42', title: 'first' })
    expect(first).not.toHaveProperty('converged')
    const second = await server.create('say never', { external_id: 'issue-42', title: 'second' })
    expect(second).toMatchObject({ id: first.id, title: 'first', converged: true, status: 'idle', last_seq: 1 })
    await server.post(`/v1/sessions/${first.id}/archive`)
    const third = await server.create(null, { external_id: 'issue-42' })
    expect(third.id).not.toBe(first.id)
    await server.request('DELETE', `/v1/sessions/${third.id}`)
    expect((await server.create(null, { external_id: 'issue-42' })).id).not.toBe(third.id)
  })

  test('S28 of twenty creates with one external_id at once exactly one makes a session and takes its input', async () => {
    const folders = async () => (await readdir(join(server.folder, 'data', 'sessions'))).length
    const before = await folders()
    const all = await Promise.all(Array.from({ length: 20 }, () => server.create('say once', { external_id: 'raced' })))
    const [winner] = all
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect(all.filter(({ converged }) => converged)).toHaveLength(19)
    await server.idle(winner!.id)
    expect(await server.turns(winner!.id)).toHaveLength(1)
    expect((await folders()) - before).toBe(1)
  })
})

describe('what comes later', () => {
  test.each<[string, object]>([
    ['memory_store', { resources: [{ type: 'memory_store', memory_store_id: 'memstore_1' }] }],
    ['vault_ids', { vault_ids: ['vlt_1'] }],
    ['skills', { agent: { type: 'inline', skills: [{ type: 'anthropic', skill_id: 'xlsx' }] } }],
    ['model.speed', { agent: { type: 'inline', model: { id: 'opus', speed: 'fast' } } }],
    ['user.define_outcome', { initial_events: [{ type: 'user.define_outcome', description: 'x' }] }],
  ])('S29 a create with %s is refused by name, not done without it', async (name, body) => {
    const reply = await server.request('POST', '/v1/sessions', body)
    expect(said(reply)).toBe('400 unsupported_feature')
    expect(reply.body.detail).toContain(name)
  })

  test('S30 empty and null values of later fields mean what they mean today: nothing', async () => {
    const body = {
      resources: [],
      vault_ids: [],
      budget: null,
      output_schema: null,
      priority: 0,
      approvals: null,
      retention: null,
    }
    expect((await server.request('POST', '/v1/sessions', body)).status).toBe(200)
  })

  test.each(['vault_ids'])('S31 an update of %s is refused and changes nothing', async (field) => {
    const { id } = await server.create(null)
    const reply = await server.request('POST', `/v1/sessions/${id}`, { title: 'new', [field]: {} })
    expect(said(reply)).toBe('400 unsupported_feature')
    expect(reply.body.detail).toContain(field)
    expect(await server.get(`/v1/sessions/${id}`)).toMatchObject({ title: null, last_seq: 1 })
  })

  test.each(['memory_store_id=memstore_1'])(
    'S32 a list with the later filter %s is refused, because all sessions would be the wrong answer',
    async (query) => {
      expect(said(await server.request('GET', `/v1/sessions?${query}`))).toBe('400 unsupported_feature')
    },
  )
})
