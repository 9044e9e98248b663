import { customToolsOf } from '../agents/agent-tools.ts'
import { sessionPaths } from '../sessions/admission.ts'
import { newEvent } from '../sessions/new-event.ts'
import { mountSkills } from '../skills/mount-skills.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import type { AgentAccount } from './agent-account.ts'
import { forgetTranscripts } from './agent-env.ts'
import { type AgentProcess, startAgent } from './agent-process.ts'
import { ApprovalGate } from './approval-gate.ts'
import { BackgroundWork } from './background-work.ts'
import { keepAccount } from './keep-account.ts'
import type { LiveAgent } from './live-agents.ts'
import { forgetLocalTranscript } from './local-transcript.ts'
import { callName } from './policy.ts'
import type { RunContext } from './run-context.ts'
import type { RunLog } from './run-log.ts'
import { Translator } from './sdk-messages.ts'
import { Seat } from './seat.ts'
import { skillMissing } from './session-errors.ts'
import { startedAs } from './started-as.ts'
import { TurnInputs } from './turn-inputs.ts'
import type { TurnLimits } from './turn-limits.ts'
import { type Opening, userMessage } from './turn-opening.ts'

/** Subagents of earlier processes that may be taken up again: the newest, at most this many. */
const KNOWN_THREADS = 1_000

/**
 * A run's hold on its agent: the process that waited for the session or one started for it, with what judges its calls,
 * reads its messages, keeps its account and knows what it was given. At most one works at a time.
 */
export class RunAgent {
  readonly gate: ApprovalGate
  readonly translator: Translator
  readonly inputs = new TurnInputs()
  readonly background: BackgroundWork
  /** Those of the running turn: the account ends it at its budget. */
  limits: TurnLimits | null = null
  readonly #context: RunContext
  readonly #log: RunLog
  #held: LiveAgent | null = null
  #account: AgentAccount | null = null
  /** A spare that did not fit, on its way out. */
  #refused: AgentProcess | null = null

  constructor(context: RunContext, log: RunLog, claimed: SessionRow, draining: AbortSignal) {
    this.#context = context
    this.#log = log
    this.gate = new ApprovalGate(context, claimed.id, claimed.epoch, draining, {
      onDenied: (toolUseId, name, reason) => this.translator.denied(toolUseId, name, reason),
      steered: () => this.inputs.underway,
      onAnswered: () => {
        for (const event of this.inputs.released()) this.steer(event)
      },
    })
    this.translator = new Translator(claimed.id, this.gate.evaluate, claimed.agent)
    const { threads } = this.translator
    this.background = new BackgroundWork(context.backgroundMs, (taskId) => threads.threadOfTask(taskId))
  }

  /** Whether its process lives and has been sent this input already. */
  has(input: EventRow): boolean {
    return this.#held?.agent.alive() === true && this.inputs.isSent(input)
  }

  /** The account of the process that works or worked last; null before the first. */
  get account(): AgentAccount | null {
    return this.#account
  }

