import { startDemoModel } from '@troupe/demo-model/demo-model'
import type { Session } from '@troupe/protocol/session'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { otlpTarget } from '../src/lib/otlp-target.ts'
import { silentLogger } from '../src/lib/logger.ts'
import type { EventRow, Store } from '../src/store/store.ts'
import { slimEvent } from '../src/tracing/slim-event.ts'
import type { Span } from '../src/tracing/span.ts'
import { SpanExporter } from '../src/tracing/span-exporter.ts'
import { formatTraceparent, parseTraceparent, spanIdOf, traceOfTurn } from '../src/tracing/trace-context.ts'
import { Tracer } from '../src/tracing/tracer.ts'
import { turnSpans } from '../src/tracing/turn-spans.ts'
import { type Receiver, receiver, status } from './support/receiver.ts'
import { event as newEvent, sessionRow, turnRow } from './support/rows.ts'
import { testServer } from './support/server.ts'

/** A span as it came over the wire. */
interface Sent {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: Record<string, unknown> }[]
  status?: { code: number; message: string }
}
interface Body {
  resourceSpans: { resource: { attributes: Sent['attributes'] }; scopeSpans: { spans: Sent[] }[] }[]
}
const bodyOf = ({ body }: { body: string }) => JSON.parse(body) as Body
const spansOf = (from: Pick<Receiver, 'received'>) =>
  from.received.flatMap((one) => bodyOf(one).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans[0]!.spans))
const attributesOf = ({ attributes }: Pick<Sent, 'attributes'>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

async function collector() {
  const found = await receiver()
  onTestFinished(() => found.close())
  return found
}
const traced = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url })

const TRACE = 'abcdef0123456789abcdef0123456789'
const PARENT = '00f067aa0ba902b7'
const traceparent = `00-${TRACE}-${PARENT}-01`

