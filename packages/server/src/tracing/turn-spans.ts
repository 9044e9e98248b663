import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import type { Span } from './span.ts'
import { spanIdOf, traceOfTurn, parseTraceparent } from './trace-context.ts'

/** What is read of the bodies of events. Texts of prompts, answers, tools and their input are not. */
interface Body {
  name?: string
  mcp_server_name?: string
  model?: string
  agent_name?: string
  tool_use_id?: string
  mcp_tool_use_id?: string
  custom_tool_use_id?: string
  sdk_tool_use_id?: string
  model_request_start_id?: string
  is_error?: boolean
  model_usage?: Record<string, number>
  evaluated_permission?: string
  result?: string
  reason?: string
  stop_reason?: { type?: string } | null
}

const PROVIDER = 'anthropic'
const CUT = 'it was still going on when the turn ended'

/** Tokens by the names of the conventions, in which those of the cache are part of what went in. */
function tokens(input: number, output: number, cacheRead: number, cacheCreated: number): Span['attributes'] {
  return {
    'gen_ai.usage.input_tokens': input + cacheRead + cacheCreated,
    'gen_ai.usage.output_tokens': output,
    'gen_ai.usage.cache_read.input_tokens': cacheRead,
    'gen_ai.usage.cache_creation.input_tokens': cacheCreated,
  }
}

/**
 * A turn that has ended as spans, by the semantic conventions of OpenTelemetry for generative AI: the turn, the time it
 * waited, its requests to the model, calls of tools, waits for a person, and subagents, each below what it belongs to.
 * `events`: the turn's, oldest first. Pure, and the same each time: what was sent twice is one span.
 */
