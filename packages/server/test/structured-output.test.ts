import type { Session } from '@troupe/protocol/session'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, people: { $ref: '#/$defs/Count' } },
  required: ['city', 'people'],
  additionalProperties: false,
  $defs: { Count: { type: 'integer', minimum: 3 } },
}
const scripted = (steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const give = (input: Record<string, unknown>): Step => ({ tools: [{ name: 'StructuredOutput', input }] })

/** With the genuine binary. */
let model: DemoModel
let server: TestServer
beforeAll(async () => {
  model = await startDemoModel()
  server = await testServer(
    { agent_executable: undefined, demo_model: 'on' },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
  )
})
afterAll(async () => {
  await server.stop()
  await model.close()
})

test('SO1 each turn of a session with an output_schema ends with a value that fits it', async () => {
  const { id, output_schema } = await server.create('Where is it?', { output_schema: SCHEMA })
  expect(output_schema).toEqual(SCHEMA)
  const first = await server.idle(id)
  expect(first).toMatchObject({
    stop_reason: { type: 'end_turn' },
    result: { structured: { city: 'Where is it?', people: 3 }, is_error: false },
  })
  expect(JSON.parse(first.result!.text!)).toEqual(first.result!.structured)
  await server.send(id, 'And now?')
  expect((await server.idle(id)).result!.structured).toEqual({ city: 'And now?', people: 3 })
  const [turn] = await server.turns(id)
  expect(turn!.output!.structured).toEqual({ city: 'Where is it?', people: 3 })
  expect((await server.idle((await server.create('Hello')).id)).result!.structured).toBe(null)
})

test('SO2 a call that waits for a person in between does not lose the schema, and the answer itself is never asked about', async () => {
  const steps = [
    { tools: [{ name: 'Bash', input: { command: 'touch made' } }] },
    give({ city: 'Rome', people: 4 }),
  ] satisfies Step[]
  const { id } = await server.create(scripted(steps), {
    output_schema: SCHEMA,
    permission_rules: [{ rule: '*', policy: 'always_ask' }],
  })
  const [action, ...others] = (await server.idle(id)).required_actions
  expect([action!.tool_name, others.length]).toEqual(['Bash', 0])
  await server.post(`/v1/approvals/${action!.event_id}`, { result: 'allow' })
  expect(await server.idle(id)).toMatchObject({
    required_actions: [],
    result: { structured: { city: 'Rome', people: 4 } },
  })
})

test('SO3 a turn without a value that fits fails with structured_output_failed, and the session goes on', async () => {
  const wrong = give({ city: 3 })
  const created = await Promise.all(
    [[{ say: 'I would rather not' }], Array.from({ length: 8 }, () => wrong)].map((steps) =>
      server.create(scripted(steps), { output_schema: SCHEMA }),
    ),
  )
  for (const { id } of created) {
    expect(await server.idle(id)).toMatchObject({
      status: 'idle',
      stop_reason: { type: 'structured_output_failed' },
      last_error: { code: 'structured_output_failed', retry_status: { type: 'exhausted' } },
      result: { text: null, structured: null, is_error: true },
    })
    await server.send(id, scripted([give({ city: 'Oslo', people: 5 })]))
    expect(await server.idle(id)).toMatchObject({ last_error: null, result: { structured: { city: 'Oslo' } } })
  }
  const errors = await Promise.all(created.map(async ({ id }) => (await server.turns(id))[0]!.error!.message))
  expect(errors[0]).toContain('without a structured answer')
  expect(errors[1]).toContain('Output does not match required schema')
})

test('SO4 a schema that the agent would stumble over is refused before it starts', async () => {
  const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ type: 'object', properties: { a: inner } }), {})
  const cases: [unknown, string][] = [
    ['text', 'expected record'],
    [[], 'expected record'],
    [{ type: 'array', items: {} }, 'must be of type "object"'],
    [{ type: 'object', properties: { a: { type: 'nonsense' } } }, 'not a valid JSON Schema'],
    [{ type: 'object', properties: { a: { $ref: '#/$defs/No' } } }, '#/$defs/No'],
    [{ type: 'object', properties: { a: { type: 'string', pattern: '(' } } }, 'Invalid regular expression'],
    [{ type: 'object', 'x-note': 1 }, 'unknown keyword'],
    [{ type: 'object', $schema: 'https://example.org/own' }, '$schema'],
    [{ type: 'object', title: 'x'.repeat(65_536) }, 'bytes'],
    [deep, 'levels'],
  ]
  for (const [output_schema, detail] of cases) {
    const reply = await server.request('POST', '/v1/sessions', { output_schema })
    expect([reply.status, reply.body.code, output_schema], reply.text).toEqual([
      400,
      'validation_failed',
      output_schema,
    ])
    expect(reply.text.replaceAll('\\"', '"')).toContain(detail)
    const agent = await server.request('POST', '/v1/agents', { name: 'x', model: 'sonnet', output_schema })
    expect([agent.status, agent.body.code], agent.text).toEqual([400, 'validation_failed'])
  }
  const named = { ...SCHEMA, $schema: 'https://json-schema.org/draft/2020-12/schema' }
  expect((await server.create(null, { output_schema: named })).output_schema).toEqual(SCHEMA)
})

test('SO5 the schema of an agent is its sessions’, a session may have its own or none, and it changes while idle', async () => {
  const agent = await server.post<{ id: string; output_schema: unknown }>('/v1/agents', {
    name: 'Geographer',
    model: 'sonnet',
    output_schema: SCHEMA,
  })
  expect(agent.output_schema).toEqual(SCHEMA)
  const { id } = await server.create('Where?', { agent: agent.id })
  expect((await server.idle(id)).result!.structured).toEqual({ city: 'Where?', people: 3 })
  const plain = await server.create('Hello', { agent: agent.id, output_schema: null })
  expect([plain.output_schema, (await server.idle(plain.id)).result!.structured]).toEqual([null, null])
  const own = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }
  await server.post(`/v1/sessions/${id}`, { output_schema: own })
  await server.send(id, 'And?')
  expect((await server.idle(id)).result!.structured).toEqual({ ok: true })
  const busy = await server.create(scripted([{ hang: true }]), { output_schema: own })
  await server.event(busy.id, ({ type }) => type === 'turn.started')
  const reply = await server.request('POST', `/v1/sessions/${busy.id}`, { output_schema: null })
  expect([reply.status, reply.body.code]).toEqual([409, 'session_running'])
  await server.post(`/v1/sessions/${busy.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  await server.idle(busy.id)
  expect((await server.post<Session>(`/v1/sessions/${busy.id}`, { output_schema: null })).output_schema).toBe(null)
})

test('SO6 the origin API takes output_schema beside its fields and shows structured_output beside its result', async () => {
  const { session_id: id } = await server.post<{ session_id: string }>('/execute/', {
    prompt: 'Where?',
    output_schema: SCHEMA,
  })
  await server.idle(id)
  const status = await server.get<{ status: string; result: Record<string, unknown> }>(`/status/${id}`)
  expect(status).toMatchObject({ status: 'completed', result: { structured_output: { city: 'Where?', people: 3 } } })
  // What is not sent again keeps its value.
  await server.post('/execute/', { prompt: 'And?', resume_session_id: id })
  await server.idle(id)
  expect((await server.get(`/status/${id}`)).result).toMatchObject({ structured_output: { city: 'And?' } })
  const wrong = await server.request('POST', '/execute/', { prompt: 'x', output_schema: 'text' })
  expect(wrong).toMatchObject({
    status: 422,
    body: { detail: [{ type: 'dict_type', loc: ['body', 'output_schema'], input: 'text' }] },
  })
})
