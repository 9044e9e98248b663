import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/lib/logger.ts'
import type { Span } from '../../src/tracing/span.ts'
import { SpanExporter } from '../../src/tracing/span-exporter.ts'
import { spanIdOf } from '../../src/tracing/trace-context.ts'
import { status } from '../support/receiver.ts'
import { testServer } from '../support/server.ts'
import { collector, TRACE, traced } from './collector.ts'

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
    found.answer = status(400)
    const server = await testServer({}, { env: traced(found.url) })
    const { id } = await server.create('say x')
    expect((await server.idle(id)).result?.text).toBe('x')
    await found.until(1)
    const metrics = async () => (await server.request('GET', '/metrics')).text
    await expect.poll(metrics).toMatch(/^troupe_trace_spans_total\{outcome="dropped"\} [1-9]/m)
    await server.stop()
  })
})