export function turnSpans(session: SessionRow, turn: TurnRow, events: readonly EventRow[]): Span[] {
  const { traceId, spanId: root } = traceOfTurn(turn)
  const parent = parseTraceparent(turn.traceparent)
  const endedAt = turn.endedAt ?? events.at(-1)?.createdAt ?? turn.createdAt
  const conversation = { 'gen_ai.conversation.id': session.id }
  const { usage } = turn
  const whole: Span = {
    traceId,
    spanId: root,
    parentSpanId: parent?.spanId ?? null,
    name: `invoke_agent ${session.agent.name}`,
    kind: 'consumer',
    startedAt: turn.createdAt,
    endedAt,
    attributes: {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': PROVIDER,
      ...conversation,
      'gen_ai.agent.id': session.agent.id,
      'gen_ai.agent.name': session.agent.name,
      'gen_ai.agent.version': String(session.agent.version),
      'gen_ai.request.model': session.agent.model.id,
      ...(usage && tokens(usage.inputTokens, usage.outputTokens, usage.cacheReadTokens, usage.cacheCreationTokens)),
      'troupe.turn.id': turn.id,
      'troupe.turn.number': turn.number,
      'troupe.turn.status': turn.status,
      'troupe.turn.stop_reason': turn.stopReason?.type,
      'troupe.turn.cost_usd': usage?.costUsd,
      'troupe.turn.model_requests': turn.modelRequests ?? undefined,
      'troupe.workspace.id': session.workspaceId,
      'troupe.environment.id': session.options.environment?.id,
      'troupe.deployment.id': session.options.deploymentId,
      'error.type': turn.error?.code,
    },
    error: turn.error?.code ?? null,
  }
  const spans = [whole]
  const open = new Map<string, Span>()
  const begin = (id: string, event: EventRow, under: string, name: string, attributes: Span['attributes']) => {
    const span: Span = {
      traceId,
      spanId: spanIdOf(id),
      parentSpanId: under,
      name,
      kind: 'internal',
      startedAt: event.createdAt,
      endedAt,
      attributes: { ...attributes, ...conversation },
      error: null,
    }
    spans.push(span)
    open.set(id, span)
    return span
  }
  const end = (id: string | undefined, event: EventRow, error: string | null, attributes: Span['attributes'] = {}) => {
    const span = id === undefined ? undefined : open.get(id)
    if (!span) return
    open.delete(id!)
    span.endedAt = event.createdAt
    span.error = error
    Object.assign(span.attributes, attributes)
  }
  const threads = new Map<string, Span>()
  /** A subagent begins, or is taken up again: in this turn it has one span. */
  const thread = (event: EventRow, name: string | undefined, above: string) => {
    const id = event.threadId!
    const known = threads.get(id)
    if (known) return void open.set(id, known)
    const attributes = {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': PROVIDER,
      'gen_ai.agent.name': name,
      'troupe.thread.id': id,
    }
    threads.set(id, begin(id, event, above, `invoke_agent ${name ?? 'subagent'}`, attributes))
  }
  for (const event of events) {
    const body = JSON.parse(event.body) as Body
    // What a subagent says that nothing in this turn began is the turn's.
    const under = threads.get(event.threadId ?? '')?.spanId ?? root
    const call = body.tool_use_id ?? body.mcp_tool_use_id ?? body.custom_tool_use_id
    switch (event.type) {
      case 'session.queued':
        begin('queued', event, root, 'queued', {}).spanId = spanIdOf(event.id)
        break
      case 'turn.started':
      case 'turn.resumed':
        end('queued', event, null)
        break
      case 'span.model_request_start': {
        const span = begin(event.id, event, under, `chat ${body.model ?? session.agent.model.id}`, {
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': PROVIDER,
          'gen_ai.request.model': session.agent.model.id,
          'gen_ai.response.model': body.model,
        })
        span.kind = 'client'
        break
      }
      case 'span.model_request_end': {
        const used = body.model_usage ?? {}
        const of = (name: string) => used[name] ?? 0
        end(
          body.model_request_start_id,
          event,
          body.is_error ? 'the request failed' : null,
          tokens(
            of('input_tokens'),
            of('output_tokens'),
            of('cache_read_input_tokens'),
            of('cache_creation_input_tokens'),
          ),
        )
        break
      }
      case 'agent.tool_use':
      case 'agent.mcp_tool_use':
      case 'agent.custom_tool_use':
        begin(event.id, event, under, `execute_tool ${body.name}`, {
          'gen_ai.operation.name': 'execute_tool',
          'gen_ai.tool.name': body.name,
          'gen_ai.tool.call.id': body.sdk_tool_use_id,
          'gen_ai.tool.type': event.type === 'agent.tool_use' ? 'function' : 'extension',
          'mcp.server.name': body.mcp_server_name,
        })
        if (body.evaluated_permission === 'ask')
          begin(`wait ${event.id}`, event, spanIdOf(event.id), 'wait_for_approval', { 'gen_ai.tool.name': body.name })
        break
      case 'user.tool_confirmation':
      case 'user.custom_tool_result':
      case 'session.approval_closed':
        end(`wait ${call}`, event, null, { 'troupe.approval.result': body.result ?? body.reason })
        if (event.type === 'user.custom_tool_result') end(call, event, body.is_error ? 'the tool failed' : null)
        break
      case 'agent.permission_denied':
        end(call, event, 'the call was refused')
        break
      case 'agent.tool_result':
      case 'agent.mcp_tool_result':
        end(`wait ${call}`, event, null)
        end(call, event, body.is_error ? 'the tool failed' : null)
        break
      case 'session.thread_created': {
        const above = body.tool_use_id === undefined ? root : spanIdOf(body.tool_use_id)
        thread(event, body.agent_name, above)
        break
      }
      case 'session.thread_status_running':
        thread(event, body.agent_name, root)
        break
      case 'session.thread_status_idle': {
        const why = body.stop_reason?.type
        end(event.threadId!, event, why === undefined || why === 'end_turn' || why === 'interrupted' ? null : why)
        break
      }
      case 'session.thread_status_terminated':
        end(event.threadId!, event, null)
        break
    }
  }
  for (const span of open.values()) {
    span.attributes['troupe.cut'] = true
    // A turn that was stopped on purpose cuts what was under way; that is no error.
    if (turn.status !== 'cancelled') span.error = CUT
  }
  return spans
}
