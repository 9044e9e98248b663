import type { SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import { idToUuid } from '@troupe/protocol/ids'
import { setTimeout as delay } from 'node:timers/promises'
import { customToolsOf } from '../agents/agent-tools.ts'
import type { Logger } from '../lib/logger.ts'
import type { Previews } from '../log/previews.ts'
import type { Wakeups } from '../log/wakeups.ts'
import { changeSession, type Decision, type SessionState } from '../sessions/change-session.ts'
import type { SessionContext } from '../sessions/context.ts'
import { sessionPaths } from '../sessions/admission.ts'
import { awaitAnswer, type TurnPart } from '../sessions/approval-state.ts'
import { endAndGoOn } from '../sessions/continue-turn.ts'
import { leaveThreads } from '../sessions/end-threads.ts'
import type { TurnOutcome } from '../sessions/end-turn.ts'
import { mountResources } from '../sessions/mount-resources.ts'
import { newEvent } from '../sessions/new-event.ts'
import { applyDecision, mergeDecisions } from '../sessions/merge-decisions.ts'
import { endSteeredTurn } from '../sessions/requeue-steers.ts'
import { takenInput } from '../sessions/taken-input.ts'
import { TRANSITIONS } from '../sessions/transitions.ts'
import { turnOutputs } from '../sessions/turn-outputs.ts'
import type { Snapshots } from '../snapshots/snapshots.ts'
import {
  type EventRow,
  type SessionChange,
  type SessionRow,
  StaleEpoch,
  StorageUnavailable,
  type TurnRow,
} from '../store/store.ts'
import { type AgentProcess, type AgentSettings, startAgent } from './agent-process.ts'
import { type AgentAccount, NOTHING_USED } from './agent-account.ts'
import { forgetTranscripts } from './agent-env.ts'
import { ApprovalGate } from './approval-gate.ts'
import { type BackgroundNews, BackgroundWork } from './background-work.ts'
import { watchInbox } from './inbox.ts'
import { contextFill } from './context-fill.ts'
import { keepAccount } from './keep-account.ts'
import { callName } from './policy.ts'
import { forgetLocalTranscript } from './local-transcript.ts'
import { recoverOrEnd } from './recovery.ts'
import type { LiveAgent, LiveAgents } from './live-agents.ts'
import type { ModelBackoff } from './model-backoff.ts'
import { kindOf, Translator } from './sdk-messages.ts'
import {
  couldNotRun,
  modelError,
  modelStalled,
  processEnded,
  repositoryFailed,
  retryError,
  serverRestarted,
  skillMissing,
  storeFailed,
} from './session-errors.ts'
import { mountSkills } from '../skills/mount-skills.ts'
import { Seat } from './seat.ts'
import { startedAs } from './started-as.ts'
import { startedCommand } from './started-command.ts'
import { finished } from './finished-turn.ts'
import { INTERRUPTED_STEPS, STOP_STEPS } from './stop-process.ts'
import { threadUsage } from './thread-usage.ts'
import { type Opening, openTurn, systemNote, userMessage } from './turn-opening.ts'
import { TurnLimits } from './turn-limits.ts'
import { brokenOff, outcomeOfResult } from './turn-outcome.ts'

/** Subagents of earlier processes that may be taken up again: the newest, at most this many. */
const KNOWN_THREADS = 1_000

export interface RunContext {
  sessions: SessionContext
  previews: Previews
  wakeups: Wakeups
  agent: AgentSettings
  snapshots: Snapshots
  live: LiveAgents
  /** Is told of sessions that begin. */
  begun(session: SessionRow): void
  /** Is told how each agent came to its turn. */
  counted(how: 'cold' | 'resume' | 'live' | 'spare'): void
  /** Shared by all sessions of the server's credential. */
  backoff: ModelBackoff
  /** The whole environment of a session's agent; makes its config dir. */
  prepareEnv(session: SessionRow): Record<string, string>
  /** Where a session's agent finds the tools of its client; waits until they are served. */
  clientTools(sessionId: string): Promise<{ url: string; token: string }>
  /** Milliseconds of silence, with no tool at work, after which the model counts as gone. */
  stallMs: number
  /** Milliseconds that work in the background may go on behind an answer. */
  backgroundMs: number
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
  const run = new SessionRun(context, claimed, draining, ending)
  try {
    // A model that refuses gets no new turn of those who run either: they join the line again.
    for (let more = await run.nextTurn(draining.aborted); more;)
      more = await run.nextTurn(draining.aborted || context.backoff.paused)
  } catch (error) {
    if (error instanceof StaleEpoch)
      context.logger.warn({ session: claimed.id }, 'another run has taken the session over')
    else {
      context.logger.error({ session: claimed.id, err: error }, 'a run broke off')
      await run
        .giveUp(error)
        .catch((err: unknown) => context.logger.error({ session: claimed.id, err }, 'a run could not be ended'))
    }
    await run.close()
  } finally {
    context.snapshots.left(claimed.id)
    await run.leave(draining.aborted)
  }
}

class SessionRun {
  readonly #context: RunContext
  readonly #id: string
  readonly #epoch: number
  readonly #ending: AbortSignal
  readonly #gate: ApprovalGate
  readonly #translator: Translator
  #account: AgentAccount | null = null
  #limits: TurnLimits | null = null
  /** The place from which this run judges the calls of its agent. */
  #seat: Seat | null = null
  #startedAs = ''
  /** Whether the agent has had a turn: a spare has not. */
  #used = false
  readonly #background: BackgroundWork
  #agent: AgentProcess | null = null
  #refused: AgentProcess | null = null
  #lastSeq: number
  /** Inputs that the turn's agent has taken. */
  #taken = new Set<string>()
  /** Inputs given to the live process that it may not have taken yet. */
  #sent = new Map<string, EventRow>()
  /** Inputs for the turn that came while a call of it waits for an answer; they follow the answer. */
  #withheld: EventRow[] = []

  constructor(context: RunContext, claimed: SessionRow, draining: AbortSignal, ending: AbortSignal) {
    this.#context = context
    this.#id = claimed.id
    this.#epoch = claimed.epoch
    this.#lastSeq = claimed.lastSeq
    this.#ending = ending
    this.#gate = new ApprovalGate(context, claimed.id, claimed.epoch, draining, {
      onDenied: (toolUseId, name, reason) => this.#translator.denied(toolUseId, name, reason),
      steered: () => this.#sent.size > 0,
      onAnswered: () => {
        for (const event of this.#withheld.splice(0)) this.#steer(event)
      },
    })
    this.#translator = new Translator(claimed.id, this.#gate.evaluate, claimed.agent)
    const { threads } = this.#translator
    this.#background = new BackgroundWork(context.backgroundMs, (taskId) => threads.threadOfTask(taskId))
  }

  /** Runs the next queued turn to its end. False when there is none, or none is to be taken: the session is released. */
  async nextTurn(release: boolean): Promise<boolean> {
    const begun = release ? await this.#release() : await this.#beginTurn()
    if (!begun) return false
    const { session, turn } = begun
    const mount = () => mountResources(this.#context.sessions, session, this.#ending)
    await this.#context.snapshots.before(session, turn.id, turn.resume !== null, this.#ending, mount)
    const ended = await this.#runTurn(session, turn, begun.inputs)
    const outputs = await turnOutputs(this.#context.sessions, session, turn.id, ended.type, this.#ending)
    const { touched } = this.#translator.threads
    const threads = await this.#insist(() => threadUsage(this.#context.sessions.store, this.#id, touched))
    this.#context.previews.clear(this.#id)
    const messages = ended.last ? [{ turnId: turn.id, body: JSON.stringify(ended.last) }] : []
    let goesOn = false
    const decide = async (state: SessionState, at: number): Promise<Decision> => {
      const now = state.openTurns.find((open) => open.id === turn.id) ?? turn
      const cut = this.#translator.cutRequest(turn.id, at)
      if (ended.type === 'parked') {
        goesOn = false
        const left = leaveThreads(state, now.id, at)
        return { ...[left, awaitAnswer(state, now, at, ended.part), { threads }].reduce(mergeDecisions), messages }
      }
      if (ended.type === 'cut') {
        goesOn = false
        return mergeDecisions(
          { events: cut, threads },
          await recoverOrEnd(this.#context.sessions, state, now, ended.outcome, at),
        )
      }
      // The lease ends with the work, in one step: whoever sees the session idle may go on with it at once.
      const end = endAndGoOn(state, endSteeredTurn(state, now, ended.outcome, at), at)
      goesOn = end.session?.status !== 'idle'
      const released = goesOn ? {} : { session: { holder: null, leaseUntil: null } }
      return { ...[{ events: cut }, end, { threads }, released].reduce<Decision>(mergeDecisions, {}), messages }
    }
    await this.#insist(() => this.#change(async (state, at) => outputs.with(await decide(state, at), at)))
    await outputs.settle()
    await this.#context.snapshots.after(this.#id, turn.id, this.#ending)
    return goesOn
  }

  /** Lets its agent rest until the session goes on, where that can be; else ends it. */
  async leave(draining: boolean): Promise<void> {
    const agent = this.#agent
    const idle = this.#sent.size === 0 && !draining
    const live = agent && idle && { agent, seat: this.#seat!, startedAs: this.#startedAs, used: true }
    if (!live || !this.#context.live.rest(this.#id, live)) return this.close()
    this.#context.previews.clear(this.#id)
    this.#forgetAgent()
  }

  /** Ends the agent, if one is alive. */
  async close(): Promise<void> {
    this.#dismiss()
    this.#context.previews.clear(this.#id)
    await this.#agent?.stop()
    this.#forgetAgent()
  }

  /** Ends the turn that could not be run, so that the session neither runs for ever nor tries it again and again. */
  async giveUp(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error)
    const account = (await this.#account?.endTurn(null)) ?? NOTHING_USED
    await this.#insist(() =>
      this.#change((state, at) => {
        const [turn] = state.openTurns
        if (!turn) return { session: { holder: null, leaseUntil: null } }
        const ended = endSteeredTurn(
          state,
          turn,
          brokenOff(repositoryFailed(error) ?? couldNotRun(message), account),
          at,
        )
        const waits = applyDecision(state, ended).openTurns.length > 0
        const released = { holder: null, leaseUntil: null, ...(waits && { queuedAt: at }) }
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

  /** From here on the turn counts as received by the agent: only its recovery gives it to one a second time. */
  async #beginTurn(): Promise<{ session: SessionRow; turn: TurnRow; inputs: EventRow[] } | null> {
    const { sessions } = this.#context
    const { modelSource } = sessions.settings
    for (;;) {
      const state = await sessions.store.readSessionState(this.#id)
      const turn = state?.openTurns[0]
      if (!state || !turn) return this.#release()
      const asked = state.approvals.filter((row) => row.turnId === turn.id)
      if (turn.status === 'waiting' && asked.some((row) => row.status === 'pending')) return this.#release()
      const found = await Promise.all(turn.inputEventIds.map((id) => sessions.store.readEvent(this.#id, id)))
      const inputs = found.filter((event) => event !== null)
      const fresh = turn.resume === null ? inputs.filter((input) => input.processedAt === null) : []
      let taken = false
      await this.#insist(() =>
        this.#change(({ session, openTurns }, at) => {
          // Cancelled, edited or steered since it was read: look again.
          taken = openTurns[0]?.id === turn.id && session.version === state.session.version
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
              ...(turn.resume === 'recovery' && { lastError: null }),
            },
            turns: [
              { id: turn.id, patch: { status: 'in_progress', startedAt: turn.startedAt ?? at, runningSince: at } },
            ],
            events: [
              ...(session.status === 'rescheduling' ? [newEvent('session.status_running', turn.id, at)] : []),
              turn.resume === null
                ? newEvent('turn.started', turn.id, at, { number: turn.number, input_event_ids: turn.inputEventIds })
                : newEvent('turn.resumed', turn.id, at, { number: turn.number, reason: turn.resume }),
              ...fresh.map((input) => takenInput(input, at)),
            ],
          }
        }),
      )
      const session = await sessions.store.readSession(this.#id)
      const begun = await sessions.store.readTurn(this.#id, turn.id)
      if (!taken || !session || !begun) continue
      this.#rescheduled = false
      this.#taken = new Set([...fresh, ...inputs.filter((input) => input.processedAt !== null)].map(({ id }) => id))
      return { session, turn: begun, inputs }
    }
  }

  async #runTurn(session: SessionRow, turn: TurnRow, inputs: EventRow[]): Promise<Ended> {
    const stop = new AbortController()
    let fatal: SessionError | null = null
    let modelFailure: SessionError | null = null
    let cut = false
    const { store, clock } = this.#context.sessions
    this.#translator.beginTurn()
    this.#withheld = []
    const opening = await openTurn(store, turn, inputs, {
      taken: this.#taken,
      isSent: (input) => this.#agent?.alive() === true && this.#sent.has(idToUuid(input.id)),
    })
    if (opening.parked) this.#translator.knows(opening.parked)
    // What answers a command to the agent is no answer of the conversation.
    const command = inputs.some((input) => 'command' in (JSON.parse(input.body) as object))
    const asked = { structured: session.agent.output_schema !== undefined && !command }
    if (opening.finished) return { type: 'ended', outcome: finished(opening.finished, asked), last: null }
    // What it was started with is what it keeps to.
    const adopted = !this.#agent && (await this.#adopt(session))
    const other = opening.anew || this.#startedAs !== startedAs(session)
    if (this.#agent && (!this.#agent.alive() || other)) {
      if (this.#used) await this.close()
      else this.#putOff()
    }
    // Behind the end of another agent, which shuts the gate.
    await this.#gate.begin(session, turn)
    if (this.#agent && adopted) this.#context.counted(this.#used ? 'live' : 'spare')
    const agent = (this.#agent ??= await this.#startAgent(session, opening))
    this.#account!.beginTurn(session, turn.id, await store.readTurnLedger(turn.id))
    const limits = (this.#limits = new TurnLimits(agent, session, turn, () => clock.now()))
    const kill = (error: SessionError) => {
      fatal ??= error
      agent.kill()
    }
    const inbox = watchInbox(this.#context, this.#stoppable(agent), {
      sessionId: session.id,
      epoch: this.#epoch,
      turnId: turn.id,
      after: this.#lastSeq,
      signal: stop.signal,
      onInterrupt: () => this.#gate.end(),
      onThreadInterrupt: (threadId) => this.#stopThread(agent, threadId),
      // What comes to steer a turn that is being stopped is for the next one.
      onSteer: (event) => {
        if (!inbox.interrupted() && !limits.reached) this.#steer(event)
      },
    })
    const onEnding = () => {
      cut = true
      kill(serverRestarted())
    }
    this.#ending.addEventListener('abort', onEnding)
    if (this.#ending.aborted) onEnding()
    let watchdog: NodeJS.Timeout | undefined
    const alive = () => {
      clearTimeout(watchdog)
      watchdog = setTimeout(() => {
        if (this.#translator.toolsInFlight > 0 || this.#background.waiting) alive()
        else kill(modelStalled(Math.round(this.#context.stallMs / 1000)))
      }, this.#context.stallMs)
    }
    let ended: Ended | null = null
    let over = false
    /** The newest result, whose account is closed when the turn is really over. */
    let answer: {
      message: SDKResultMessage
      how: { interrupted: boolean; modelError: SessionError | null; structured: boolean }
    } | null = null
    try {
      this.#background.beginTurn(agent)
      alive()
      if (opening.message.length > 0) agent.send(userMessage(opening.message, 'later'), systemNote(opening.message))
      this.#used = true
      let first = turn.number === 1
      for (const event of opening.steers) this.#steer(event)
      for (;;) {
        const { value: message, done } = await agent.next()
        if (done) break
        alive()
        if (message.type !== 'system') this.#dismiss()
        if (first) this.#context.begun(session)
        first = false
        this.#account!.see(message)
        if (message.type === 'result') {
          if (ended?.last) await this.#commit(this.#kept(ended.last, turn.id))
          const interrupted = inbox.interrupted()
          if (message.terminal_reason === 'tool_deferred' && !interrupted && !limits.reached) {
            ended = { type: 'parked', part: await this.#account!.endTurn(message), last: message }
            over = true
            break
          }
          const how = { interrupted, modelError: modelFailure, ...asked }
          const outcome = outcomeOfResult(message, { account: NOTHING_USED, ...how })
          // Input that came too late for this turn is with the agent, and what it does next belongs to the next turn.
          const late = this.#sent.size > 0 || limits.reached
          over = outcome.status !== 'completed' || late || !this.#background.answered()
          answer = { message, how }
          ended = { type: 'ended', outcome, last: message }
          if (over) break
          modelFailure = null
          await this.#tell(this.#background.news(), turn.id)
          continue
        }
        const news = this.#background.observe(message)
        modelFailure = (await this.#record(message, turn.id)) ?? modelFailure
        await this.#tell(news, turn.id)
        over = this.#background.over(message)
        if (over) break
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
      this.#dismiss()
      clearTimeout(watchdog)
      limits.end()
      this.#background.endTurn()
      this.#ending.removeEventListener('abort', onEnding)
      stop.abort()
      this.#gate.end()
      await inbox.ended
    }
    const cutOff = !over && this.#background.unfinished
    if (ended?.type === 'ended' && answer && !fatal) {
      const account = await this.#account!.endTurn(cutOff ? null : answer.message)
      ended = { ...ended, outcome: outcomeOfResult(answer.message, { account, ...answer.how }) }
    }
    if (ended?.type === 'ended' && !fatal && cutOff) {
      // The answer stands, but the turn's work behind it was cut off with the agent.
      agent.kill()
      const { outcome } = ended
      const error = inbox.interrupted() ? null : processEnded(await agent.exited, agent.failure())
      const stopReason = { type: error ? 'retries_exhausted' : 'interrupted' }
      ended = { ...ended, outcome: { ...outcome, status: error ? 'failed' : 'cancelled', stopReason, error } }
    }
    if (!ended || fatal) {
      // The conversation has broken off: this process takes no other turn.
      agent.kill()
      this.#forgetAgent()
      const exit = await agent.exited
      const error = fatal ?? modelFailure ?? processEnded(exit, agent.failure())
      const account = ended?.type === 'parked' ? ended.part : await this.#account!.endTurn(null)
      const stopped = (inbox.interrupted() || limits.reached) && !fatal
      const outcome = limits.overrule(brokenOff(stopped ? null : error, account), inbox.interrupted())
      return { type: cut && !inbox.interrupted() ? 'cut' : 'ended', outcome, last: null }
    }
    const done = ended.type === 'ended' && ended.outcome.status === 'completed' && !inbox.interrupted()
    const context = done && !limits.reached ? await contextFill(agent, () => clock.now()) : undefined
    if (ended.type === 'ended' && context) ended.outcome.context = context
    const stopped = ended.type === 'parked' || ended.outcome.status === 'cancelled' || inbox.interrupted()
    if (stopped || limits.reached || this.#background.left) {
      // A parked call ends its process. After an interrupt the SDK ends the conversation, and an interrupt or a kill may
      // still be on its way when the result is there: the next turn gets a process that nobody is stopping.
      this.#forgetAgent()
      await agent.stop(inbox.interrupted() ? INTERRUPTED_STEPS : STOP_STEPS)
    }
    if (ended.type === 'ended') ended.outcome = limits.overrule(ended.outcome, inbox.interrupted())
    return ended
  }

  #steer(event: EventRow): void {
    if (this.#gate.waits) return void this.#withheld.push(event)
    this.#sent.set(idToUuid(event.id), event)
    this.#agent?.send(userMessage([event], 'next'))
  }

  /** A spare that does not fit: it never had anything to do, so nothing of the session waits for its end. */
  #putOff(): void {
    this.#dismiss()
    this.#refused = this.#agent
    this.#forgetAgent()
  }

  /** Its end would slow the start of the one that works instead: it comes when that one has asked its model. */
  #dismiss(): void {
    this.#refused?.kill()
    this.#refused = null
  }

  #forgetAgent(): void {
    this.#gate.shut()
    this.#agent = null
    this.#sent.clear()
  }

  /** Takes the agent that has waited for this session to go on, if one has. */
  async #adopt(session: SessionRow): Promise<boolean> {
    const live = await this.#context.live.take(this.#id)
    if (!live) return false
    if (live.used) await this.#learnThreads()
    this.#sit(live, session)
    return true
  }

  /** From here on the agent works for this run. */
  #sit({ agent, seat, startedAs, used }: LiveAgent, session: SessionRow): void {
    const { sessions, logger } = this.#context
    seat.take((...call) => this.#gate.judge(...call))
    this.#agent = agent
    this.#seat = seat
    this.#startedAs = startedAs
    this.#used = used
    this.#account = keepAccount(sessions, logger, agent, session, () => this.#limits)
  }

  async #learnThreads(): Promise<void> {
    const { rows } = await this.#context.sessions.store.listThreads(this.#id, undefined, 'desc', KNOWN_THREADS, null)
    this.#translator.threads.know(rows)
  }

  async #startAgent(session: SessionRow, { parked, recover }: Opening): Promise<AgentProcess> {
    const { agent, prepareEnv, sessions, clientTools } = this.#context
    const resume = await sessions.store.hasTranscript(session.id)
    if (!resume) forgetLocalTranscript(sessionPaths(sessions.settings.sessionsDir, session.id).configDir)
    await this.#learnThreads()
    const tools = customToolsOf(session.agent).length > 0 ? await clientTools(session.id) : null
    const redrive = parked && callName(parked)
    const skills = await this.#mountSkills(session)
    const start = { resume, redrive, recover, clientTools: tools, skills }
    const env = prepareEnv(session)
    if (!resume) forgetTranscripts(env.CLAUDE_CONFIG_DIR)
    const seat = new Seat()
    const started = startAgent(agent, session, env, seat.judge, start)
    this.#sit({ agent: started, seat, startedAs: startedAs(session), used: true }, session)
    this.#context.counted(resume ? 'resume' : 'cold')
    return started
  }

  /** The folder of the agent's skills; tells of those that are no more. */
  async #mountSkills({ id, workspaceId, agent, currentTurnId }: SessionRow): Promise<string | null> {
    if (agent.skills.length === 0) return null
    const { store, settings, clock } = this.#context.sessions
    const place = sessionPaths(settings.sessionsDir, id).skills
    const { folder, missing } = await mountSkills(store.skills, workspaceId, agent.skills, place)
    const at = clock.now()
    const events = missing.map((skill) => newEvent('session.error', currentTurnId, at, { error: skillMissing(skill) }))
    if (events.length > 0) await this.#commit({ sessionId: id, at, epoch: this.#epoch, events })
    return folder
  }

  /** The agent has taken an input that was sent to it while it worked. */
  async #noteTaken(uuid: string): Promise<void> {
    const event = this.#sent.get(uuid)
    if (!event) return
    this.#sent.delete(uuid)
    if (this.#taken.has(event.id)) return
    this.#taken.add(event.id)
    const at = this.#context.sessions.clock.now()
    await this.#commit({ sessionId: this.#id, at, epoch: this.#epoch, events: [takenInput(event, at)] })
  }

  /** Appends what a message says; previews it while it is being written. Answers a failed model request, if it tells of one. */
  async #record(message: SDKMessage, turnId: string): Promise<SessionError | null> {
    const { sessions, previews } = this.#context
    const at = sessions.clock.now()
    const taken = startedCommand(message)
    if (taken !== null) {
      await this.#noteTaken(taken)
      return null
    }
    const { events, asks, keep, preview, threads, modelError } = this.#translator.translate(message, turnId, at)
    this.#context.backoff.note(message)
    const change: SessionChange = { sessionId: this.#id, at, epoch: this.#epoch, events }
    if (asks.length > 0) change.newApprovals = this.#gate.rowsFor(asks, at)
    if (threads.made.length > 0) change.newThreads = threads.made
    if (threads.patches.length > 0) change.threads = threads.patches
    const over = this.#translator.threads.touched.filter((row) =>
      threads.patches.some(({ id, patch }) => id === row.id && patch.status === 'idle'),
    )
    if (over.length > 0) change.threads = [...threads.patches, ...(await threadUsage(sessions.store, this.#id, over))]
    if (keep) change.messages = [{ turnId, body: JSON.stringify(message) }]
    if (kindOf(message) === 'system/api_retry') await this.#reschedule(message as never, turnId, change)
    else if (this.#rescheduled && (message.type === 'stream_event' || message.type === 'assistant') && !modelError) {
      this.#rescheduled = false
      change.session = { status: 'running' }
      change.events = [newEvent('session.status_running', turnId, at), ...events]
    }
    if (change.events!.length > 0 || change.messages || change.threads) {
      const shown = previews.get(this.#id)
      if (shown && events.some((event) => event.id === shown.eventId)) previews.clear(this.#id)
      await this.#commit(change)
      this.#gate.recorded(asks)
    }
    if (preview?.type === 'start')
      previews.set(this.#id, { eventId: preview.eventId, type: preview.kind, afterSeq: this.#lastSeq, text: '' })
    else if (preview?.type === 'text') {
      const shown = previews.get(this.#id)
      if (shown?.eventId === preview.eventId) previews.set(this.#id, { ...shown, text: shown.text + preview.text })
    }
    return modelError
  }

  /** A result that another followed in the same turn. */
  #kept(message: SDKMessage, turnId: string): SessionChange {
    const at = this.#context.sessions.clock.now()
    return { sessionId: this.#id, at, epoch: this.#epoch, messages: [{ turnId, body: JSON.stringify(message) }] }
  }

  async #tell(news: BackgroundNews | null, turnId: string): Promise<void> {
    if (!news) return
    const at = this.#context.sessions.clock.now()
    const events = [newEvent('session.background_work', turnId, at, { ...news })]
    await this.#commit({ sessionId: this.#id, at, epoch: this.#epoch, events })
  }

  /** The agent as an interrupt sees it: one that only waits for work in the background has no turn to end. */
  #stoppable(agent: AgentProcess): Pick<AgentProcess, 'interrupt' | 'kill'> {
    return {
      kill: () => agent.kill(),
      interrupt: async () => (this.#background.waiting ? agent.kill() : agent.interrupt()),
    }
  }

  #stopThread(agent: AgentProcess, threadId: string): void {
    const task = this.#translator.threads.taskOf(threadId)
    if (task !== null) void agent.stopTask(task)
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

  async #change(decide: (state: SessionState, at: number) => Decision | null | Promise<Decision | null>) {
    const changed = await changeSession(this.#context.sessions, this.#id, async (state, at) => {
      const decision = await decide(state, at)
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

/** How a run left a turn. `cut`: its server ends; `parked`: a call of it waits for an answer, without a process. */
type Ended =
  | { type: 'ended' | 'cut'; outcome: TurnOutcome; last: SDKMessage | null }
  | { type: 'parked'; part: TurnPart; last: SDKMessage }
