import { newEvent } from '../sessions/new-event.ts'
import { takenInput } from '../sessions/taken-input.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import type { RunContext } from './run-context.ts'
import type { RunLog } from './run-log.ts'

export interface BegunTurn {
  session: SessionRow
  turn: TurnRow
  inputs: EventRow[]
  /** The inputs that count as received by its agent. */
  taken: string[]
}

/** Gives the session back; with turns still waiting it joins the queue again. */
export async function releaseSession(log: RunLog): Promise<void> {
  await log.insist(() =>
    log.change(({ openTurns }, at) => ({
      session: { holder: null, leaseUntil: null, ...(openTurns.length > 0 && { queuedAt: at }) },
    })),
  )
}

/**
 * Begins the next turn that can run; null, with the session given back, where there is none. From here on the turn counts
 * as received by the agent: only its recovery gives it to one a second time.
 */
export async function beginTurn({ sessions }: RunContext, log: RunLog): Promise<BegunTurn | null> {
  const { store, settings } = sessions
  const modelSource = settings.modelSource === 'demo' ? 'demo' : 'configured'
  for (;;) {
    const state = await store.readSessionState(log.sessionId)
    const turn = state?.openTurns[0]
    const asked = state?.approvals.filter((row) => row.turnId === turn?.id) ?? []
    const waits = turn?.status === 'waiting' && asked.some((row) => row.status === 'pending')
    if (!state || !turn || waits) {
      await releaseSession(log)
      return null
    }
    const found = await Promise.all(turn.inputEventIds.map((id) => store.readEvent(log.sessionId, id)))
    const inputs = found.filter((event) => event !== null)
    const fresh = turn.resume === null ? inputs.filter((input) => input.processedAt === null) : []
    let unchanged = false
    await log.insist(() =>
      log.change(({ session, openTurns }, at) => {
        // Cancelled, edited or steered since it was read: look again.
        unchanged = openTurns[0]?.id === turn.id && session.version === state.session.version
        if (!unchanged) return null
        const rescheduling = session.status === 'rescheduling'
        return {
          session: {
            currentTurnId: turn.id,
            options: { ...session.options, modelSource },
            startedAt: session.startedAt ?? at,
            lastTurnStatus: 'in_progress',
            queuedAt: null,
            // What an earlier turn was waiting for is over with it.
            ...(rescheduling && { status: 'running' as const }),
            ...(turn.resume === 'recovery' && { lastError: null }),
          },
          turns: [{ id: turn.id, patch: { status: 'in_progress', startedAt: turn.startedAt ?? at, runningSince: at } }],
          events: [
            ...(rescheduling ? [newEvent('session.status_running', turn.id, at)] : []),
            turn.resume === null
              ? newEvent('turn.started', turn.id, at, { number: turn.number, input_event_ids: turn.inputEventIds })
              : newEvent('turn.resumed', turn.id, at, { number: turn.number, reason: turn.resume }),
            ...fresh.map((input) => takenInput(input, at)),
          ],
        }
      }),
    )
    const session = await store.readSession(log.sessionId)
    const begun = await store.readTurn(log.sessionId, turn.id)
    if (!unchanged || !session || !begun) continue
    const taken = [...fresh, ...inputs.filter((input) => input.processedAt !== null)].map(({ id }) => id)
    return { session, turn: begun, inputs, taken }
  }
}
