import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CommitObserver } from '../log/event-log.ts'
import { StorageUnavailable } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { NAMED, SickSessions } from './sick-sessions.ts'
import { WorkMetrics } from './work-metrics.ts'

const COMMIT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const HTTP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10]

/** What a scrape needs to know besides the store. */
export interface MetricsSource {
  store: Store
  now(): number
  /** What there is to give to sessions, and what of it is given. */
  admission(): { slots: { max: number; used: number }; memory: { budget: number; used: number }; hold: string }
  /** Agents kept between two turns. */
  resting(): number
  /** Agents that wait for a session. */
  spares(): number
  version: string
}

/**
 * The figures of a server, in Prometheus' words. What happens is counted as the log tells it; what is there now is read
 * at each scrape, at a cost that does not grow with the number of sessions.
 */
export class Metrics implements CommitObserver {
  readonly #registry = new Registry()
  readonly #work: WorkMetrics
  readonly #sick: SickSessions
  readonly #commits: Histogram
  readonly #refused: Counter
  readonly #http: Histogram
  readonly #readers: Gauge
  readonly #dropped: Counter
  readonly #came: Counter
  readonly #spans: Counter
  readonly #state: Record<
    'sessions' | 'queued' | 'oldest' | 'approvals' | 'slots' | 'resting' | 'spares' | 'memory' | 'held',
    Gauge
  >
  #source: MetricsSource | null = null

  constructor() {
    const registers = [this.#registry]
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers })
    this.#sick = new SickSessions(this.#registry)
    this.#work = new WorkMetrics(this.#registry, (event, code) => this.#sick.failed(event, code))
    this.#commits = new Histogram({
      name: 'troupe_commit_seconds',
      help: 'From a change of a session to its place on disk.',
      buckets: COMMIT_SECONDS,
      registers,
    })
    this.#refused = new Counter({
      name: 'troupe_commits_refused_total',
      help: 'Changes that the store could not take.',
      labelNames: ['reason'],
      registers,
    })
    this.#http = new Histogram({
      name: 'troupe_http_request_seconds',
      help: 'Time to answer a request; streams and waiting requests count until they end.',
      labelNames: ['method', 'route', 'status'],
      buckets: HTTP_SECONDS,
      registers,
    })
    this.#readers = gauge('troupe_stream_readers', 'Event streams that are open.')
    this.#dropped = new Counter({
      name: 'troupe_stream_readers_dropped_total',
      help: 'Readers that took nothing for a minute and were let go.',
      registers,
    })
    this.#came = new Counter({
      name: 'troupe_agents_started_total',
      help: 'How agents came to a turn: started cold or on a transcript, kept alive, or started ahead.',
      labelNames: ['how'],
      registers,
    })
    this.#spans = new Counter({
      name: 'troupe_trace_spans_total',
      help: 'Spans of traces that were delivered, and that were dropped: the endpoint did not take them, or was too slow.',
      labelNames: ['outcome'],
      registers,
    })
    this.#state = {
      sessions: gauge('troupe_sessions', 'Sessions by status.', ['status']),
      queued: gauge('troupe_queue_depth', 'Sessions that wait for a slot.'),
      oldest: gauge('troupe_queue_oldest_seconds', 'How long the first of them has waited.'),
      approvals: gauge('troupe_approvals_pending', 'Tool calls and questions that wait for an answer.'),
      slots: gauge('troupe_slots', 'Sessions that may run at once, and that do.', ['state']),
      resting: gauge('troupe_resting_agents', 'Agents kept alive between two turns of their sessions.'),
      spares: gauge('troupe_spare_agents', 'Agents that were started before their session.'),
      memory: gauge('troupe_agents_memory_bytes', 'What agents and all they started may take, and do.', ['state']),
      held: gauge('troupe_admission_hold', '1 for what keeps the next session from being taken.', ['reason']),
    }
    collectDefaultMetrics({ register: this.#registry })
  }

  /** Says where the state of the server is read. */
  watch(source: MetricsSource): void {
    this.#source = source
    new Gauge({
      name: 'troupe_build_info',
      help: '1, with the version that runs.',
      labelNames: ['version'],
      registers: [this.#registry],
    }).set({ version: source.version }, 1)
  }

  committed: CommitObserver['committed'] = (events, seconds) => {
    this.#commits.observe(seconds)
    this.#work.see(events)
  }

  refused: CommitObserver['refused'] = (error) => {
    // Losing a race is nothing to tell.
    if (error instanceof StorageUnavailable) this.#refused.inc({ reason: error.reason })
  }

  answered(method: string, route: string, status: number, seconds: number): void {
    this.#http.observe({ method, route, status: String(status) }, seconds)
  }

  agentCame(how: 'cold' | 'resume' | 'live' | 'spare'): void {
    this.#came.inc({ how })
  }

  spansWent(outcome: 'sent' | 'dropped', spans: number): void {
    this.#spans.inc({ outcome }, spans)
  }

  readerCame(): void {
    this.#readers.inc()
  }

  readerWent(dropped: boolean): void {
    this.#readers.dec()
    if (dropped) this.#dropped.inc()
  }

  readonly contentType = this.#registry.contentType

  /** The text of a scrape. Throws what the store throws. */
  async text(): Promise<string> {
    if (this.#source) await this.#readState(this.#source)
    return this.#registry.metrics()
  }

  async #readState({ store, now, admission, resting: kept, spares: waiting }: MetricsSource): Promise<void> {
    const { sessions, queued, oldest, approvals, slots, resting, spares, memory, held } = this.#state
    const totals = await store.totals.read(NAMED)
    const at = now()
    const age = (since: number) => Math.max(0, at - since) / 1000
    for (const status of ['idle', 'running', 'rescheduling', 'terminated'])
      sessions.set({ status }, totals.sessions[status] ?? 0)
    queued.set(totals.queued)
    oldest.set(totals.oldestQueuedAt === null ? 0 : age(totals.oldestQueuedAt))
    approvals.set(totals.approvalsPending)
    const given = admission()
    slots.set({ state: 'max' }, given.slots.max)
    slots.set({ state: 'used' }, given.slots.used)
    resting.set(kept())
    spares.set(waiting())
    memory.set({ state: 'budget' }, given.memory.budget)
    memory.set({ state: 'used' }, given.memory.used)
    held.reset()
    if (totals.queued > 0) held.set({ reason: given.hold }, 1)
    await this.#sick.read(totals, store, at)
  }
}
