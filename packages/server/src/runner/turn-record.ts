import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import { newEvent } from '../sessions/new-event.ts'
import { takenInput } from '../sessions/taken-input.ts'
import { TRANSITIONS } from '../sessions/transitions.ts'
import type { SessionChange } from '../store/session-change.ts'
import type { BackgroundNews } from './background-work.ts'
import type { RunAgent } from './run-agent.ts'
import type { RunContext } from './run-context.ts'
import type { RunLog } from './run-log.ts'
import { kindOf, type PreviewChange } from './sdk-messages.ts'
import { retryError } from './session-errors.ts'
import { startedCommand } from './started-command.ts'
import { threadUsage } from './thread-usage.ts'

type RetryMessage = Extract<SDKMessage, { subtype: 'api_retry' }>
type Change = Omit<SessionChange, 'sessionId' | 'epoch'>

/** Writes one turn into the log, message by message, as its agent tells it; previews what is still being written. */
export class TurnRecord {
  readonly #context: RunContext
  readonly #log: RunLog
  readonly #agent: RunAgent
  readonly #turnId: string
  /** Whether the session shows that its model is being asked again. */
  #rescheduled = false

  constructor(context: RunContext, log: RunLog, agent: RunAgent, turnId: string) {
    this.#context = context
    this.#log = log
    this.#agent = agent
    this.#turnId = turnId
  }

  /** Appends what a message says. Answers a failed model request, if it tells of one. */
  async add(message: SDKMessage): Promise<SessionError | null> {
    const at = this.#log.now()
    const taken = startedCommand(message)
    if (taken !== null) {
      const event = this.#agent.inputs.take(taken)
      if (event) await this.#log.commit({ at, events: [takenInput(event, at)] })
      return null
    }
    const { sessions, backoff } = this.#context
    const { gate, translator } = this.#agent
    const said = translator.translate(message, this.#turnId, at)
    const { events, asks, threads } = said
    backoff.note(message)
    const change: Change = { at, events }
    if (asks.length > 0) change.newApprovals = gate.rowsFor(asks, at)
    if (threads.made.length > 0) change.newThreads = threads.made
    if (threads.patches.length > 0) change.threads = threads.patches
    const over = translator.threads.touched.filter((row) =>
      threads.patches.some(({ id, patch }) => id === row.id && patch.status === 'idle'),
    )
    if (over.length > 0)
      change.threads = [...threads.patches, ...(await threadUsage(sessions.store, this.#log.sessionId, over))]
    if (said.keep) change.messages = this.#lines(message)
    if (kindOf(message) === 'system/api_retry') this.#reschedule(message as RetryMessage, change)
    else if (
      this.#rescheduled &&
      (message.type === 'stream_event' || message.type === 'assistant') &&
      !said.modelError
    ) {
      this.#rescheduled = false
      change.session = { status: 'running' }
      change.events = [newEvent('session.status_running', this.#turnId, at), ...events]
    }
    if (change.events!.length > 0 || change.messages || change.threads) {
      this.#endPreview(events.map(({ id }) => id))
      await this.#log.commit(change)
      gate.recorded(asks)
    }
    if (said.preview) this.#preview(said.preview)
    return said.modelError
  }

  /** Keeps a result that another followed in the same turn. */
  async keep(message: SDKMessage): Promise<void> {
    await this.#log.commit({ at: this.#log.now(), messages: this.#lines(message) })
  }

  /** Appends what goes on behind the answer; null: nothing new. */
  async tell(news: BackgroundNews | null): Promise<void> {
    if (!news) return
    const at = this.#log.now()
    await this.#log.commit({ at, events: [newEvent('session.background_work', this.#turnId, at, { ...news })] })
  }

  #lines(message: SDKMessage): SessionChange['messages'] {
    return [{ turnId: this.#turnId, body: JSON.stringify(message) }]
  }

  #reschedule(retry: RetryMessage, change: Change): void {
    const error = retryError(retry.error, retry.error_status, retry.attempt, retry.max_retries, retry.retry_delay_ms)
    change.events = [newEvent('session.error', this.#turnId, change.at, { error })]
    if (this.#rescheduled) return
    this.#rescheduled = true
    change.session = { status: TRANSITIONS.running.reschedule ?? 'rescheduling' }
    change.events.push(newEvent('session.status_rescheduled', this.#turnId, change.at))
  }

  /** What was previewed is in the log with this change. */
  #endPreview(ids: string[]): void {
    const shown = this.#context.previews.get(this.#log.sessionId)
    if (shown && ids.includes(shown.eventId)) this.#context.previews.clear(this.#log.sessionId)
  }

  #preview(preview: PreviewChange): void {
    const { previews } = this.#context
    const { sessionId, lastSeq: afterSeq } = this.#log
    if (preview.type === 'start')
      return previews.set(sessionId, { eventId: preview.eventId, type: preview.kind, afterSeq, text: '' })
    const shown = previews.get(sessionId)
    if (preview.type === 'text' && shown?.eventId === preview.eventId)
      previews.set(sessionId, { ...shown, text: shown.text + preview.text })
  }
}