test('OT1 a turn of the genuine agent is a tree of spans in the trace of its request, and the model endpoint is told its place', async () => {
  const found = await collector()
  const model = await startDemoModel()
  const told: unknown[] = []
  const door = createServer((incoming, outgoing) => {
    if (incoming.url!.includes('/messages')) told.push(incoming.headers.traceparent)
    const { method, url, headers } = incoming
    const onward = request(model.url + url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  const server = await testServer(
    { agent_executable: undefined, credential_proxy: 'on' },
    {
      env: {
        ANTHROPIC_API_KEY: 'sk-canary-of-the-model',
        ANTHROPIC_BASE_URL: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
        ...traced(found.url),
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20of-the-collector',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      },
    },
  )
  onTestFinished(async () => {
    door.closeAllConnections()
    door.close()
    await model.close()
  })
  const agent = { type: 'inline', permission_mode: 'bypassPermissions' }
  const initial_events = [{ type: 'user.message', content: 'Start a subagent' }]
  const { id } = await server.post<Session>('/v1/sessions', { agent, initial_events }, { traceparent })
  await server.idle(id)
  const [turn] = await server.turns(id)
  const events = await server.events(id)
  await server.stop()
  expect(found.received.map(({ path, headers }) => [path, headers.authorization])).toEqual([
    ['/v1/traces', 'Bearer of-the-collector'],
  ])
  const [resource] = bodyOf(found.received[0]!).resourceSpans
  expect(attributesOf(resource!.resource)).toMatchObject({
    'service.name': 'troupe',
    'deployment.environment.name': 'test',
  })
  const spans = spansOf(found)
  const named = (name: string) => spans.filter((span) => span.name === name)
  const [root] = named('invoke_agent Inline agent').concat(spans.filter(({ parentSpanId }) => parentSpanId === PARENT))
  expect(root).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, kind: 5 })
  expect(turn!.trace_id).toBe(TRACE)
  expect(spans.every(({ traceId }) => traceId === TRACE)).toBe(true)
  // One tree: each but the root has its parent among them, and none ends before it began.
  const ids = new Set(spans.map(({ spanId }) => spanId))
  expect(ids.size).toBe(spans.length)
  expect(spans.filter(({ parentSpanId }) => !ids.has(parentSpanId!))).toEqual([root])
  expect(spans.filter((span) => BigInt(span.endTimeUnixNano) < BigInt(span.startTimeUnixNano))).toEqual([])
  expect(spans.filter((span) => span.status)).toEqual([])
  const [subagent] = named('invoke_agent general-purpose')
  const [call] = named('execute_tool Agent')
  expect([call!.parentSpanId, subagent!.parentSpanId]).toEqual([root!.spanId, call!.spanId])
  expect(named('execute_tool Bash').map(({ parentSpanId }) => parentSpanId)).toEqual([subagent!.spanId])
  const requests = spans.filter(({ name }) => name.startsWith('chat '))
  expect(requests.map(({ parentSpanId, kind }) => [parentSpanId, kind])).toEqual([
    [root!.spanId, 3],
    [root!.spanId, 3],
  ])
  const { usage } = turn!
  expect(attributesOf(root!)).toMatchObject({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.provider.name': 'anthropic',
    'gen_ai.conversation.id': id,
    'gen_ai.usage.input_tokens': String(
      usage!.input_tokens + usage!.cache_read_input_tokens + usage!.cache_creation_input_tokens,
    ),
    'gen_ai.usage.output_tokens': String(usage!.output_tokens),
    'troupe.turn.id': turn!.id,
    'troupe.turn.stop_reason': 'end_turn',
  })
  // What was said, asked and found out is in none of them.
  const texts = events.flatMap(({ content }) =>
    ((content as { text?: string }[]) ?? []).flatMap(({ text }) => text ?? []),
  )
  expect(texts.length).toBeGreaterThan(4)
  for (const secret of [...texts, 'ls -la', 'sk-canary', server.folder])
    expect(found.received[0]!.body).not.toContain(secret)
  expect(new Set(told)).toEqual(new Set([formatTraceparent({ traceId: TRACE, spanId: root!.spanId, sampled: true })]))
})

test('OT23 a real turn that waited for a person and for its client is a whole tree without errors, and its webhook carries its place', async () => {
  const found = await collector()
  const hooks = await collector()
  const model = await startDemoModel()
  const server = await testServer(
    { agent_executable: undefined, demo_model: 'on', webhook_allow_private: true },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined, ...traced(found.url) } },
  )
  onTestFinished(() => model.close())
  await server.post('/v1/webhook_endpoints', { url: hooks.url, types: ['turn.completed'] })
  const steps = [
    { tools: [{ name: 'Bash', input: { command: 'touch x' } }] },
    { tools: [{ name: 'mcp__client__look_up', input: { q: 'x' } }] },
    { say: 'done' },
  ]
  const agent = {
    type: 'inline',
    tools: [{ type: 'custom', name: 'look_up', description: 'x', input_schema: { type: 'object' } }],
  }
  const content = `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
  const body = { agent, initial_events: [{ type: 'user.message', content }] }
  const { id } = await server.post<Session>('/v1/sessions', body, { traceparent })
  const [asked] = (await server.idle(id)).required_actions
  await server.post(`/v1/approvals/${asked!.event_id}`, { result: 'allow' })
  const [called] = (await server.idle(id)).required_actions
  const result = { type: 'user.custom_tool_result', custom_tool_use_id: called!.event_id, content: [] }
  await server.post(`/v1/sessions/${id}/events`, { events: [result] })
  expect((await server.idle(id)).result).toMatchObject({ text: 'done' })
  const [hook] = await hooks.until(1)
  await server.stop()
  const spans = spansOf(found)
  expect(spans.filter(({ status: bad }) => bad).map(({ name, status: bad }) => [name, bad])).toEqual([])
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const [root, ...others] = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId!))
  expect(others).toEqual([])
  expect(root).toMatchObject({ traceId: TRACE, parentSpanId: PARENT })
  const names = spans.map(({ name }) => name)
  for (const name of ['execute_tool Bash', 'wait_for_approval', 'execute_tool look_up']) expect(names).toContain(name)
  expect(hook!.headers.traceparent).toBe(`00-${TRACE}-${root!.spanId}-01`)
}, 60_000)

test('OT2 whichever way a turn comes, it joins the trace of its request, also behind a restart; what is no traceparent is ignored', async () => {
  const found = await collector()
  const server = await testServer({ max_running: 1, drain_seconds: 0 }, { env: traced(found.url) })
  const headers = { traceparent }
  const traceOf = async (id: string) => (await server.turns(id)).at(-1)!.trace_id
  const holder = await server.create('hold')
  const waiting = await server.post<Session>(
    '/v1/sessions',
    { initial_events: [{ type: 'user.message', content: 'say x' }] },
    headers,
  )
  await server.restart()
  await server.post(`/v1/sessions/${holder.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  await server.idle(waiting.id)
  expect(await traceOf(waiting.id)).toBe(TRACE)
  const sent = { events: [{ type: 'user.message', content: 'say y' }] }
  await server.post(`/v1/sessions/${waiting.id}/events`, sent, headers)
  await server.idle(waiting.id)
  expect(await traceOf(waiting.id)).toBe(TRACE)
  const { session_id } = await server.post<{ session_id: string }>('/execute/', { prompt: 'say z' }, headers)
  await server.idle(session_id)
  await server.post('/execute/', { prompt: 'say z', resume_session_id: session_id }, headers)
  await server.idle(session_id)
  expect((await server.turns(session_id)).map(({ trace_id }) => trace_id)).toEqual([TRACE, TRACE])
  // No traceparent, and several that are none: a trace of its own each time.
  const none = ['', 'x', traceparent.toUpperCase(), `${traceparent}-00`, `ff${traceparent.slice(2)}`, '00-0-0-01']
  const own = new Set<string>()
  for (const bad of none) {
    await server.post(`/v1/sessions/${waiting.id}/events`, sent, bad === '' ? {} : { traceparent: bad })
    await server.idle(waiting.id)
    own.add(await traceOf(waiting.id))
  }
  expect(own.size).toBe(none.length)
  expect(own).not.toContain(TRACE)
  // A caller that keeps nothing itself is not answered with half a trace.
  await server.post(`/v1/sessions/${waiting.id}/events`, sent, { traceparent: traceparent.replace(/01$/, '00') })
  const last = await server.idle(waiting.id)
  expect(await traceOf(waiting.id)).toBe(TRACE)
  await server.stop()
  const turns = spansOf(found).filter(({ name }) => name.startsWith('invoke_agent'))
  const ofLast = turns.filter((span) => attributesOf(span)['gen_ai.conversation.id'] === last.id)
  expect(ofLast).toHaveLength(2 + none.length)
})

describe('the exporter', () => {
  const span = (n: number): Span => ({
    traceId: TRACE,
    spanId: spanIdOf(String(n)),
    parentSpanId: null,
    name: `span ${n}`,
    kind: 'internal',
    startedAt: n,
    endedAt: n + 1,
    attributes: { n },
    error: null,
    links: [],
  })
  const spans = (count: number) => Array.from({ length: count }, (_, n) => span(n))
  function exporterTo(url: string) {
    const counts = { sent: 0, dropped: 0 }
    const warnings: string[] = []
    const exporter = new SpanExporter({
      url,
      headers: {},
      resource: {},
      version: '1',
      logger: { ...silentLogger, warn: (_fields, text) => warnings.push(text) },
      gatherMs: 1,
      pauseMs: 1,
      counted: (outcome, many) => (counts[outcome] += many),
    })
    return { exporter, counts, warnings }
  }

  test('OT3 what passes is tried again, what does not is dropped and counted, and it is said once', async () => {
    const found = await collector()
    const { exporter, counts, warnings } = exporterTo(found.url)
    found.answer = status(503)
    exporter.add(spans(2))
    await found.until(2)
    found.answer = status(200)
    await found.until(3)
    found.answer = status(400)
    exporter.add(spans(3))
    await found.until(4)
    exporter.add(spans(3))
    await found.until(5)
    await exporter.stop(1_000)
    expect(counts).toEqual({ sent: 2, dropped: 6 })
    expect(warnings).toEqual(['traces could not be delivered'])
    exporter.add(spans(1))
    expect(counts.dropped).toBe(7)
  })

  test('OT3 an endpoint that never answers holds no more than so many spans, and no server that stops', async () => {
    const found = await collector()
    found.answer = () => undefined
    const { exporter, counts } = exporterTo(found.url)
    exporter.add(spans(600))
    await found.until(1)
    for (let more = 0; more < 20; more++) exporter.add(spans(1_000))
    expect(counts.dropped).toBeGreaterThan(9_000)
    const before = counts.dropped
    await exporter.stop(50)
    expect(counts).toEqual({ sent: 0, dropped: 20_600 })
    expect(before).toBeLessThan(11_000)
    expect(found.received.length).toBe(1)
  })

  test('OT3 sessions run and end as ever while nobody takes their traces, and the metrics say so', async () => {
    const found = await collector()
    found.answer = (_received, _response, incoming) => incoming.socket.destroy()
    const server = await testServer({}, { env: traced(found.url) })
    const { id } = await server.create('say x')
    expect((await server.idle(id)).result?.text).toBe('x')
    await found.until(1)
    await server.app.store.checkWritable()
    const { text } = await server.request('GET', '/metrics')
    expect(text).toContain('# TYPE troupe_trace_spans_total counter')
    await server.stop()
  })
})

describe('the spans of a turn', () => {
  const session = sessionRow()
  const row = (type: string, at: number, body: object, more: Partial<EventRow> = {}): EventRow => ({
    ...newEvent(type),
    sessionId: session.id,
    seq: at,
    repeats: null,
    type,
    turnId: turn.id,
    threadId: null,
    createdAt: at,
    processedAt: null,
    ...more,
    body: JSON.stringify(body),
  })
  const turn = turnRow(session.id, { status: 'failed', createdAt: 10, endedAt: 100 })
  const shown = (spans: Span[]) => spans.map(({ name, startedAt, endedAt, error }) => [name, startedAt, endedAt, error])

  test('OT4 a call that waited for a person, through however many processes, shows the wait; what was cut off says so', () => {
    const asked = row('agent.tool_use', 20, { name: 'Bash', evaluated_permission: 'ask', sdk_tool_use_id: 'toolu_1' })
    const events = [
      row('session.queued', 10, {}),
      row('turn.started', 15, {}),
      asked,
      row('user.tool_confirmation', 40, { tool_use_id: asked.id, result: 'allow' }),
      row('turn.resumed', 41, {}),
      row('agent.tool_result', 60, { tool_use_id: asked.id, is_error: true }),
      row('span.model_request_start', 70, { model: 'big' }),
      row('agent.mcp_tool_use', 80, { name: 'look', mcp_server_name: 'docs' }),
      row('agent.tool_result', 90, { tool_use_id: 'sevt_unknown' }),
    ]
    const spans = turnSpans(session, { ...turn, error: { code: 'process_crashed' } as never }, events)
    expect(shown(spans)).toEqual([
      [`invoke_agent ${session.agent.name}`, 10, 100, 'process_crashed'],
      ['queued', 10, 15, null],
      ['execute_tool Bash', 20, 60, 'the tool failed'],
      ['wait_for_approval', 20, 40, null],
      ['chat big', 70, 100, 'it was still going on when the turn ended'],
      ['execute_tool look', 80, 100, 'it was still going on when the turn ended'],
    ])
    expect(spans[3]!.parentSpanId).toBe(spans[2]!.spanId)
    expect(spans[3]!.attributes['troupe.approval.result']).toBe('allow')
    expect(spans[0]!.attributes['error.type']).toBe('process_crashed')
    // Told again after a crash, it is the same.
    expect(turnSpans(session, { ...turn, error: { code: 'process_crashed' } as never }, events)).toEqual(spans)
  })

  test('OT23 results of MCP servers and of clients end their calls, refusals and answers say what they are, and a second wait for a slot is one', () => {
    const mcp = row('agent.mcp_tool_use', 20, { name: 'look', mcp_server_name: 'docs' })
    const custom = row('agent.custom_tool_use', 30, { name: 'ask_crm' })
    const denied = row('agent.tool_use', 40, { name: 'Bash' })
    const events = [
      row('session.queued', 10, {}),
      row('turn.started', 15, {}),
      mcp,
      row('agent.mcp_tool_result', 25, { mcp_tool_use_id: mcp.id, is_error: false }),
      custom,
      row('user.custom_tool_result', 35, { custom_tool_use_id: custom.id, is_error: false }),
      row('session.queued', 36, {}),
      row('turn.resumed', 38, {}),
      denied,
      row('agent.permission_denied', 41, { tool_use_id: denied.id }),
      row('agent.tool_result', 42, { tool_use_id: denied.id, is_error: true }),
    ]
    expect(shown(turnSpans(session, { ...turn, status: 'completed' }, events)).slice(1)).toEqual([
      ['queued', 10, 15, null],
      ['execute_tool look', 20, 25, null],
      ['execute_tool ask_crm', 30, 35, null],
      ['queued', 36, 38, null],
      ['execute_tool Bash', 40, 41, 'the call was refused'],
    ])
  })

  test('OT23 a subagent that is taken up again has its place in the new turn, and what was stopped on purpose is no error', () => {
    const inside = { threadId: 'sthr_1' }
    const call = row('agent.tool_use', 30, { name: 'Bash' }, inside)
    const stopped = { ...turn, status: 'cancelled' } as const
    const spans = turnSpans(session, stopped, [
      row('session.thread_status_running', 20, { agent_name: 'helper' }, inside),
      row('session.thread_status_idle', 25, { stop_reason: { type: 'end_turn' } }, inside),
      row('session.thread_status_running', 28, { agent_name: 'helper' }, inside),
      call,
      row('session.thread_status_terminated', 90, { agent_name: 'helper' }, inside),
    ])
    expect(shown(spans)).toEqual([
      [`invoke_agent ${session.agent.name}`, 10, 100, null],
      ['invoke_agent helper', 20, 90, null],
      ['execute_tool Bash', 30, 100, null],
    ])
    expect(spans.map(({ parentSpanId }) => parentSpanId)).toEqual([null, spans[0]!.spanId, spans[1]!.spanId])
    expect(spans[2]!.attributes['troupe.cut']).toBe(true)
    // Words of a subagent that nothing in this turn began: they belong to the turn.
    const [root, tool] = turnSpans(session, stopped, [call])
    expect(tool!.parentSpanId).toBe(root!.spanId)
    const failed = turnSpans(session, { ...turn, error: null }, [
      row('session.thread_created', 20, { agent_name: 'helper' }, inside),
      row('session.thread_status_idle', 25, { stop_reason: { type: 'retries_exhausted' } }, inside),
    ])
    expect(failed[1]!.error).toBe('retries_exhausted')
  })

  test('OT24 a turn is read from its input to its end, in pieces, and its texts are let go at once', async () => {
    const asked: number[] = []
    const added: Span[] = []
    const long = { ...turn, inputEventIds: ['sevt_input'] }
    const store = {
      readSession: async () => session,
      readTurn: async () => long,
      readEvent: async () => ({ seq: 5_000 }),
      readEvents: async (_id: string, after: number) => {
        asked.push(after)
        const call = (at: number) => row('agent.tool_use', at, { name: `tool ${at}`, input: 'x'.repeat(10_000) })
        return Array.from({ length: 100 }, (_, n) => call(after + n + 1))
      },
    } as unknown as Store
    const exporter = {
      add: (spans: Span[]) => added.push(...spans),
      stop: async () => undefined,
    } as unknown as SpanExporter
    const tracer = new Tracer(store, exporter, silentLogger, () => expect.unreachable())
    tracer.committed([row('session.created', 1, {}), row('turn.completed', 2, {})])
    await tracer.stop(0)
    expect(asked).toEqual([])
    tracer.committed([row('turn.completed', 5_250, {})])
    await tracer.stop(0)
    expect(asked).toEqual([4_999, 5_099, 5_199])
    expect(added).toHaveLength(1 + 251)
    const slim = slimEvent(row('agent.mcp_tool_result', 1, { mcp_tool_use_id: 'a', is_error: true, content: 'secret' }))
    expect(JSON.parse(slim!.body)).toEqual({ mcp_tool_use_id: 'a', is_error: true })
    expect(slimEvent(row('agent.message', 1, {}))).toBeNull()
    expect(slimEvent(row('user.tool_confirmation', 1, {}, { repeats: 1 }))).toBeNull()
  })

  test('OT4 a turn has one place in one trace, before, during and behind it', () => {
    const own = traceOfTurn(turn)
    expect(own).toEqual(traceOfTurn({ ...turn, status: 'completed' } as never))
    expect(parseTraceparent(formatTraceparent(own))).toEqual(own)
    expect(traceOfTurn({ id: 'turn_other' }).traceId).not.toBe(own.traceId)
  })
})

test('OT5 the variables of OpenTelemetry say where traces go, or what is wrong with them; without them nothing is sent', () => {
  const of = (env: NodeJS.ProcessEnv) => otlpTarget(env)
  expect(of({})).toBeNull()
  const base = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }
  expect(of(base)).toEqual({ url: 'http://c:4318/v1/traces', headers: {}, resource: { 'service.name': 'troupe' } })
  expect(of({ ...base, OTEL_SDK_DISABLED: 'true' })).toBeNull()
  expect(of({ ...base, OTEL_TRACES_EXPORTER: 'none' })).toBeNull()
  const whole = of({
    ...base,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/api/otel',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1, b=x%20y',
    OTEL_SERVICE_NAME: 'agents',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,team=docs',
  })
  expect(whole).toEqual({
    url: 'https://c/api/otel',
    headers: { a: '1', b: 'x y' },
    resource: { 'service.name': 'agents', team: 'docs' },
  })
  for (const bad of [
    { ...base, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://c' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@c' },
    { ...base, OTEL_EXPORTER_OTLP_HEADERS: 'a=x%0d%0ay' },
  ])
    expect(() => of(bad), JSON.stringify(bad)).toThrow(/^OTEL_/)
})
