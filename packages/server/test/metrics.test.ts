import { Registry } from 'prom-client'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import { expect, test } from 'vitest'
import { bounded } from '../src/metrics/bounded.ts'
import { WorkMetrics } from '../src/metrics/work-metrics.ts'
import { StorageUnavailable } from '../src/store/errors.ts'
import type { Store } from '../src/store/store.ts'
import { type TestServer, testServer } from './support/server.ts'

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.e+-]+|\+Inf|NaN)$/i

async function scrape(server: TestServer) {
  const response = await fetch(`${server.url}/metrics`)
  const text = await response.text()
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))
  const samples: Sample[] = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = SAMPLE.exec(line) ?? []
      expect(name, line).toBeDefined()
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, of]) => [key!, of!])
      return { name: name!, labels: Object.fromEntries(pairs), value: Number(value) }
    })
  const value = (name: string, labels: Record<string, string> = {}) =>
    samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, of]) => sample.labels[key] === of),
    )?.value ?? null
  return { response, text, types, samples, value }
}

test('OP1 /metrics is in the text format of Prometheus, every sample of a metric with help and type', async () => {
  const server = await testServer()
  const { response, text, types, samples } = await scrape(server)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(samples.length).toBeGreaterThan(30)
  for (const { name } of samples) {
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
    expect([name, types.has(family), text.includes(`# HELP ${family} `)]).toEqual([name, true, true])
  }
  await server.stop()
})

test('OP2 what was done is counted, as the log tells it', async () => {
  const model = await startDemoModel()
  const server = await testServer(
    { agent_executable: undefined, demo_model: 'on' },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
  )
  const play = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
  const { id, uuid } = await server.create(play([{ say: 'one' }]))
  await server.idle(id)
  await server.send(id, play([{ tools: [{ name: 'Bash', input: { command: 'touch x' } }] }, { say: 'two' }]))
  const [action] = (await server.idle(id)).required_actions
  await server.post(`/v1/approvals/${action!.event_id}`, { result: 'allow' })
  await server.idle(id)
  const usage = (await server.idle(id)).usage
  const { value, samples } = await scrape(server)
  expect(value('troupe_turns_total', { status: 'completed', stop_reason: 'end_turn' })).toBe(2)
  expect(value('troupe_turn_seconds_count', { status: 'completed' })).toBe(2)
  expect(value('troupe_cost_usd_total')).toBeCloseTo(Number(usage.cost_usd), 6)
  expect([value('troupe_approvals_asked_total'), value('troupe_approvals_answered_total')]).toEqual([1, 1])
  const requests = model.requests.list(uuid).filter((request) => request.usage !== null)
  const name = requests[0]!.model!
  expect(value('troupe_model_requests_total', { outcome: 'ok', model: name })).toBe(requests.length)
  expect(value('troupe_model_request_seconds_count', { model: name })).toBe(requests.length)
  expect(value('troupe_tokens_total', { kind: 'output', model: name })).toBe(
    requests.reduce((sum, request) => sum + request.usage!.output_tokens, 0),
  )
  expect(value('troupe_commit_seconds_count')).toBeGreaterThan(5)
  expect(
    value('troupe_http_request_seconds_count', { method: 'POST', route: '/v1/approvals/:approval_id', status: '200' }),
  ).toBe(1)
  const custom = await server.create(
    play([{ tools: [{ name: 'mcp__client__look_up', input: { q: 'x' } }] }, { say: 'three' }]),
    {
      agent: {
        type: 'inline',
        tools: [{ type: 'custom', name: 'look_up', description: 'x', input_schema: { type: 'object' } }],
      },
    },
  )
  const [call] = (await server.idle(custom.id)).required_actions
  await server.post(`/v1/sessions/${custom.id}/events`, {
    events: [
      { type: 'user.custom_tool_result', custom_tool_use_id: call!.event_id, content: [{ type: 'text', text: 'y' }] },
    ],
  })
  await server.idle(custom.id)
  const { value: after } = await scrape(server)
  expect([after('troupe_approvals_asked_total'), after('troupe_approvals_answered_total')]).toEqual([2, 2])
  // A path is never a label: it would make a new one for each session.
  expect(samples.filter(({ labels }) => labels.route?.includes(id))).toEqual([])
  await server.stop()
  await model.close()
})

