import type { SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionError } from '@troupe/protocol/event'
import type { TurnPart } from '../sessions/approval-state.ts'
import type { TurnOutcome } from '../sessions/end-turn.ts'
import { StaleEpoch, StorageUnavailable } from '../store/errors.ts'
import { NOTHING_USED } from './agent-account.ts'
import type { AgentProcess } from './agent-process.ts'
import type { BackgroundWork } from './background-work.ts'
import type { BegunTurn } from './begin-turn.ts'
import { contextFill } from './context-fill.ts'
import { finished } from './finished-turn.ts'
import { watchInbox } from './inbox.ts'
import type { RunAgent } from './run-agent.ts'
import type { RunContext } from './run-context.ts'
import type { RunLog } from './run-log.ts'
import { modelError, modelStalled, processEnded, serverRestarted, storeFailed } from './session-errors.ts'
import { INTERRUPTED_STEPS, STOP_STEPS } from './stop-process.ts'
import { TurnLimits } from './turn-limits.ts'
import { openTurn, systemNote, userMessage } from './turn-opening.ts'
import { brokenOff, outcomeOfResult } from './turn-outcome.ts'
import { TurnRecord } from './turn-record.ts'

/** How a run left a turn. `cut`: its server ends; `parked`: a call of it waits for an answer, without a process. */
export type EndedTurn =
  | { type: 'ended' | 'cut'; outcome: TurnOutcome; last: SDKMessage | null }
  | { type: 'parked'; part: TurnPart; last: SDKMessage }

/** The newest result, whose account is closed when the turn is really over. */
interface Answered {
  message: SDKResultMessage
  how: { interrupted: boolean; modelError: SessionError | null; structured: boolean }
}

