import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import type { ContentBlock, SessionError } from '@troupe/protocol/event'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'
import type { Previews } from '../log/previews.ts'
import type { Wakeups } from '../log/wakeups.ts'
import { changeSession, type Decision, type SessionState } from '../sessions/change-session.ts'
import type { SessionContext } from '../sessions/context.ts'
import { endAndGoOn } from '../sessions/continue-turn.ts'
import { endTurn, newEvent, type TurnOutcome } from '../sessions/end-turn.ts'
import { TRANSITIONS } from '../sessions/transitions.ts'
import {
  type EventRow,
  type SessionChange,
  type SessionRow,
  StaleEpoch,
  StorageUnavailable,
  type TurnRow,
} from '../store/store.ts'
import { type AgentAccount, NOTHING_USED } from './agent-account.ts'
import { type AgentProcess, type AgentSettings, startAgent } from './agent-process.ts'
import { watchInterrupts } from './interrupts.ts'
import { keepAccount } from './keep-account.ts'
import { kindOf, Translator } from './sdk-messages.ts'
import {
  couldNotRun,
  modelError,
  modelStalled,
  processEnded,
  retryError,
  serverRestarted,
  storeFailed,
} from './session-errors.ts'
import { outcomeOfResult } from './turn-outcome.ts'
import type { AccountOfTurn } from './turn-account.ts'
import { TurnLimits } from './turn-limits.ts'

export interface RunContext {
  sessions: SessionContext
  previews: Previews
  wakeups: Wakeups
  agent: AgentSettings
  /** The whole environment of a session's agent; makes its config dir. */
  prepareEnv(session: SessionRow): Record<string, string>
  /** Milliseconds of silence, with no tool at work, after which the model counts as gone. */
  stallMs: number
  logger: Logger
}

/**
 * One node's hold on a session, from claim to release: runs its queued turns one after another. Never rejects: what
 * goes wrong is an event. `draining` lets the running turn end and takes no other; `ending` ends it now.
 */
export async function runSession(
  context: RunContext,
  claimed: SessionRow,
  draining: AbortSignal,
  ending: AbortSignal,
): Promise<void> {
  const run = new SessionRun(context, claimed, ending)
  try {
    while (await run.nextTurn(draining));
  } catch (error) {
    if (error instanceof StaleEpoch)
      context.logger.warn({ session: claimed.id }, 'another run has taken the session over')
    else {
      context.logger.error({ session: claimed.id, err: error }, 'a run broke off')
      await run
        .giveUp(error)
        .catch((err: unknown) => context.logger.error({ session: claimed.id, err }, 'a run could not be ended'))
    }
  } finally {
    await run.close()
  }
}

class SessionRun {
  readonly #context: RunContext
  readonly #id: string
  readonly #epoch: number
  readonly #ending: AbortSignal
  readonly #translator = new Translator()
  #agent: AgentProcess | null = null
  #account: AgentAccount | null = null
  #limits: TurnLimits | null = null
  /** The session's options as the agent was started with them. */
  #startedWith = ''
  #lastSeq: number

  constructor(context: RunContext, claimed: SessionRow, ending: AbortSignal) {
    this.#context = context
    this.#id = claimed.id
    this.#epoch = claimed.epoch
    this.#lastSeq = claimed.lastSeq
    this.#ending = ending
  }

  /** Runs the next queued turn to its end. False when there is none, or none is to be taken: the session is released. */
  async nextTurn(draining: AbortSignal): Promise<boolean> {
    const begun = draining.aborted ? await this.#release() : await this.#beginTurn()
    if (!begun) return false
    const { session, turn, inputs } = begun
    const { outcome, last } = await this.#runTurn(session, turn, inputs)
    let done = false
    const decide = (state: SessionState, at: number): Decision => {
      const ended = endAndGoOn(state, endTurn(state, turn, outcome, at), turn.id, at)
      const cut = this.#translator.cutRequest(turn.id, at)
      // The lease ends with the work, in one step: whoever sees the session idle may go on with it at once.
      done = ended.session?.status === 'idle'
      const released = done ? { holder: null, leaseUntil: null } : {}
      return {
        ...ended,
        session: { ...ended.session, ...released },
        events: [...cut, ...(ended.events ?? [])],
        ...(last && { messages: [{ turnId: turn.id, body: JSON.stringify(last) }] }),
      }
    }
    this.#context.previews.clear(this.#id)
    await this.#insist(() => this.#change(decide))
    return !done
  }

