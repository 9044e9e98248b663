import { applyDecision, mergeDecisions } from '../sessions/merge-decisions.ts'
import { awaitAnswer } from '../sessions/approval-state.ts'
import type { Decision, SessionState } from '../sessions/change-session.ts'
import { endAndGoOn } from '../sessions/continue-turn.ts'
import { leaveThreads } from '../sessions/end-threads.ts'
import { endSteeredTurn } from '../sessions/requeue-steers.ts'
import { turnOutputs } from '../sessions/turn-outputs.ts'
import type { SessionRow } from '../store/session-row.ts'
import { StaleEpoch } from '../store/errors.ts'
import { NOTHING_USED } from './agent-account.ts'
import { beginTurn, releaseSession } from './begin-turn.ts'
import { prepareWorkdir } from './prepare-workdir.ts'
import { recoverOrEnd } from './recovery.ts'
import { RunAgent } from './run-agent.ts'
import type { RunContext } from './run-context.ts'
import { RunLog } from './run-log.ts'
import { runTurn } from './run-turn.ts'
import { couldNotRun } from './session-errors.ts'
import { threadUsage } from './thread-usage.ts'
import { brokenOff } from './turn-outcome.ts'

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
  const log = new RunLog(context, claimed, ending)
  const agent = new RunAgent(context, log, claimed, draining)
  try {
    // A model that refuses gets no new turn of those who run either: they join the line again.
    for (let more = await nextTurn(context, log, agent, ending, draining.aborted); more;)
      more = await nextTurn(context, log, agent, ending, draining.aborted || context.backoff.paused)
  } catch (error) {
    if (error instanceof StaleEpoch)
      context.logger.warn({ session: claimed.id }, 'another run has taken the session over')
    else {
      context.logger.error({ session: claimed.id, err: error }, 'a run broke off')
      await giveUp(log, agent, error).catch((err: unknown) =>
        context.logger.error({ session: claimed.id, err }, 'a run could not be ended'),
      )
    }
    await agent.close()
  } finally {
    context.snapshots.left(claimed.id)
    await agent.leave(draining.aborted)
  }
}

/** Runs the next queued turn to its end. False when there is none, or none is to be taken: the session is released. */
async function nextTurn(
  context: RunContext,
  log: RunLog,
  agent: RunAgent,
  ending: AbortSignal,
  release: boolean,
): Promise<boolean> {
  const { sessions, snapshots, previews } = context
  const begun = release ? await releaseSession(log) : await beginTurn(context, log)
  if (!begun) return false
  const { session, turn } = begun
  const notBegun = await prepareWorkdir(context, session, turn, log.lastSeq, ending)
  const ended = notBegun ?? (await runTurn(context, log, agent, begun, ending))
  const outputs = await turnOutputs(sessions, session, turn.id, ended.type, ending)
  const { touched } = agent.translator.threads
  const threads = await log.insist(() => threadUsage(sessions.store, session.id, touched))
  previews.clear(session.id)
  const messages = ended.last ? [{ turnId: turn.id, body: JSON.stringify(ended.last) }] : []
  let goesOn = false
  const decide = async (state: SessionState, at: number): Promise<Decision> => {
    const now = state.openTurns.find((open) => open.id === turn.id) ?? turn
    const cut = agent.translator.cutRequest(turn.id, at)
    if (ended.type === 'parked') {
      goesOn = false
      const left = leaveThreads(state, now.id, at)
      return { ...[left, awaitAnswer(state, now, at, ended.part), { threads }].reduce(mergeDecisions), messages }
    }
    if (ended.type === 'cut') {
      goesOn = false
      return mergeDecisions({ events: cut, threads }, await recoverOrEnd(sessions, state, now, ended.outcome, at))
    }
    // The lease ends with the work, in one step: whoever sees the session idle may go on with it at once.
    const end = endAndGoOn(state, endSteeredTurn(state, now, ended.outcome, at), at)
    goesOn = end.session?.status !== 'idle'
    const released = goesOn ? {} : { session: { holder: null, leaseUntil: null } }
    return { ...[{ events: cut }, end, { threads }, released].reduce<Decision>(mergeDecisions, {}), messages }
  }
  await log.insist(() => log.change(async (state, at) => outputs.with(await decide(state, at), at)))
  await outputs.settle()
  await snapshots.after(session.id, turn.id, ending)
  return goesOn
}

/** Ends the turn that could not be run, so that the session neither runs for ever nor tries it again and again. */
async function giveUp(log: RunLog, agent: RunAgent, error: unknown): Promise<void> {
  const message = error instanceof Error ? error.message : String(error)
  const account = (await agent.account?.endTurn(null)) ?? NOTHING_USED
  await log.insist(() =>
    log.change((state, at) => {
      const [turn] = state.openTurns
      if (!turn) return { session: { holder: null, leaseUntil: null } }
      const ended = endSteeredTurn(state, turn, brokenOff(couldNotRun(message), account), at)
      const waits = applyDecision(state, ended).openTurns.length > 0
      const released = { holder: null, leaseUntil: null, ...(waits && { queuedAt: at }) }
      // At its budget a session stands still, whatever waits.
      const still = ended.session?.status === 'idle' ? { queuedAt: null } : {}
      return { ...ended, session: { ...ended.session, ...released, ...still } }
    }),
  )
}
