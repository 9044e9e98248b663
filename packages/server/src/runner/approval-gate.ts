import { isDeepStrictEqual } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import { ruleToRemember } from '../agents/permission-rules.ts'
import { awaitAnswer } from '../sessions/approval-state.ts'
import { changeSession, type Decision, type SessionState } from '../sessions/change-session.ts'
import { newEvent } from '../sessions/new-event.ts'
import { takenInput } from '../sessions/taken-input.ts'
import { NO_APPROVAL_SETTINGS } from '../sessions/session-status.ts'
import type { ApprovalRow } from '../store/approvals.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { isClientTool, PermissionTable, shownName } from './policy.ts'
import type { RunContext } from './run-context.ts'
import type { Ask } from './sdk-messages.ts'

/** What becomes of a call. */
export type Verdict =
  | { type: 'allow'; input?: Record<string, unknown> }
  | { type: 'deny'; message: string; interrupt?: boolean }
  /** Parked: the agent lets the call be and goes; it comes again, under the same id, when the answer is there. */
  | { type: 'defer' }

/** What the run of a gate has to do with its verdicts. */
export interface Hearing {
  onDenied(toolUseId: string, name: string, reason: string): void
  /** Whether the agent has been sent input that it has not taken. */
  steered(): boolean
  /** The call that waited has its answer. */
  onAnswered(): void
}

/** How long the event that tells a call may take to be appended, in ms: it was said before the call was asked about. */
const RECORD_PATIENCE_MS = 10_000
/** How long a subagent's call, which cannot be parked, waits for its answer, unless the session says longer; in ms. */
const SUBAGENT_HOLD_MS = 600_000

const SIBLING =
  'Another call of yours is waiting for a person. Nothing is wrong with this one: make it again when the other has its answer.'
const STEERED =
  'The user has written something while you worked. Nothing is wrong with this call: read that first, then make the call again if it is still right.'
export const BROKEN = 'The permission to do this could not be established, so it was refused.'

/**
 * Judges every call of one run's agent, for its hook and for its permission callback alike: each call once, whoever
 * asks first and however often. Fails closed: what goes wrong refuses the call. One instance serves a run's turns.
 */
export class ApprovalGate {
  readonly #context: RunContext
  readonly #sessionId: string
  readonly #epoch: number
  readonly #draining: AbortSignal
  readonly #verdicts = new Map<string, Promise<Verdict>>()
  readonly #recorded = new Map<string, PromiseWithResolvers<void>>()
  readonly #heard: Hearing
  #session: SessionRow | null = null
  #turn: TurnRow | null = null
  #answered: ApprovalRow[] = []
  #stop = new AbortController()
  /** True from a turn's beginning on: what an agent does before it is judged for it. False when the agent goes instead. */
  #begun = Promise.withResolvers<boolean>()
  #table: PermissionTable | null = null
  /** The call that is parked, or held, in the main conversation: its siblings are told to come again. */
  #waiting: string | null = null

  constructor(context: RunContext, sessionId: string, epoch: number, draining: AbortSignal, heard: Hearing) {
    this.#context = context
    this.#sessionId = sessionId
    this.#epoch = epoch
    this.#draining = draining
    this.#heard = heard
  }

  /** Whether a call of the main conversation waits for its answer: what is sent meanwhile is not for this process. */
  get waits(): boolean {
    return this.#waiting !== null
  }

  /** Begins a turn: reads the rules as they stand now, and the answers that its calls are owed. */
  async begin(session: SessionRow, turn: TurnRow): Promise<void> {
    const { store } = this.#context.sessions
    this.#session = session
    this.#turn = turn
    this.#verdicts.clear()
    this.#recorded.clear()
    this.#waiting = null
    this.#stop = new AbortController()
    const state = await store.readSessionState(session.id)
    this.#answered = (state?.approvals ?? []).filter((row) => row.turnId === turn.id && row.status !== 'pending')
    await this.#readRules()
    this.#begun.resolve(true)
  }

  /** The turn is over: nothing of it is waited for any more. */
  end(): void {
    this.#stop.abort()
    this.#begun = Promise.withResolvers()
  }

  /** The agent is gone, or about to go: nothing that it still asks is allowed. */
  shut(): void {
    this.#begun.resolve(false)
    this.#begun = Promise.withResolvers()
  }

