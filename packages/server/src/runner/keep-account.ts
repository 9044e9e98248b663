import type { Logger } from '../lib/logger.ts'
import { budgetLeft } from '../sessions/budget.ts'
import type { SessionContext } from '../sessions/context.ts'
import type { SessionRow } from '../store/session-row.ts'
import { AgentAccount } from './agent-account.ts'
import type { AgentProcess } from './agent-process.ts'
import type { TurnLimits } from './turn-limits.ts'

/**
 * Keeps an agent's account in the ledger of its session, under the session's lease, and ends the running turn when its
 * budget has become less than the agent was started with.
 */
export function keepAccount(
  { store, log, clock }: SessionContext,
  logger: Logger,
  agent: AgentProcess,
  session: SessionRow,
  running: () => TurnLimits | null,
): AgentAccount {
  const { id, epoch, options } = session
  return new AgentAccount(agent, session, {
    now: () => clock.now(),
    async write(ledger, models) {
      await log.commit({ sessionId: id, at: clock.now(), epoch, ledger, session: { sdkTotals: { models } } })
    },
    async spent(costUsd) {
      const limits = running()
      const now = await store.readSession(id)
      const left = now && budgetLeft(now)
      // What it was started with the agent watches itself, between two requests.
      if (left === null || now?.options.budgetCents === options.budgetCents) return
      if (left - costUsd < 1e-9) limits?.reach('budget')
    },
    failed: (err) => logger.warn({ session: id, err }, 'an account could not be kept'),
  })
}
