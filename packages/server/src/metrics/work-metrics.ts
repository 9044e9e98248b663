import { Counter, Histogram, type Registry } from 'prom-client'
import type { EventRow } from '../store/events.ts'
import { bounded } from './bounded.ts'

/** Seconds: a model answers in tenths to minutes, a turn takes seconds to hours. */
const REQUEST_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160]
const TURN_SECONDS = [0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400]
/** Different names of models, stop reasons and codes that are told apart. */
const MAX_NAMES = 50
/** Requests under way that are remembered, until the oldest are given up. */
const MAX_OPEN = 10_000

interface Body {
  stop_reason?: { type?: string } | null
  usage?: { active_seconds?: number; cost_usd?: number } | null
  error?: { code?: string }
  model?: string
  model_request_start_id?: string
  is_error?: boolean
  model_usage?: Record<string, number>
  evaluated_permission?: string
}

/** Counts work as the log tells it: what is not an event did not happen. */
export class WorkMetrics {
  readonly #turns
  readonly #turnSeconds
  readonly #cost
  readonly #requests
  readonly #requestSeconds
  readonly #tokens
  readonly #asked
  readonly #answered
  readonly #errors
  readonly #failed: (event: EventRow, code: string) => void
  readonly #events
  readonly #model = bounded(MAX_NAMES)
  readonly #reason = bounded(MAX_NAMES)
  readonly #code = bounded(MAX_NAMES)
  /** Requests to the model under way, by the event that told their beginning. */
  readonly #open = new Map<string, { model: string; at: number }>()

  /** `failed`: is shown each error that a session tells, with its code as it may be told. */
  constructor(registry: Registry, failed: (event: EventRow, code: string) => void = () => undefined) {
    this.#failed = failed
    const registers = [registry]
    const counter = <T extends string>(name: string, help: string, labelNames: T[] = []) =>
      new Counter({ name, help, labelNames, registers })
    const histogram = <T extends string>(name: string, help: string, labelNames: T[], buckets: number[]) =>
      new Histogram({ name, help, labelNames, buckets, registers })
    this.#turns = counter('troupe_turns_total', 'Turns that have ended.', ['status', 'stop_reason'])
    this.#turnSeconds = histogram('troupe_turn_seconds', 'Time a turn was worked on.', ['status'], TURN_SECONDS)
    this.#cost = counter('troupe_cost_usd_total', 'List cost of turns that have ended, in dollars.')
    this.#requests = counter('troupe_model_requests_total', 'Requests to the model that have ended.', [
      'model',
      'outcome',
    ])
    this.#requestSeconds = histogram(
      'troupe_model_request_seconds',
      'From the first to the last word of the model.',
      ['model'],
      REQUEST_SECONDS,
    )
    this.#tokens = counter('troupe_tokens_total', 'Tokens that the model reported.', ['model', 'kind'])
    this.#asked = counter('troupe_approvals_asked_total', 'Tool calls that were told as needing an answer.')
    this.#answered = counter('troupe_approvals_answered_total', 'Answers to tool calls.')
    this.#errors = counter('troupe_session_errors_total', 'Errors told in sessions.', ['code'])
    this.#events = counter('troupe_events_total', 'Events appended.')
  }

  see(events: readonly EventRow[]): void {
    this.#events.inc(events.length)
    for (const event of events) this.#see(event)
  }

  #see(event: EventRow): void {
    const { type, id, createdAt, processedAt, repeats, body } = event
    switch (type) {
      case 'turn.completed':
      case 'turn.failed':
      case 'turn.cancelled':
        return this.#turn(type.slice('turn.'.length), JSON.parse(body) as Body)
      case 'span.model_request_start':
        return this.#begin(id, (JSON.parse(body) as Body).model ?? 'unknown', createdAt)
      case 'span.model_request_end':
        return this.#end(JSON.parse(body) as Body, createdAt)
      case 'agent.tool_use':
      case 'agent.mcp_tool_use':
        if ((JSON.parse(body) as Body).evaluated_permission === 'ask') this.#asked.inc()
        return undefined
      case 'agent.custom_tool_use':
        return this.#asked.inc()
      case 'user.tool_confirmation':
      case 'user.custom_tool_result':
        // It is appended again when the agent takes it.
        if (repeats === null && processedAt === null) this.#answered.inc()
        return undefined
      case 'session.error':
        return this.#error(event, this.#code((JSON.parse(body) as Body).error?.code ?? 'unknown'))
      default:
        return undefined
    }
  }

  #error(event: EventRow, code: string): void {
    this.#errors.inc({ code })
    this.#failed(event, code)
  }

  #turn(status: string, { stop_reason, usage }: Body): void {
    this.#turns.inc({ status, stop_reason: this.#reason(stop_reason?.type ?? 'none') })
    if (usage?.active_seconds !== undefined) this.#turnSeconds.observe({ status }, usage.active_seconds)
    if (usage?.cost_usd) this.#cost.inc(usage.cost_usd)
  }

  #begin(id: string, name: string, at: number): void {
    this.#open.set(id, { model: this.#model(name), at })
    // A killed agent's requests never end.
    if (this.#open.size > MAX_OPEN) this.#open.delete(this.#open.keys().next().value!)
  }

  #end({ model_request_start_id: id, is_error, model_usage }: Body, at: number): void {
    const begun = id === undefined ? undefined : this.#open.get(id)
    if (id !== undefined) this.#open.delete(id)
    const model = begun?.model ?? 'unknown'
    this.#requests.inc({ model, outcome: is_error ? 'error' : 'ok' })
    if (begun) this.#requestSeconds.observe({ model }, Math.max(0, at - begun.at) / 1000)
    for (const [kind, tokens] of Object.entries(model_usage ?? {}))
      if (kind.endsWith('_tokens') && tokens > 0)
        this.#tokens.inc({ model, kind: kind.slice(0, -'_tokens'.length) }, tokens)
  }
}