  /** Ends the agent, if one is alive. */
  async close(): Promise<void> {
    this.#context.previews.clear(this.#id)
    await this.#agent?.stop()
    this.#agent = null
  }

  /** Ends the turn that could not be run, so that the session neither runs for ever nor tries it again and again. */
  async giveUp(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error)
    const account = (await this.#account?.endTurn(null)) ?? NOTHING_USED
    await this.#insist(() =>
      this.#change((state, at) => {
        const [turn, ...waiting] = state.openTurns
        const released = { holder: null, leaseUntil: null, ...(waiting.length > 0 && { queuedAt: at }) }
        if (!turn) return { session: released }
        const ended = endTurn(state, turn, brokenOff(couldNotRun(message), account), at)
        // At its budget a session stands still, whatever waits.
        const still = ended.session?.status === 'idle' ? { queuedAt: null } : {}
        return { ...ended, session: { ...ended.session, ...released, ...still } }
      }),
    )
  }

  /** Gives the session back; with turns still waiting it joins the queue again. */
  async #release(): Promise<null> {
    await this.#insist(() =>
      this.#change(({ openTurns }, at) => ({
        session: { holder: null, leaseUntil: null, ...(openTurns.length > 0 && { queuedAt: at }) },
      })),
    )
    return null
  }

  /** From here on the turn counts as received by the agent: it is never given to one a second time. */
  async #beginTurn(): Promise<{ session: SessionRow; turn: TurnRow; inputs: EventRow[] } | null> {
    const { sessions } = this.#context
    const { modelSource } = sessions.settings
    for (;;) {
      const state = await sessions.store.readSessionState(this.#id)
      const turn = state?.openTurns[0]
      if (!state || !turn) return this.#release()
      const found = await Promise.all(turn.inputEventIds.map((id) => sessions.store.readEvent(this.#id, id)))
      const inputs = found.filter((event) => event !== null)
      let taken = false
      await this.#insist(() =>
        this.#change(({ session, openTurns }, at) => {
          // Cancelled since it was read: look again.
          taken = openTurns[0]?.id === turn.id
          if (!taken) return null
          return {
            session: {
              currentTurnId: turn.id,
              options: { ...session.options, modelSource: modelSource === 'demo' ? 'demo' : 'configured' },
              startedAt: session.startedAt ?? at,
              lastTurnStatus: 'in_progress',
              queuedAt: null,
              // What an earlier turn was waiting for is over with it.
              ...(session.status === 'rescheduling' && { status: 'running' as const }),
            },
            turns: [{ id: turn.id, patch: { status: 'in_progress', startedAt: at } }],
            events: [
              ...(session.status === 'rescheduling' ? [newEvent('session.status_running', turn.id, at)] : []),
              newEvent('turn.started', turn.id, at, { number: turn.number, input_event_ids: turn.inputEventIds }),
              ...inputs.map((input) => ({
                id: input.id,
                type: input.type,
                turnId: turn.id,
                threadId: null,
                processedAt: at,
                body: JSON.parse(input.body) as Record<string, unknown>,
                repeats: input.seq,
              })),
            ],
          }
        }),
      )
      const session = await sessions.store.readSession(this.#id)
      const begun = await sessions.store.readTurn(this.#id, turn.id)
      if (!taken || !session || !begun) continue
      this.#rescheduled = false
      return { session, turn: begun, inputs }
    }
  }

  async #runTurn(
    session: SessionRow,
    turn: TurnRow,
    inputs: EventRow[],
  ): Promise<{ outcome: TurnOutcome; last: SDKMessage | null }> {
    const stop = new AbortController()
    let fatal: SessionError | null = null
    let modelFailure: SessionError | null = null
    // What it was started with is what it keeps to.
    if (this.#agent && (!this.#agent.alive() || this.#startedWith !== fixed(session))) await this.close()
    const agent = (this.#agent ??= await this.#startAgent(session))
    this.#account!.beginTurn(session, turn.id, await this.#context.sessions.store.readTurnLedger(turn.id))
    const limits = (this.#limits = new TurnLimits(agent, session, turn, () => this.#context.sessions.clock.now()))
    const kill = (error: SessionError) => {
      fatal ??= error
      agent.kill()
    }
    const interrupts = watchInterrupts(
      this.#context,
      session.id,
      this.#epoch,
      turn.id,
      agent,
      this.#lastSeq,
      stop.signal,
    )
    const onEnding = () => kill(serverRestarted())
    this.#ending.addEventListener('abort', onEnding)
    if (this.#ending.aborted) onEnding()
    let watchdog: NodeJS.Timeout | undefined
    const alive = () => {
      clearTimeout(watchdog)
      watchdog = setTimeout(() => {
        if (this.#translator.toolsInFlight > 0) alive()
        else kill(modelStalled(Math.round(this.#context.stallMs / 1000)))
      }, this.#context.stallMs)
    }
    let outcome: TurnOutcome | null = null
    let last: SDKMessage | null = null
    try {
      this.#translator.beginTurn()
      alive()
      agent.send({
        type: 'user',
        message: { role: 'user', content: inputs.flatMap(contentOf) as never },
        parent_tool_use_id: null,
      })
      for (;;) {
        const { value: message, done } = await agent.messages.next()
        if (done) break
        alive()
        this.#account!.see(message)
        if (message.type === 'result') {
          last = message
          const account = await this.#account!.endTurn(message)
          outcome = outcomeOfResult(message, { account, interrupted: interrupts.seen(), modelError: modelFailure })
          break
        }
        modelFailure = (await this.#record(message, turn.id)) ?? modelFailure
        // A bad key does not become good: the agent would try for minutes.
        if (message.type === 'system' && message.subtype === 'api_retry' && message.error_status === 401)
          kill(modelError('authentication_failed', 'The model endpoint refused the credential (401).'))
      }
    } catch (error) {
      if (error instanceof StaleEpoch) {
        agent.kill()
        throw error
      }
      kill(storeFailed(error instanceof StorageUnavailable ? error.reason : 'io'))
      this.#context.logger.error({ session: session.id, err: error }, 'a turn could not be recorded')
    } finally {
      clearTimeout(watchdog)
      limits.end()
      this.#ending.removeEventListener('abort', onEnding)
      stop.abort()
      await interrupts.ended
    }
    if (!outcome || fatal) {
      // The conversation has broken off: this process takes no other turn.
      agent.kill()
      this.#agent = null
      const exit = await agent.exited
      const error = fatal ?? modelFailure ?? processEnded(exit, agent.failure())
      const account = outcome ?? (await this.#account!.endTurn(null))
      outcome = brokenOff((interrupts.seen() || limits.reached) && !fatal ? null : error, account)
    } else if (outcome.status === 'cancelled' || interrupts.seen() || limits.reached) {
      // After an interrupt the SDK ends the conversation, and an interrupt or a kill may still be on its way when the
      // result is there: the next turn gets a process that nobody is stopping.
      this.#agent = null
      await agent.stop()
    }
    return { outcome: limits.overrule(outcome, interrupts.seen()), last: fatal ? null : last }
  }

  async #startAgent(session: SessionRow): Promise<AgentProcess> {
    const { agent, prepareEnv, sessions } = this.#context
    const resume = await sessions.store.hasTranscript(session.id)
    const started = startAgent(agent, session, prepareEnv(session), resume, (toolUseId, tool, reason) =>
      this.#translator.denied(toolUseId, tool, reason),
    )
    this.#startedWith = fixed(session)
    this.#account = keepAccount(sessions, this.#context.logger, started, session, () => this.#limits)
    return started
  }

  /** Appends what a message says; previews it while it is being written. Answers a failed model request, if it tells of one. */
  async #record(message: SDKMessage, turnId: string): Promise<SessionError | null> {
    const { sessions, previews } = this.#context
    const at = sessions.clock.now()
    const { events, keep, preview, modelError } = this.#translator.translate(message, turnId, at)
    const change: SessionChange = { sessionId: this.#id, at, epoch: this.#epoch, events }
    if (keep) change.messages = [{ turnId, body: JSON.stringify(message) }]
    if (kindOf(message) === 'system/api_retry') await this.#reschedule(message as never, turnId, change)
    else if (this.#rescheduled && (message.type === 'stream_event' || message.type === 'assistant') && !modelError) {
      this.#rescheduled = false
      change.session = { status: 'running' }
      change.events = [newEvent('session.status_running', turnId, at), ...events]
    }
    if (change.events!.length > 0 || change.messages) {
      const shown = previews.get(this.#id)
      if (shown && events.some((event) => event.id === shown.eventId)) previews.clear(this.#id)
      await this.#commit(change)
    }
    if (preview?.type === 'start')
      previews.set(this.#id, { eventId: preview.eventId, type: preview.kind, afterSeq: this.#lastSeq, text: '' })
    else if (preview?.type === 'text') {
      const shown = previews.get(this.#id)
      if (shown?.eventId === preview.eventId) previews.set(this.#id, { ...shown, text: shown.text + preview.text })
    }
    return modelError
  }

  #rescheduled = false

  async #reschedule(
    retry: Extract<SDKMessage, { subtype: 'api_retry' }>,
    turnId: string,
    change: SessionChange,
  ): Promise<void> {
    const error = retryError(retry.error, retry.error_status, retry.attempt, retry.max_retries, retry.retry_delay_ms)
    change.events = [newEvent('session.error', turnId, change.at, { error })]
    if (this.#rescheduled) return
    this.#rescheduled = true
    change.session = { status: TRANSITIONS.running.reschedule ?? 'rescheduling' }
    change.events.push(newEvent('session.status_rescheduled', turnId, change.at))
  }

  async #commit(change: SessionChange): Promise<void> {
    const { events } = await this.#context.sessions.log.commit(change)
    this.#lastSeq = events.at(-1)?.seq ?? this.#lastSeq
  }

  async #change(decide: (state: SessionState, at: number) => Decision | null) {
    const changed = await changeSession(this.#context.sessions, this.#id, (state, at) => {
      const decision = decide(state, at)
      return decision && { ...decision, epoch: this.#epoch }
    })
    this.#lastSeq = changed.committed.events.at(-1)?.seq ?? this.#lastSeq
    return changed
  }

  /** Tries until the store takes it: a turn's end must not be lost to a full disk. Gives up when the server ends. */
  async #insist<T>(write: () => Promise<T>): Promise<T> {
    for (let pause = 50; ; pause = Math.min(pause * 2, 2_000))
      try {
        return await write()
      } catch (error) {
        if (!(error instanceof StorageUnavailable) || this.#ending.aborted) throw error
        this.#context.logger.error({ session: this.#id, err: error }, 'the end of a turn waits for the store')
        await delay(pause, undefined, { signal: this.#ending }).catch(() => undefined)
      }
  }
}

/** Content of an input as the Messages API takes it. */
function contentOf(event: EventRow): ContentBlock[] {
  return (JSON.parse(event.body) as { content: ContentBlock[] }).content
}

/** How a turn ended whose agent gave no result: stopped on purpose when there is no error. */
function brokenOff(error: SessionError | null, account: AccountOfTurn): TurnOutcome {
  const { usage, modelRequests, ledger, sdkTotals, cache, cachePrefix } = account
  return {
    status: error ? 'failed' : 'cancelled',
    stopReason: { type: error ? 'retries_exhausted' : 'interrupted' },
    error,
    text: null,
    structured: null,
    usage,
    modelRequests,
    ...(ledger && { ledger }),
    ...(sdkTotals && { sdkTotals }),
    ...(cachePrefix && { cachePrefix }),
    cache: cache ?? null,
  }
}

/** What an agent process cannot change any more once it runs. */
const fixed = ({ agent, options, cwd }: SessionRow): string => JSON.stringify([agent, options, cwd])