  /** What the policy says of a call, without asking anybody. */
  evaluate = (name: string, input: unknown) =>
    this.#table?.evaluate(name, input) ?? {
      permission: 'deny' as const,
      kind: 'tool_confirmation' as const,
      reason: BROKEN,
    }

  /** The approvals that calls told in one message need; appended with their events. */
  rowsFor(asks: Ask[], at: number): ApprovalRow[] {
    const session = this.#session
    const turn = this.#turn
    if (!session || !turn) return []
    const { timeoutSeconds, onTimeout } = session.options.approvals ?? NO_APPROVAL_SETTINGS
    return asks.map(({ eventId, toolUseId, threadId, name, input, evaluation }) => ({
      id: eventId,
      sessionId: session.id,
      turnId: turn.id,
      threadId,
      kind: evaluation.kind,
      toolName: shownName(name),
      input,
      sdkToolUseId: toolUseId,
      reason: evaluation.reason,
      rule: isClientTool(name) ? null : ruleToRemember({ name, input, cwd: session.cwd }),
      status: 'pending',
      held: false,
      decision: null,
      actor: null,
      verdictEventId: null,
      createdAt: at,
      expiresAt: timeoutSeconds === null || onTimeout === 'stay' ? null : at + timeoutSeconds * 1000,
      onTimeout,
      decidedAt: null,
      consumedAt: null,
    }))
  }

  /** The events of these calls are in the log. */
  recorded(asks: Ask[]): void {
    for (const { toolUseId } of asks) this.#record(toolUseId).resolve()
  }

  /** Answers once per call; never rejects. */
  judge(toolUseId: string, name: string, input: unknown, agentId: string | null): Promise<Verdict> {
    const known = this.#verdicts.get(toolUseId)
    if (known) return known
    const verdict = this.#judge(toolUseId, name, input, agentId).catch((err: unknown): Verdict => {
      this.#context.logger.error({ session: this.#sessionId, err }, 'a call could not be judged')
      return { type: 'deny', message: BROKEN }
    })
    this.#verdicts.set(toolUseId, verdict)
    return verdict
  }

  async #judge(toolUseId: string, name: string, input: unknown, agentId: string | null): Promise<Verdict> {
    if (!(await this.#begun.promise)) return { type: 'deny', message: BROKEN }
    const answer = this.#answerFor(toolUseId, name, input)
    if (answer) return this.#handOver(answer, input)
    const { permission, reason } = this.evaluate(name, input)
    if (permission === 'allow') return { type: 'allow' }
    if (permission === 'deny') return this.#refuse(toolUseId, name, reason)
    const holdMs = (this.#session?.options.approvals?.holdSeconds ?? 0) * 1000
    if (agentId !== null) return this.#hold(toolUseId, name, input, Math.max(holdMs, SUBAGENT_HOLD_MS), true)
    if (this.#waiting !== null && this.#waiting !== toolUseId) {
      await this.#withdraw(toolUseId)
      return this.#refuse(toolUseId, name, SIBLING)
    }
    // An agent that parks a call goes on with what it was sent: as a turn of its own, behind the call's back.
    if (this.#heard.steered()) {
      await this.#withdraw(toolUseId)
      return this.#refuse(toolUseId, name, STEERED)
    }
    this.#waiting = toolUseId
    return holdMs > 0 ? this.#hold(toolUseId, name, input, holdMs, false) : { type: 'defer' }
  }

  /** The answer that a call is owed: its own, or that of the same call before its conversation was cut. */
  #answerFor(toolUseId: string, name: string, input: unknown): ApprovalRow | null {
    const same = (row: ApprovalRow) => row.toolName === shownName(name) && isDeepStrictEqual(row.input, input)
    const found =
      this.#answered.find((row) => row.sdkToolUseId === toolUseId) ??
      (this.#turn?.resume === 'recovery' ? this.#answered.find(same) : undefined)
    if (found) this.#answered = this.#answered.filter((row) => row !== found)
    return found ?? null
  }

  /** Notes that the agent has the answer, then gives it. In this order: a call is made once or not at all. */
  async #handOver(row: ApprovalRow, input: unknown): Promise<Verdict> {
    const { sessions } = this.#context
    const at = sessions.clock.now()
    const event =
      row.verdictEventId === null ? null : await sessions.store.readEvent(this.#sessionId, row.verdictEventId)
    await sessions.log.commit({
      sessionId: this.#sessionId,
      at,
      epoch: this.#epoch,
      approvals: [{ id: row.id, patch: { consumedAt: at, held: false } }],
      // From here on it is no parked call that lies in the transcript.
      turns: [{ id: row.turnId, patch: { resume: null } }],
      events: event ? [takenInput(event, at)] : [],
    })
    if (row.decision?.remember) await this.#readRules()
    this.#waiting = null
    this.#heard.onAnswered()
    if (row.status !== 'allowed' || !row.decision) {
      const said = row.decision?.deny_message
      const message = said ? `The user refused this call and said: ${said}` : 'The user refused this call.'
      return this.#refuse(row.sdkToolUseId, row.toolName, row.status === 'expired' ? (said ?? message) : message)
    }
    if (row.kind === 'question')
      return {
        type: 'allow',
        input: { ...(input as Record<string, unknown>), answers: flat(row.decision.answers ?? {}) },
      }
    return row.decision.updated_input ? { type: 'allow', input: row.decision.updated_input } : { type: 'allow' }
  }

  /** Waits for the answer with the process alive. When the time is over, the call is parked, or a subagent's refused. */
  async #hold(toolUseId: string, name: string, input: unknown, holdMs: number, isSubagent: boolean): Promise<Verdict> {
    const { sessions, logger } = this.#context
    const inTime = await Promise.race([
      this.#record(toolUseId).promise.then(() => true),
      delay(RECORD_PATIENCE_MS, false, { signal: this.#stop.signal }).catch(() => false),
    ])
    const row = inTime ? await this.#find(toolUseId) : null
    if (!row) {
      logger.warn({ session: this.#sessionId, tool: name }, 'a call was asked about that nobody was told of')
      return this.#refuse(toolUseId, name, BROKEN)
    }
    const before = await this.#change((state, at) => {
      const turn = state.openTurns.find((open) => open.id === row.turnId)
      const open = state.approvals.find((one) => one.id === row.id && one.status === 'pending')
      if (!turn || !open) return null
      const held = { approvals: [{ id: row.id, patch: { held: true } }] }
      return isSubagent ? { session: {}, ...held } : { ...awaitAnswer(state, turn, at, null), ...held }
    })
    const signal = AbortSignal.any([
      this.#stop.signal,
      this.#draining,
      AbortSignal.timeout(Math.min(holdMs, 2_147_483_647)),
    ])
    for await (const _page of sessions.log.follow(this.#sessionId, before.session.lastSeq, signal)) {
      const now = await sessions.store.approvals.read(row.id)
      if (!now || now.status === 'cancelled') break
      if (now.status !== 'pending') return this.#handOver(now, input)
    }
    return this.#release(row, name, input, isSubagent)
  }

  async #release(row: ApprovalRow, name: string, input: unknown, isSubagent: boolean): Promise<Verdict> {
    if (isSubagent) await this.#withdraw(row.sdkToolUseId)
    else
      await this.#change((state) =>
        state.approvals.some((one) => one.id === row.id && one.status === 'pending')
          ? { session: {}, approvals: [{ id: row.id, patch: { held: false } }] }
          : null,
      )
    const now = await this.#context.sessions.store.approvals.read(row.id)
    if (now && (now.status === 'allowed' || now.status === 'denied' || now.status === 'expired'))
      return this.#handOver(now, input)
    if (this.#stop.signal.aborted || now?.status === 'cancelled')
      return isSubagent
        ? this.#refuse(row.sdkToolUseId, name, 'Nobody answered in time, and a call of a subagent cannot wait longer.')
        : { type: 'deny', message: 'The turn was interrupted.', interrupt: true }
    return { type: 'defer' }
  }

  /** Takes back a question that nobody has answered yet. */
  async #withdraw(toolUseId: string): Promise<void> {
    await Promise.race([
      this.#record(toolUseId).promise,
      delay(RECORD_PATIENCE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined),
    ])
    await this.#change((state, at) => {
      const row = state.approvals.find((open) => open.sdkToolUseId === toolUseId && open.status === 'pending')
      if (!row) return null
      const body = { tool_use_id: row.id, reason: 'withdrawn' }
      return {
        session: {},
        approvals: [{ id: row.id, patch: { status: 'cancelled', held: false } }],
        events: [newEvent('session.approval_closed', row.turnId, at, body)],
      }
    })
  }

  #refuse(toolUseId: string, name: string, message: string): Verdict {
    this.#heard.onDenied(toolUseId, name, message)
    return { type: 'deny', message }
  }

  async #find(toolUseId: string): Promise<ApprovalRow | null> {
    const state = await this.#context.sessions.store.readSessionState(this.#sessionId)
    return state?.approvals.find((row) => row.sdkToolUseId === toolUseId) ?? null
  }

  async #readRules(): Promise<void> {
    if (!this.#session) return
    const { id, agent, workspaceId } = this.#session
    const grants = await this.#context.sessions.store.approvals.grants(workspaceId, agent.id, id)
    this.#table = new PermissionTable(this.#session, grants)
  }

  async #change(decide: (state: SessionState, at: number) => Decision | null): Promise<SessionState> {
    const { before } = await changeSession(this.#context.sessions, this.#sessionId, (state, at) => {
      const decision = decide(state, at)
      return decision && { ...decision, epoch: this.#epoch }
    })
    return before
  }

  #record(toolUseId: string): PromiseWithResolvers<void> {
    const known = this.#recorded.get(toolUseId) ?? Promise.withResolvers<void>()
    this.#recorded.set(toolUseId, known)
    return known
  }
}

/** Several labels chosen for one question, as the agent takes them. */
const flat = (answers: Record<string, string | string[]>): Record<string, string> =>
  Object.fromEntries(Object.entries(answers).map(([question, answer]) => [question, [answer].flat().join(', ')]))
