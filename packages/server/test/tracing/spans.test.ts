import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/lib/logger.ts'
import type { EventRow } from '../../src/store/events.ts'
import type { Store } from '../../src/store/store.ts'
import { slimEvent } from '../../src/tracing/slim-event.ts'
import type { Span } from '../../src/tracing/span.ts'
import { SpanExporter } from '../../src/tracing/span-exporter.ts'
import { formatTraceparent, parseTraceparent, traceOfTurn } from '../../src/tracing/trace-context.ts'
import { Tracer } from '../../src/tracing/tracer.ts'
import { turnSpans } from '../../src/tracing/turn-spans.ts'
import { event as newEvent, sessionRow, turnRow } from '../support/rows.ts'

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

  test('OT4 a session stands nowhere behind its turn, though the end is told before the beginning was read', async () => {
    const read = Promise.withResolvers<typeof turn>()
    const store = { readTurn: () => read.promise, readSession: async () => null } as unknown as Store
    const tracer = new Tracer(store, { stop: async () => undefined } as unknown as SpanExporter, silentLogger, () => {})
    tracer.committed([row('turn.started', 1, {})])
    tracer.committed([row('turn.completed', 2, {})])
    read.resolve({ ...turn, status: 'in_progress' })
    await tracer.stop(0)
    expect(tracer.current(session.id)).toBeNull()
    tracer.committed([row('turn.started', 3, {})])
    await expect.poll(() => tracer.current(session.id)).toBe(formatTraceparent(traceOfTurn(turn)))
  })

  test('OT4 a turn has one place in one trace, before, during and behind it', () => {
    const own = traceOfTurn(turn)
    expect(own).toEqual(traceOfTurn({ ...turn, status: 'completed' } as never))
    expect(parseTraceparent(formatTraceparent(own))).toEqual(own)
    expect(traceOfTurn({ id: 'turn_other' }).traceId).not.toBe(own.traceId)
  })
})
