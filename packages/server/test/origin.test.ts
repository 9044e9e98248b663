import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

describe('the origin API', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const execute = (body: object) => server.request('POST', '/execute/', body)
  const start = async (prompt: string, fields = {}) => String((await execute({ prompt, ...fields })).body.session_id)
  const status = (id: string) => server.get<Record<string, unknown>>(`/status/${id}`)
  const finished = async (id: string) => {
    await server.idle(id)
    return status(id)
  }

  test("O1 execute answers pending with the origin's words, with and without trailing slash", async () => {
    for (const path of ['/execute/', '/execute']) {
      const { status: code, body } = await server.request('POST', path, {
        prompt: 'say hi',
        model: 'us.anthropic.claude-3-5-sonnet-20241022-v1:0',
        max_turns: 10,
        some_field_nobody_knows: true,
      })
      expect(code).toBe(200)
      expect(body.session_id).toMatch(UUID)
      expect(body).toEqual({
        session_id: body.session_id,
        status: 'pending',
        message: `Session ${String(body.session_id)} started successfully`,
      })
      const { agent } = await server.idle(String(body.session_id))
      expect(agent.model.id).toBe('us.anthropic.claude-3-5-sonnet-20241022-v1:0')
    }
  })

  test('O2 status has exactly the fields of the origin, and messages as the Python dataclasses print them', async () => {
    const id = await start('say hi')
    const body = await finished(id)
    expect(body).toMatchObject({ session_id: id, status: 'completed', error: null, duration_ms: 1, total_cost_usd: 0 })
    const messages = body.messages as { type: string; content: Record<string, unknown>; timestamp: string }[]
    expect(messages.map(({ type }) => type)).toEqual(['SystemMessage', 'AssistantMessage', 'ResultMessage'])
    expect(messages[0]!.content).toMatchObject({ subtype: 'init', data: { session_id: id } })
    expect(messages[1]!.content).toEqual({
      content: [{ type: 'text', text: 'hi' }],
      model: 'fake',
      parent_tool_use_id: null,
    })
    expect(messages[2]!.content).toMatchObject({ subtype: 'success', is_error: false, num_turns: 1, session_id: id })
    for (const { timestamp } of messages) expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/)
    expect(body.result).toMatchObject({ session_id: id, num_turns: 1, duration_ms: 1, total_cost_usd: 0, result: 'hi' })
    const rest = await server.get<{ messages: unknown[] }>(`/status/${id}/?after_message=2`)
    expect(rest.messages).toEqual([messages[2]])
  })

  test('O3 unknown sessions are 404 with a plain detail', async () => {
    for (const [method, path] of [
      ['GET', '/status/nope'],
      ['POST', '/cancel/nope'],
      ['DELETE', '/sessions/nope'],
    ] as const) {
      const { status: code, body, headers } = await server.request(method, path)
      expect([code, body.detail]).toEqual([404, 'Session nope not found'])
      expect(headers.get('content-type')).toMatch(/^application\/json/)
    }
  })

  test('O4 resume goes on under the same id: prompts joined, messages added, unsent options kept', async () => {
    const id = await start('say one', { model: 'opus', max_turns: 7 })
    await finished(id)
    const { body } = await execute({ prompt: 'say two', resume_session_id: id })
    expect(body).toEqual({ session_id: id, status: 'pending', message: `Session ${id} resumed successfully` })
    const after = await finished(id)
    expect((after.messages as unknown[]).length).toBe(6)
    expect(after.result).toMatchObject({ result: 'two' })
    const session = (
      await server.get<{ session_id: string; prompt: string; claude_session_id: string }[]>('/sessions/')
    ).find(({ session_id }) => session_id === id)!
    expect(session.prompt).toBe('say one\n\n--- Session Resume ---\nsay two')
    expect(session.claude_session_id).toBe(id)
    expect((await server.get<{ agent: { model: { id: string } } }>(`/v1/sessions/${id}`)).agent.model.id).toBe('opus')
  })

  test("O5 resumes are refused in the origin's words", async () => {
    const running = await start('hold')
    await server.event(running, ({ type }) => type === 'agent.message')
    const refuse = async (id: string) => {
      const { status: code, body } = await execute({ prompt: 'x', resume_session_id: id })
      return [code, body.detail]
    }
    expect(await refuse(running)).toEqual([400, `Session ${running} is currently running`])
    expect(await refuse('nope')).toEqual([400, 'Session nope not found.'])
    const { uuid } = await server.create(null)
    expect(await refuse(uuid)).toEqual([400, `Session ${uuid} has no recorded Claude session ID. Cannot resume.`])
    await server.request('POST', `/cancel/${running}`)
  })

  test('O6 of two resumes at once exactly one wins', async () => {
    const id = await start('say first')
    await finished(id)
    const replies = await Promise.all(
      ['a', 'b', 'c', 'd'].map((word) => execute({ prompt: `say ${word}`, resume_session_id: id })),
    )
    expect(replies.map(({ status: code }) => code).sort()).toEqual([200, 400, 400, 400])
    for (const { status: code, body } of replies)
      if (code === 400) expect(body.detail).toBe(`Session ${id} is currently running`)
    await finished(id)
    expect(await server.turns(id)).toHaveLength(2)
  })

  test('O7 cancel says cancelled and means it; cancelling twice is refused with the status', async () => {
    const id = await start('hold')
    await server.event(id, ({ type }) => type === 'agent.message')
    const { status: code, body } = await server.request('POST', `/cancel/${id}/`)
    expect([code, body]).toEqual([
      200,
      { session_id: id, status: 'cancelled', message: `Session ${id} cancelled successfully` },
    ])
    expect(await status(id)).toMatchObject({ status: 'cancelled', error: 'Session was cancelled' })
    const again = await server.request('POST', `/cancel/${id}`)
    expect([again.status, again.body.detail]).toEqual([400, `Session ${id} is not running (status: cancelled)`])
  })

  test('O8 a failed turn is error, with what went wrong', async () => {
    const id = await start('error overloaded')
    expect(await finished(id)).toMatchObject({ status: 'error', error: 'API Error: overloaded' })
  })

  test.each([
    [{}, [{ type: 'missing', loc: ['body', 'prompt'], msg: 'Field required', input: {} }]],
    [
      { prompt: 5 },
      [{ type: 'string_type', loc: ['body', 'prompt'], msg: 'Input should be a valid string', input: 5 }],
    ],
    [
      { prompt: '' },
      [
        {
          type: 'string_too_short',
          loc: ['body', 'prompt'],
          msg: 'String should have at least 1 character',
          input: '',
          ctx: { min_length: 1 },
        },
      ],
    ],
    [
      { prompt: ' \n ' },
      [
        {
          type: 'value_error',
          loc: ['body', 'prompt'],
          msg: 'Value error, Prompt cannot be empty or whitespace only',
          input: ' \n ',
          ctx: { error: {} },
        },
      ],
    ],
    [
      { prompt: 'x', max_turns: 'ten' },
      [
        {
          type: 'int_parsing',
          loc: ['body', 'max_turns'],
          msg: 'Input should be a valid integer, unable to parse string as an integer',
          input: 'ten',
        },
      ],
    ],
    [
      { prompt: 'x', max_turns: 0 },
      [
        {
          type: 'greater_than_equal',
          loc: ['body', 'max_turns'],
          msg: 'Input should be greater than or equal to 1',
          input: 0,
          ctx: { ge: 1 },
        },
      ],
    ],
    [
      { prompt: 'x', max_turns: 101 },
      [
        {
          type: 'less_than_equal',
          loc: ['body', 'max_turns'],
          msg: 'Input should be less than or equal to 100',
          input: 101,
          ctx: { le: 100 },
        },
      ],
    ],
    [
      { prompt: 'x', max_turns: [] },
      [{ type: 'int_type', loc: ['body', 'max_turns'], msg: 'Input should be a valid integer', input: [] }],
    ],
    [
      { prompt: 'x', permission_mode: 'yolo' },
      [
        {
          type: 'enum',
          loc: ['body', 'permission_mode'],
          msg: "Input should be 'default', 'acceptEdits', 'plan' or 'bypassPermissions'",
          input: 'yolo',
          ctx: { expected: "'default', 'acceptEdits', 'plan' or 'bypassPermissions'" },
        },
      ],
    ],
    [
      { prompt: 'x', allowed_tools: 'Bash', env: [] },
      [
        { type: 'list_type', loc: ['body', 'allowed_tools'], msg: 'Input should be a valid list', input: 'Bash' },
        { type: 'dict_type', loc: ['body', 'env'], msg: 'Input should be a valid dictionary', input: [] },
      ],
    ],
    [
      { prompt: 'x', allowed_tools: ['ok', 3] },
      [{ type: 'string_type', loc: ['body', 'allowed_tools', 1], msg: 'Input should be a valid string', input: 3 }],
    ],
  ])("O9 bad input is 422 in FastAPI's shape: %j", async (body, detail) => {
    const reply = await execute(body)
    expect([reply.status, reply.body]).toEqual([422, { detail }])
  })

  test('O10 a body that is not JSON is 422 json_invalid; one that is not announced as JSON is 415', async () => {
    const reply = await server.request('POST', '/execute/', '{"prompt": ')
    expect(reply.status).toBe(422)
    expect((reply.body.detail as { type: string }[])[0]!.type).toBe('json_invalid')
    const form = await server.request('POST', '/execute/', '{"prompt": "x"}', { 'content-type': 'text/plain' })
    expect(form).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
  })

  test('O11 a prompt over 1 MiB is 413, one below it is taken', async () => {
    const big = await execute({ prompt: 'x'.repeat(1024 * 1024 + 1) })
    expect(big).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
    expect(String(big.body.detail)).toContain('1048577 bytes')
    await finished(await start(`say ${'x'.repeat(1024 * 1024 - 4)}`))
  })

  test('O12 a cwd that is missing or a file, and env that takes the agent over, are refused with what to do', async () => {
    const file = join(server.folder, 'file.txt')
    writeFileSync(file, '')
    expect(await execute({ prompt: 'x', cwd: '/nowhere/at/all' })).toMatchObject({
      status: 400,
      body: { code: 'cwd_not_found' },
    })
    expect(await execute({ prompt: 'x', cwd: file })).toMatchObject({
      status: 400,
      body: { code: 'cwd_not_a_directory' },
    })
    for (const name of [
      'ANTHROPIC_BASE_URL',
      'NODE_OPTIONS',
      'LD_PRELOAD',
      'PATH',
      'path',
      'GIT_SSH_COMMAND',
      'BASH_ENV',
      'A=B',
    ])
      expect(await execute({ prompt: 'x', env: { [name]: '1' } })).toMatchObject({
        status: 400,
        body: { code: 'env_not_allowed' },
      })
    const folder = join(server.folder, 'work')
    mkdirSync(folder)
    const id = await start('say ok', { cwd: folder, env: { MY_SETTING: '1' } })
    expect(await server.idle(id)).toMatchObject({ cwd: folder, result: { text: 'ok' } })
  })

  test('O13 the list is a bare array, oldest first, and can be narrowed', async () => {
    const all = await server.get<{ session_id: string; status: string }[]>('/sessions')
    expect(Object.keys(all[0]!)).toEqual([
      'session_id',
      'status',
      'prompt',
      'created_at',
      'start_time',
      'end_time',
      'error',
      'result',
      'message_count',
      'claude_session_id',
    ])
    const ids = all.map(({ session_id }) => session_id)
    expect(ids).toEqual([...ids].sort())
    const cancelled = await server.get<typeof all>('/sessions/?status=cancelled')
    expect(cancelled).toEqual(all.filter(({ status: word }) => word === 'cancelled'))
    const page = await server.get<typeof all>(`/sessions/?limit=2&after=${ids[1]}`)
    expect(page.map(({ session_id }) => session_id)).toEqual(ids.slice(2, 4))
    expect((await server.request('GET', '/sessions/?limit=x')).status).toBe(422)
  })

  test('O14 delete and cleanup remove what has ended, and nothing that runs', async () => {
    const id = await start('hold')
    await server.event(id, ({ type }) => type === 'agent.message')
    expect(await server.request('DELETE', `/sessions/${id}`)).toMatchObject({
      status: 400,
      body: { detail: `Session ${id} is currently running` },
    })
    expect((await server.request('DELETE', '/sessions/cleanup?max_age_hours=1')).body).toEqual({
      removed: 0,
      message: 'Cleaned up 0 old sessions',
    })
    const before = await server.get<unknown[]>('/sessions/')
    const { body } = await server.request('DELETE', '/sessions/cleanup/?max_age_hours=0')
    const left = await server.get<{ session_id: string }[]>('/sessions/')
    expect(body.message).toBe(`Cleaned up ${before.length - left.length} old sessions`)
    expect(left.map(({ session_id }) => session_id)).toContain(id)
    await server.request('POST', `/cancel/${id}`)
    expect((await server.request('DELETE', `/sessions/${id}/`)).body).toEqual({
      session_id: id,
      status: 'cancelled',
      message: `Session ${id} deleted successfully`,
    })
    expect((await server.request('GET', `/status/${id}`)).status).toBe(404)
  })

  test('O15 the root says what this is, as the article does', async () => {
    expect(await server.get('/')).toMatchObject({
      message: 'Claude Agent SDK API',
      version: '1.0.0',
      endpoints: {
        execute: 'POST /execute/ - Execute a new agent session',
        cleanup: 'DELETE /sessions/cleanup - Cleanup old sessions',
      },
    })
  })
})