test('OP3 an operator finds what is sick: what hangs, what waits, what keeps others from being taken, what the disk refuses', async () => {
  let full = false
  const server = await testServer(
    { max_running: 1 },
    {
      wrapStore: (store: Store) =>
        new Proxy(store, {
          get(target, name) {
            const found = Reflect.get(target, name, target) as unknown
            if (typeof found !== 'function') return found
            if (name !== 'createSession') return found.bind(target)
            return async (...args: unknown[]) => {
              if (full) throw new StorageUnavailable('disk_full', new Error('injected'))
              return found.apply(target, args)
            }
          },
        }),
    },
  )
  const quiet = await scrape(server)
  expect([quiet.value('troupe_running_turn_seconds'), quiet.value('troupe_admission_hold')]).toEqual([null, null])
  const hangs = await server.create('silent')
  await server.event(hangs.id, ({ type }) => type === 'turn.started')
  const waits = await server.create('say x')
  full = true
  expect((await server.request('POST', '/v1/sessions', {})).status).toBe(503)
  full = false
  const abort = new AbortController()
  const stream = await fetch(`${server.url}/v1/sessions/${hangs.id}/events/stream?from=start`, { signal: abort.signal })
  await stream.body!.getReader().read()
  const sick = await scrape(server)
  expect(sick.value('troupe_running_turn_seconds', { session_id: hangs.id })).toBeGreaterThan(0)
  expect(sick.value('troupe_running_turn_seconds', { session_id: waits.id })).toBe(null)
  expect([sick.value('troupe_slots', { state: 'used' }), sick.value('troupe_slots', { state: 'max' })]).toEqual([1, 1])
  expect(sick.value('troupe_queue_depth')).toBe(1)
  expect(sick.value('troupe_queue_oldest_seconds')).toBeGreaterThan(0)
  expect(sick.value('troupe_admission_hold', { reason: 'waiting_for_slot' })).toBe(1)
  expect(sick.value('troupe_commits_refused_total', { reason: 'disk_full' })).toBe(1)
  expect(sick.value('troupe_stream_readers')).toBe(1)
  abort.abort()
  await server.post(`/v1/sessions/${hangs.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  await server.idle(hangs.id)
  await server.idle(waits.id)
  const crashed = await server.create('crash')
  await server.idle(crashed.id)
  const well = await scrape(server)
  expect(well.value('troupe_running_turn_seconds')).toBe(null)
  expect(well.value('troupe_queue_depth')).toBe(0)
  expect(well.value('troupe_session_errors_total', { code: 'process_crashed' })).toBe(1)
  expect(well.value('troupe_turns_total', { status: 'failed' })).toBe(1)
  expect(well.value('troupe_turns_total', { status: 'cancelled', stop_reason: 'interrupted' })).toBe(1)
  await server.stop()
})

test('OP4 sessions by status are counted as they change, and are right after a restart', async () => {
  const server = await testServer()
  const ids = await Promise.all(Array.from({ length: 5 }, async () => (await server.create(null)).id))
  await server.post(`/v1/sessions/${ids[0]}/archive`)
  await server.request('DELETE', `/v1/sessions/${ids[1]}`)
  const holds = await server.create('hold')
  await server.event(holds.id, ({ type }) => type === 'agent.message')
  const counts = async () => {
    const { value } = await scrape(server)
    return ['idle', 'running', 'terminated'].map((status) => value('troupe_sessions', { status }))
  }
  expect(await counts()).toEqual([3, 1, 1])
  await server.post(`/v1/sessions/${holds.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  await server.idle(holds.id)
  expect(await counts()).toEqual([4, 0, 1])
  await server.restart()
  expect(await counts()).toEqual([4, 0, 1])
  await server.stop()
})

test('OP5 names that callers choose are told apart up to a limit', async () => {
  const name = bounded(2)
  expect(['a', 'b', 'c', 'a', 'd'].map(name)).toEqual(['a', 'b', 'other', 'a', 'other'])
  const registry = new Registry()
  const work = new WorkMetrics(registry)
  const row = (type: string, body: object, id: string) => ({
    id,
    type,
    body: JSON.stringify(body),
    sessionId: 'sesn_1',
    seq: 1,
    turnId: null,
    threadId: null,
    createdAt: 1,
    processedAt: 1,
    repeats: null,
  })
  for (let n = 0; n < 200; n++)
    work.see([
      row('span.model_request_start', { model: `model ${n}` }, `sevt_${n}`),
      row('span.model_request_end', { model_request_start_id: `sevt_${n}`, model_usage: {} }, `sevt_end_${n}`),
    ])
  const models = new Set(
    [...(await registry.metrics()).matchAll(/troupe_model_requests_total\{model="([^"]+)"/g)].map(([, of]) => of),
  )
  expect(models.size).toBe(51)
  expect(models).toContain('other')
})
