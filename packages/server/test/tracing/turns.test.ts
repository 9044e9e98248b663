import { startDemoModel } from '@troupe/demo-model/demo-model'
import type { Session } from '@troupe/protocol/session'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { otlpTarget } from '../../src/lib/otlp-target.ts'
import { formatTraceparent } from '../../src/tracing/trace-context.ts'
import { testServer } from '../support/server.ts'
import { attributesOf, bodyOf, collector, PARENT, spansOf, TRACE, traced, traceparent } from './collector.ts'

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
})

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