/** Runs a turn with the agent of its run, to its end. `ending` ends it now, with its server. */
export async function runTurn(
  context: RunContext,
  log: RunLog,
  held: RunAgent,
  { session, turn, inputs, taken }: BegunTurn,
  ending: AbortSignal,
): Promise<EndedTurn> {
  const { store, clock } = context.sessions
  const { translator, gate, background } = held
  const record = new TurnRecord(context, log, held, turn.id)
  translator.beginTurn()
  held.inputs.beginTurn(taken)
  const opening = await openTurn(store, turn, inputs, {
    taken: held.inputs.taken,
    isSent: (input) => held.has(input),
  })
  if (opening.parked) translator.knows(opening.parked)
  // What answers a command to the agent is no answer of the conversation.
  const command = inputs.some((input) => 'command' in (JSON.parse(input.body) as object))
  const asked = { structured: session.agent.output_schema !== undefined && !command }
  if (opening.finished) return { type: 'ended', outcome: finished(opening.finished, asked), last: null }
  const [agent, account] = await held.ready(session, turn, opening)
  const limits = (held.limits = new TurnLimits(agent, session, turn, () => clock.now()))
  const stop = new AbortController()
  let fatal: SessionError | null = null
  let modelFailure: SessionError | null = null
  let cut = false
  const kill = (error: SessionError) => {
    fatal ??= error
    agent.kill()
  }
  const inbox = watchInbox(context, stoppable(agent, background), {
    sessionId: session.id,
    epoch: log.epoch,
    turnId: turn.id,
    after: log.lastSeq,
    signal: stop.signal,
    onInterrupt: () => gate.end(),
    onThreadInterrupt: (threadId) => {
      const task = translator.threads.taskOf(threadId)
      if (task !== null) void agent.stopTask(task)
    },
    // What comes to steer a turn that is being stopped is for the next one.
    onSteer: (event) => {
      if (!inbox.interrupted() && !limits.reached) held.steer(event)
    },
  })
  const onEnding = () => {
    cut = true
    kill(serverRestarted())
  }
  ending.addEventListener('abort', onEnding)
  if (ending.aborted) onEnding()
  let watchdog: NodeJS.Timeout | undefined
  const alive = () => {
    clearTimeout(watchdog)
    watchdog = setTimeout(() => {
      if (translator.toolsInFlight > 0 || background.waiting) alive()
      else kill(modelStalled(Math.round(context.stallMs / 1000)))
    }, context.stallMs)
  }
  let ended: EndedTurn | null = null
  let over = false
  let answer: Answered | null = null
  try {
    background.beginTurn(agent)
    alive()
    if (opening.message.length > 0) agent.send(userMessage(opening.message, 'later'), systemNote(opening.message))
    let first = turn.number === 1
    for (const event of opening.steers) held.steer(event)
    for (;;) {
      const { value: message, done } = await agent.next()
      if (done) break
      alive()
      if (message.type !== 'system') held.dismiss()
      if (first) context.begun(session)
      first = false
      account.see(message)
      if (message.type === 'result') {
        if (ended?.last) await record.keep(ended.last)
        const interrupted = inbox.interrupted()
        if (message.terminal_reason === 'tool_deferred' && !interrupted && !limits.reached) {
          ended = { type: 'parked', part: await account.endTurn(message), last: message }
          over = true
          break
        }
        const how = { interrupted, modelError: modelFailure, ...asked }
        const outcome = outcomeOfResult(message, { account: NOTHING_USED, ...how })
        // Input that came too late for this turn is with the agent, and what it does next belongs to the next turn.
        const late = held.inputs.underway || limits.reached
        over = outcome.status !== 'completed' || late || !background.answered()
        answer = { message, how }
        ended = { type: 'ended', outcome, last: message }
        if (over) break
        modelFailure = null
        await record.tell(background.news())
        continue
      }
      const news = background.observe(message)
      modelFailure = (await record.add(message)) ?? modelFailure
      await record.tell(news)
      over = background.over(message)
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
    context.logger.error({ session: session.id, err: error }, 'a turn could not be recorded')
  } finally {
    held.dismiss()
    clearTimeout(watchdog)
    limits.end()
    background.endTurn()
    ending.removeEventListener('abort', onEnding)
    stop.abort()
    gate.end()
    await inbox.ended
  }
  const cutOff = !over && background.unfinished
  if (ended?.type === 'ended' && answer && !fatal) {
    const closed = await account.endTurn(cutOff ? null : answer.message)
    ended = { ...ended, outcome: outcomeOfResult(answer.message, { account: closed, ...answer.how }) }
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
    held.forget()
    const exit = await agent.exited
    const error = fatal ?? modelFailure ?? processEnded(exit, agent.failure())
    const closed = ended?.type === 'parked' ? ended.part : await account.endTurn(null)
    const stopped = (inbox.interrupted() || limits.reached) && !fatal
    const outcome = limits.overrule(brokenOff(stopped ? null : error, closed), inbox.interrupted())
    return { type: cut && !inbox.interrupted() ? 'cut' : 'ended', outcome, last: null }
  }
  const done = ended.type === 'ended' && ended.outcome.status === 'completed' && !inbox.interrupted()
  const fill = done && !limits.reached ? await contextFill(agent, () => clock.now()) : undefined
  if (ended.type === 'ended' && fill) ended.outcome.context = fill
  const stopped = ended.type === 'parked' || ended.outcome.status === 'cancelled' || inbox.interrupted()
  if (stopped || limits.reached || background.left) {
    // A parked call ends its process. After an interrupt the SDK ends the conversation, and an interrupt or a kill may
    // still be on its way when the result is there: the next turn gets a process that nobody is stopping.
    held.forget()
    await agent.stop(inbox.interrupted() ? INTERRUPTED_STEPS : STOP_STEPS)
  }
  if (ended.type === 'ended') ended.outcome = limits.overrule(ended.outcome, inbox.interrupted())
  return ended
}

/** The agent as an interrupt sees it: one that only waits for work in the background has no turn to end. */
function stoppable(agent: AgentProcess, background: BackgroundWork): Pick<AgentProcess, 'interrupt' | 'kill'> {
  return {
    kill: () => agent.kill(),
    interrupt: async () => (background.waiting ? agent.kill() : agent.interrupt()),
  }
}
