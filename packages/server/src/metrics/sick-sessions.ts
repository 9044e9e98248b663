import { Gauge, type Registry } from 'prom-client'
import type { EventRow } from '../store/events.ts'
import type { Store } from '../store/store.ts'
import type { OldSession, SilentTurn, Totals } from '../store/totals.ts'
import { RecentErrors } from './recent-errors.ts'

/** Sessions that a scrape names, of each sickness: few, and none when all is quiet. */
export const NAMED = 5

const WHOSE = ['workspace_id', 'session_id']

/** What a turn that says nothing waits for. */
export function waitsFor({ asked, openCalls, lastType }: Pick<SilentTurn, 'asked' | 'openCalls' | 'lastType'>) {
  if (asked) return 'answer'
  // Work in the background and the commands of a setup are nobody's calls.
  return openCalls > 0 || /^session\.(background_work|setup_)/.test(lastType) ? 'tool' : 'model'
}

/** The sessions that stand out, by name: whoever is paged for one should not have to look for it. */
export class SickSessions {
  readonly #errors = new RecentErrors()
  readonly #turn
  readonly #silent
  readonly #asks
  readonly #queued
  readonly #failing

  constructor(registry: Registry) {
    const gauge = (name: string, help: string, labelNames: string[] = WHOSE) =>
      new Gauge({ name, help, labelNames, registers: [registry] })
    this.#turn = gauge('troupe_running_turn_seconds', `Age of the ${NAMED} turns that have run longest.`)
    this.#silent = gauge(
      'troupe_silent_turn_seconds',
      `Since when the ${NAMED} turns at work have said nothing that did so longest, and what they wait for.`,
      [...WHOSE, 'waits_for'],
    )
    this.#asks = gauge('troupe_pending_approval_seconds', `Age of the ${NAMED} approvals that have waited longest.`)
    this.#queued = gauge('troupe_queued_session_seconds', `How long the ${NAMED} first have waited for a slot.`)
    this.#failing = gauge(
      'troupe_failing_session_errors',
      `Errors of the last ten minutes in the ${NAMED} sessions with the most.`,
      [...WHOSE, 'code'],
    )
  }

  failed(event: EventRow, code: string): void {
    this.#errors.add(event, code)
  }

  /** Sets what a scrape will tell. */
  async read(totals: Totals, store: Pick<Store, 'workspaceOf'>, now: number): Promise<void> {
    const age = (since: number) => Math.max(0, now - since) / 1000
    const tell = <T extends OldSession>(
      gauge: Gauge,
      rows: T[],
      more: (row: T) => Record<string, string> = () => ({}),
    ) => {
      gauge.reset()
      // The oldest last: where a session has several it is the one that is told.
      for (const row of rows.toReversed())
        gauge.set({ workspace_id: row.workspaceId, session_id: row.sessionId, ...more(row) }, age(row.since))
    }
    tell(this.#turn, totals.oldestTurns)
    tell(this.#asks, totals.oldestApprovals)
    tell(this.#queued, totals.firstQueued)
    tell(this.#silent, totals.silentTurns, (row) => ({ waits_for: waitsFor(row) }))
    const worst = this.#errors.worst(NAMED, now)
    const whose = await Promise.all(worst.map(({ sessionId }) => store.workspaceOf(sessionId)))
    this.#failing.reset()
    for (const [index, { sessionId, code, errors }] of worst.entries())
      this.#failing.set({ workspace_id: whose[index] ?? 'unknown', session_id: sessionId, code }, errors)
  }
}