  /** The process for a turn: the one at hand where it fits, else another. Its calls are judged for the turn from here on. */
  async ready(session: SessionRow, turn: TurnRow, opening: Opening): Promise<[AgentProcess, AgentAccount]> {
    const { store } = this.#context.sessions
    const adopted = !this.#held && (await this.#adopt(session))
    if (this.#held && (!this.#held.agent.alive() || opening.anew || this.#held.startedAs !== startedAs(session))) {
      if (this.#held.used) await this.close()
      else this.#putOff()
    }
    // Behind the end of another agent, which shuts the gate.
    await this.gate.begin(session, turn)
    if (this.#held && adopted) this.#context.counted(this.#held.used ? 'live' : 'spare')
    const held = this.#held ?? (await this.#start(session, opening))
    this.#account!.beginTurn(session, turn.id, await store.readTurnLedger(turn.id))
    held.used = true
    return [held.agent, this.#account!]
  }

  /** Gives the process input for the running turn; behind the answer, where a call of it waits for one. */
  steer(event: EventRow): void {
    if (this.gate.waits) return this.inputs.withhold(event)
    this.inputs.sent(event)
    this.#held?.agent.send(userMessage([event], 'next'))
  }

  /** Lets the process rest until the session goes on, where that can be; else ends it. */
  async leave(draining: boolean): Promise<void> {
    const rests = this.#held && !this.inputs.underway && !draining
    if (!rests || !this.#context.live.rest(this.#log.sessionId, { ...this.#held!, used: true })) return this.close()
    this.#context.previews.clear(this.#log.sessionId)
    this.forget()
  }

  /** Ends the process, if one is alive. */
  async close(): Promise<void> {
    this.dismiss()
    this.#context.previews.clear(this.#log.sessionId)
    await this.#held?.agent.stop()
    this.forget()
  }

  /** The process takes no other turn of this run. */
  forget(): void {
    this.gate.shut()
    this.#held = null
    this.inputs.forgetSent()
  }

  /** The end of a spare that did not fit would slow the start of the one that works instead: it comes when that one has asked its model. */
  dismiss(): void {
    this.#refused?.kill()
    this.#refused = null
  }

  /** A spare that does not fit: it never had anything to do, so nothing of the session waits for its end. */
  #putOff(): void {
    this.dismiss()
    this.#refused = this.#held?.agent ?? null
    this.forget()
  }

  /** Takes the agent that has waited for this session to go on, if one has. */
  async #adopt(session: SessionRow): Promise<boolean> {
    const live = await this.#context.live.take(session.id)
    if (!live) return false
    if (live.used) await this.#learnThreads()
    this.#hold(live, session)
    return true
  }

  /** From here on the agent works for this run. */
  #hold(live: LiveAgent, session: SessionRow): LiveAgent {
    const { sessions, logger } = this.#context
    live.seat.take((...call) => this.gate.judge(...call))
    this.#account = keepAccount(sessions, logger, live.agent, session, () => this.limits)
    return (this.#held = live)
  }

  async #learnThreads(): Promise<void> {
    const { store } = this.#context.sessions
    const { rows } = await store.listThreads(this.#log.sessionId, undefined, 'desc', KNOWN_THREADS, null)
    this.translator.threads.know(rows)
  }

  async #start(session: SessionRow, { parked, recover }: Opening): Promise<LiveAgent> {
    const { agent, prepareEnv, sessions, clientTools } = this.#context
    const resume = await sessions.store.hasTranscript(session.id)
    if (!resume) forgetLocalTranscript(sessionPaths(sessions.settings.sessionsDir, session.id).configDir)
    await this.#learnThreads()
    const tools = customToolsOf(session.agent).length > 0 ? await clientTools(session) : null
    const redrive = parked && callName(parked)
    const skills = await this.#mountSkills(session)
    const start = { resume, redrive, recover, clientTools: tools, skills }
    const env = prepareEnv(session)
    if (!resume) forgetTranscripts(env.CLAUDE_CONFIG_DIR)
    const seat = new Seat()
    const started = startAgent(agent, session, env, seat.judge, start)
    const held = this.#hold({ agent: started, seat, startedAs: startedAs(session), used: true }, session)
    this.#context.counted(resume ? 'resume' : 'cold')
    return held
  }

  /** The folder of the agent's skills; tells of those that are no more. */
  async #mountSkills({ id, workspaceId, agent, currentTurnId }: SessionRow): Promise<string | null> {
    if (agent.skills.length === 0) return null
    const { store, settings } = this.#context.sessions
    const place = sessionPaths(settings.sessionsDir, id).skills
    const { folder, missing } = await mountSkills(store.skills, workspaceId, agent.skills, place)
    if (folder !== null) settings.agentUser?.show(folder)
    const at = this.#log.now()
    const events = missing.map((skill) => newEvent('session.error', currentTurnId, at, { error: skillMissing(skill) }))
    if (events.length > 0) await this.#log.commit({ at, events })
    return folder
  }
}
