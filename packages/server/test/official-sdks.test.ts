import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { all, Anthropic088, counted, GENERATIONS, say, STREAMING_AGENT, upTo } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const idle = (event: { type: string }) => event.type === 'session.status_idle'
/** A server with agents that start subagents. */
async function serverOf() {
  const server = await testServer()
  return { url: server.url, [Symbol.asyncDispose]: () => server.stop() }
}

const PLAIN = { agent: 'agent_default', environment_id: 'env_default' }

describe.each(GENERATIONS)('the official SDK $version', ({ version, Client, accumulate }) => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer({ agent_executable: STREAMING_AGENT })
  })
  afterAll(() => server.stop())

  const connect = () => {
    const { options, sent } = counted(server.url)
    return { client: new Client(options), sent }
  }

  test('W1 a session is created, read, changed, archived and deleted', async () => {
    const { client } = connect()
    const { sessions } = client.beta
    const session = await sessions.create({ ...PLAIN, title: 'First', metadata: { a: '1', b: '2' } })
    expect(session).toMatchObject({
      type: 'session',
      status: 'idle',
      title: 'First',
      environment_id: 'env_default',
      agent: { type: 'agent', id: 'agent_default', version: 1 },
      metadata: { a: '1', b: '2' },
      archived_at: null,
      budget: null,
      resources: [],
      vault_ids: [],
    })
    expect(Date.parse(session.created_at)).toBeGreaterThan(0)
    const changed = await sessions.update(session.id, { title: null, metadata: { a: null, c: '3' } })
    expect(changed).toMatchObject({ title: null, metadata: { b: '2', c: '3' } })
    expect((await sessions.retrieve(session.id)).metadata).toEqual({ b: '2', c: '3' })
    const archived = await sessions.archive(session.id)
    expect(archived.status).toBe('terminated')
    expect(archived.archived_at).not.toBeNull()
    expect(await sessions.delete(session.id)).toEqual({ type: 'session_deleted', id: session.id })
    const gone = await sessions.retrieve(session.id).catch((error: unknown) => error)
    expect(gone).toMatchObject({ status: 410, error: { code: 'session_deleted' } })
  })

  test('W2 a session that is created with events runs at once, with an agent given inline', async () => {
    const { client } = connect()
    const agent = { type: 'inline', model: 'sonnet', system: 'Be brief.', name: 'Brief' }
    const session = await client.beta.sessions.create({
      agent: agent as unknown as string,
      environment_id: 'env_default',
      initial_events: [say('write Hel|lo')],
    })
    expect(session).toMatchObject({
      status: 'running',
      agent: { name: 'Brief', system: 'Be brief.', model: { id: 'sonnet' } },
    })
    const events = await upTo(await client.beta.sessions.events.stream(session.id), idle)
    expect(events.filter(({ type }) => type === 'agent.message')).toMatchObject([
      { content: [{ type: 'text', text: 'Hello' }] },
    ])
    expect(events.at(-1)).toMatchObject({ stop_reason: { type: 'end_turn' } })
  })

  test('W3 sessions are filtered by status, time and archive, in either order', async () => {
    const { client } = connect()
    const { sessions } = client.beta
    const since = (await sessions.create(PLAIN)).created_at
    const ids = [(await sessions.create(PLAIN)).id, (await sessions.create(PLAIN)).id]
    const hidden = await sessions.create(PLAIN)
    await sessions.archive(hidden.id)
    const found = async (params: Parameters<typeof sessions.list>[0]) =>
      (await all(sessions.list({ 'created_at[gt]': since, ...params }))).map(({ id }) => id)
    expect(await found({})).toEqual(ids.toReversed())
    expect(await found({ order: 'asc' })).toEqual(ids)
    expect(await found({ order: 'asc', include_archived: true })).toEqual([...ids, hidden.id])
    expect(await found({ include_archived: true, statuses: ['terminated', 'running'] })).toEqual([hidden.id])
    expect(await found({ statuses: ['running', 'rescheduling'] })).toEqual([])
    expect(await found({ agent_id: 'agent_default' })).toHaveLength(2)
    expect(await found({ 'created_at[lte]': since })).toEqual([])
    const from = await all(sessions.list({ 'created_at[gte]': since, 'created_at[lt]': '2100-01-01T00:00:00Z' }))
    expect(from.map(({ created_at }) => created_at).every((time) => time >= since)).toBe(true)
    expect(from).toHaveLength(3)
  })

  test('W4 lists turn their own pages, and prev_page leads back', async () => {
    const { client, sent } = connect()
    const { sessions } = client.beta
    const created: string[] = []
    for (let n = 0; n < 5; n++) created.push((await sessions.create({ ...PLAIN, metadata: { page: version } })).id)
    const first = await sessions.list({ limit: 2 })
    expect(first.prev_page).toBeNull()
    sent.length = 0
    const seen: string[] = []
    for await (const { id } of first) {
      seen.push(id)
      if (id === created[0]) break
    }
    expect(seen).toEqual(created.toReversed())
    expect(sent.filter(({ path }) => path === '/v1/sessions')).toHaveLength(2)
    const second = await first.getNextPage()
    const back = await sessions.list({ limit: 2, page: second.prev_page! })
    expect(back.data.map(({ id }) => id)).toEqual(first.data.map(({ id }) => id))
  })

  test('W5 events are sent, listed by type and over several pages', async () => {
    const { client } = connect()
    const { events } = client.beta.sessions
    const { id } = await client.beta.sessions.create(PLAIN)
    const { data } = await events.send(id, { events: [say('one'), say('two')] })
    expect(data).toMatchObject([
      { type: 'user.message', processed_at: null },
      { type: 'user.message', processed_at: null },
    ])
    await upTo(await events.stream(id), idle)
    const listed = await all(events.list(id, { limit: 2 }))
    expect(listed.length).toBeGreaterThan(6)
    expect(new Set(listed.map((event) => event.id)).size).toBe(listed.length)
    const inputs = await all(events.list(id, { types: ['user.message'] }))
    expect(inputs.map((event) => event.id)).toEqual(data!.map((event) => event.id))
    expect(inputs.every(({ processed_at }) => processed_at !== null)).toBe(true)
    const newest = await events.list(id, { order: 'desc', limit: 1, types: ['session.status_idle', 'agent.message'] })
    expect(newest.data.map(({ type }) => type)).toEqual(['session.status_idle'])
  })

  test('W6 a stream that was opened first shows the turn as it is listed afterwards, under the same ids', async () => {
    const { client } = connect()
    const { events } = client.beta.sessions
    const { id } = await client.beta.sessions.create(PLAIN)
    const stream = await events.stream(id)
    await events.send(id, { events: [say('hello')] })
    const seen = await upTo(stream, idle)
    const listed = await all(events.list(id))
    const ids = new Set(seen.flatMap((event) => ('id' in event ? [event.id] : [])))
    expect(listed.map((event) => event.id).slice(1)).toEqual([...ids])
  })

  test('W7 who sends first and streams then, as the quick start does, misses nothing and does not hang', async () => {
    const { client } = connect()
    const { events } = client.beta.sessions
    const { id } = await client.beta.sessions.create(PLAIN)
    await events.send(id, { events: [say('hello')] })
    await server.idle(id)
    const seen = await upTo(await events.stream(id), idle)
    expect(seen.map(({ type }) => type)).toEqual([
      'user.message',
      'session.status_running',
      'session.queued',
      'turn.started',
      'user.message',
      'span.model_request_start',
      'agent.message',
      'span.model_request_end',
      'turn.completed',
      'session.usage',
      'session.status_idle',
    ])
  })

  test("W8 the SDK's own fold builds the message from its previews, and the final event has their id", async () => {
    const { client } = connect()
    const { events } = client.beta.sessions
    const { id, ...session } = await client.beta.sessions.create(PLAIN)
    const stream = await events.stream(id, { event_deltas: ['agent.message'] })
    await events.send(id, { events: [say('draft One, |two, |three.')] })
    const texts: string[] = []
    const ids = new Set<string>()
    let message: Parameters<typeof accumulate>[0]
    for await (const event of stream) {
      message = accumulate(message, event)
      const text = message?.content.map((block) => ('text' in block ? block.text : '')).join('')
      if (message) ids.add(message.id)
      if (text !== undefined && text !== texts.at(-1)) texts.push(text)
      // Each piece is written when the one before it has been seen.
      if (event.type === 'event_delta')
        writeFileSync(join((session as unknown as { cwd: string }).cwd, `go${texts.length - 1}`), '')
      if (idle(event)) break
    }
    expect(texts).toEqual(['', 'One, ', 'One, two, ', 'One, two, three.'])
    expect([...ids]).toEqual((await all(events.list(id, { types: ['agent.message'] }))).map((event) => event.id))
  })

  test('W9 user.interrupt ends the turn that runs', async () => {
    const { client } = connect()
    const { events } = client.beta.sessions
    const { id } = await client.beta.sessions.create({ ...PLAIN, initial_events: [say('draft never|ends')] })
    const stream = await events.stream(id)
    await server.event(id, ({ type }) => type === 'span.model_request_start')
    await events.send(id, { events: [{ type: 'user.interrupt', grace_ms: 0 } as { type: 'user.interrupt' }] })
    expect((await upTo(stream, idle)).at(-1)).toMatchObject({ stop_reason: { type: 'interrupted' } })
    expect((await client.beta.sessions.retrieve(id)).status).toBe('idle')
  })

  test('W10 refusals are the exceptions that the SDK has for them, and are not asked again', async () => {
    const { client, sent } = connect()
    const { sessions } = client.beta
    const { id } = await sessions.create({ ...PLAIN, initial_events: [say('draft a|b')] })
    sent.length = 0
    const refused = async (request: PromiseLike<unknown>) => {
      const error = await Promise.resolve(request).catch((cause: unknown) => cause)
      return error as InstanceType<typeof Client.APIError>
    }
    const missing = await refused(sessions.retrieve('sesn_00000000000000000000000000'))
    expect(missing).toBeInstanceOf(Client.NotFoundError)
    expect(missing.requestID).toMatch(/^req_/)
    const wrong = await refused(sessions.events.send(id, { events: [] }))
    expect(wrong).toBeInstanceOf(Client.BadRequestError)
    expect(wrong).toMatchObject({ error: { error: { type: 'invalid_request_error' }, code: 'validation_failed' } })
    expect(await refused(sessions.list({ page: 'nonsense' }))).toBeInstanceOf(Client.BadRequestError)
    expect(sent).toHaveLength(3)
    const busy = await refused(sessions.delete(id))
    expect(busy).toBeInstanceOf(Client.ConflictError)
    expect(busy.message).toContain('interrupt it')
    expect(await refused(sessions.archive(id))).toBeInstanceOf(Client.ConflictError)
    expect(sent.slice(3)).toEqual([
      { method: 'DELETE', path: `/v1/sessions/${id}` },
      { method: 'POST', path: `/v1/sessions/${id}/archive` },
    ])
  })

  test('W14 threads are listed, read, followed and archived', async () => {
    await using working = await serverOf()
    const { sessions } = new Client(counted(working.url).options).beta
    const { id } = await sessions.create({ ...PLAIN, initial_events: [say('subagent done')] })
    const seen = await upTo(await sessions.events.stream(id), idle)
    const created = seen.find(({ type }) => type === 'session.thread_created') as { session_thread_id: string }
    const listed = await all(sessions.threads.list(id, { limit: 1 }))
    expect(listed).toHaveLength(2)
    expect(listed[0]).toMatchObject({ type: 'session_thread', parent_thread_id: null })
    expect(listed[1]).toMatchObject({ id: created.session_thread_id, parent_thread_id: listed[0]!.id, status: 'idle' })
    expect(await all(sessions.threads.list(id, { statuses: ['running'] }))).toEqual([])
    const where = { session_id: id }
    expect(await sessions.threads.retrieve(created.session_thread_id, where)).toEqual(
      expect.objectContaining({ id: created.session_thread_id, workflow_run_id: null }),
    )
    const events = await all(sessions.threads.events.list(created.session_thread_id, { ...where, limit: 2 }))
    const stream = await sessions.threads.events.stream(created.session_thread_id, where)
    const followed = await upTo(stream, ({ type }) => type === 'session.thread_status_idle')
    expect(followed.map((event) => 'id' in event && event.id)).toEqual(events.map((event) => event.id))
    expect(followed.map(({ type }) => type)).toContain('agent.message')
    const primary = await all(sessions.threads.events.list(listed[0]!.id, where))
    expect(primary.filter(({ type }) => type === 'agent.message')).toMatchObject([
      { content: [{ text: 'outer words' }] },
    ])
    const archived = await sessions.threads.archive(created.session_thread_id, where)
    expect(archived.status).toBe('terminated')
    const missing = await sessions.threads.retrieve('sthr_none', where).catch((error: unknown) => error)
    expect(missing).toBeInstanceOf(Client.NotFoundError)
  })

  test('W15 the tool runner of the SDK leaves the calls of subagents alone, and ends when the session is idle', async () => {
    await using working = await serverOf()
    const { sessions } = new Client(counted(working.url).options).beta
    const { id } = await sessions.create({ ...PLAIN, initial_events: [say('subagent done')] })
    const runner = sessions.events.toolRunner(id, { tools: [], maxIdleMs: 100 })
    // It shows the calls of tools that it does not have, and answers none.
    expect((await all(runner)).map(({ name, posted }) => [name, posted])).toEqual([['Agent', false]])
    const events = await all(sessions.events.list(id))
    expect(events.filter(({ type }) => type === 'user.tool_result' || type === 'user.custom_tool_result')).toEqual([])
  })

  test('W11 models are listed', async () => {
    const { client } = connect()
    expect((await all(client.models.list())).map(({ id }) => id)).toEqual(['default', 'sonnet', 'opus', 'haiku'])
  })

  test('W13 what is not supported yet is refused by name, not ignored', async () => {
    const { client } = connect()
    const refused = await client.beta.sessions
      .create({
        ...PLAIN,
        vault_ids: ['vlt_1'],
      } as never)
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(Client.BadRequestError)
    expect(refused).toMatchObject({ error: { code: 'unsupported_feature' } })
  })
})

describe('the official SDK 0.88.0', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  test('W12 an old SDK creates, sends and streams in either order, and sees every event', async () => {
    const client = new Anthropic088(counted(server.url).options)
    const { sessions } = client.beta
    const { id } = await sessions.create(PLAIN)
    const first = await sessions.events.stream(id)
    await sessions.events.send(id, { events: [say('say hello')] })
    const live = await upTo(first, idle)
    expect(live).toContainEqual(
      expect.objectContaining({ type: 'agent.message', content: [{ type: 'text', text: 'hello' }] }),
    )
    const { id: other } = await sessions.create(PLAIN)
    await sessions.events.send(other, { events: [say('say late')] })
    await server.idle(other)
    const replayed = await upTo(await sessions.events.stream(other), idle)
    expect(replayed.map(({ type }) => type)).toEqual(live.map(({ type }) => type))
    expect((await sessions.retrieve(other)).status).toBe('idle')
    expect((await all(sessions.events.list(other))).length).toBeGreaterThan(5)
    const missing = await sessions.retrieve('sesn_00000000000000000000000000').catch((error: unknown) => error)
    expect(missing).toBeInstanceOf(Anthropic088.NotFoundError)
  })
})
