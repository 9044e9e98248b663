import type { SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { TurnOutcome } from '../sessions/end-turn.ts'
import { judgeCache, prefixOf } from '../sessions/prompt-cache.ts'
import { addUsage, addUsd, sumOfEntries } from '../sessions/usage-totals.ts'
import type { LedgerEntry } from '../store/ledger.ts'
import { NO_USAGE, type SdkTotals } from '../store/usage.ts'
import type { SessionRow } from '../store/session-row.ts'
import { add, RequestWatch } from './request-watch.ts'
import { growth, totalsOf } from './sdk-totals.ts'

const keyOf = ({ day, model }: Pick<LedgerEntry, 'day' | 'model'>) => `${day} ${model}`

/** The part of an outcome that the account knows. */
export type AccountOfTurn = Pick<
  TurnOutcome,
  'usage' | 'modelRequests' | 'ledger' | 'sdkTotals' | 'cache' | 'cachePrefix'
>

/**
 * The account of one turn, by model and day: it grows with each running total that the agent reports, and knows which
 * requests it has not reported yet. Pure: it reads no clock and writes nothing.
 */
export class TurnAccount {
  readonly #session: SessionRow
  readonly #turnId: string
  readonly #watch: RequestWatch
  readonly #entries = new Map<string, LedgerEntry>()
  #totals: SdkTotals
  #booked = false
  #reported = new Map<string, number>()

  /** `totals`: the agent's running totals when the turn began. */
  constructor(session: SessionRow, turnId: string, totals: SdkTotals, entries: LedgerEntry[]) {
    this.#session = session
    this.#turnId = turnId
    this.#totals = totals
    this.#watch = new RequestWatch(session.agent.model.id)
    for (const entry of entries) this.#entries.set(keyOf(entry), { ...entry })
  }

  /** Takes note of a message; true when the agent should be asked what it has used. */
  see(message: SDKMessage, at: number): boolean {
    return this.#watch.see(message, at)
  }

  /** The requests that a total asked for now will contain. */
  mark(): Map<string, number> {
    return this.#watch.ended()
  }

  /** Replaces what was taken for the totals at the beginning; only before the first report. */
  begin(totals: SdkTotals): void {
    if (!this.#booked) this.#totals = totals
  }

  /** Books what the totals have grown by. `contained`: what `mark` said when they were asked for. */
  book(totals: SdkTotals, contained: Map<string, number>, at: number): void {
    this.#booked = true
    for (const [model, grown] of Object.entries(growth(this.#totals, totals))) {
      const { guessed, ...amounts } = grown
      if (Object.values(amounts).every((amount) => amount === 0)) continue
      const entry = this.#entry(model, at)
      entry.usage = addUsage(entry.usage, { ...amounts, unreportedRequests: 0 })
      if (guessed) entry.guessedUsd = addUsd(entry.guessedUsd, amounts.costUsd)
    }
    for (const [model, count] of contained) {
      const fresh = count - (this.#reported.get(model) ?? 0)
      if (fresh > 0) this.#entry(model, at).modelRequests += fresh
    }
    this.#totals = totals
    this.#reported = contained
  }

  /** The entries as they stand. */
  entries(): LedgerEntry[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry }))
  }

  /** The agent's running totals as they were last booked. */
  get totals(): SdkTotals {
    return this.#totals
  }

  /** What the turn has cost so far, in dollars. */
  get costUsd(): number {
    return sumOfEntries(this.entries()).costUsd
  }

  /** Ends the account with the agent's own figures. */
  close(result: SDKResultMessage, at: number): AccountOfTurn {
    const ended = this.#watch.ended()
    const known = [...ended.values()].reduce((sum, count) => sum + count, 0)
    const totals = totalsOf(result.modelUsage ?? {})
    const [first = this.#watch.model, ...others] = Object.keys(totals)
    // The SDK counts the requests of the main agent, with those that were not shown.
    if (known < result.num_turns && !result.is_error)
      add(ended, this.#watch.init || others.length > 0 ? this.#watch.model : first, result.num_turns - known)
    // An agent that failed early may report nothing at all; that takes nothing back.
    if (Object.keys(totals).length > 0 || !result.is_error) this.book(totals, ended, at)
    else this.book(this.#totals, ended, at)
    // At its budget the agent ends its turn while a request of a subagent may be on its way still.
    if (result.terminal_reason === 'budget_exhausted') this.#miss(this.#watch.behindTheEnd(), at)
    return this.#account()
  }

  /** Ends the account of an agent that can report no more: what is missing is marked. */
  breakOff(at: number): AccountOfTurn {
    const missing = this.#watch.open()
    for (const [model, count] of this.#watch.ended()) add(missing, model, count - (this.#reported.get(model) ?? 0))
    this.#miss(missing, at)
    return this.#account()
  }

  #miss(missing: Map<string, number>, at: number): void {
    for (const [model, count] of missing) {
      if (count <= 0) continue
      const entry = this.#entry(model, at)
      entry.modelRequests += count
      entry.usage = { ...entry.usage, unreportedRequests: entry.usage.unreportedRequests + count }
    }
  }

  #account(): AccountOfTurn {
    const ledger = this.entries()
    const { firstUse, lastUse, init } = this.#watch
    const before = this.#session.cachePrefix
    const prefix = init && lastUse && prefixOf(this.#session, init, lastUse)
    // A turn that wrote nothing has prolonged what there was.
    if (prefix && before && lastUse.createdTokens === 0) prefix.ttlMs = before.ttlMs
    return {
      usage: sumOfEntries(ledger),
      modelRequests: ledger.reduce((sum, entry) => sum + entry.modelRequests, 0),
      ledger,
      sdkTotals: { models: this.#totals },
      cache: firstUse && init ? judgeCache(before, prefixOf(this.#session, init, firstUse), firstUse) : null,
      ...(prefix && { cachePrefix: prefix }),
    }
  }

  #entry(model: string, at: number): LedgerEntry {
    const day = new Date(at).toISOString().slice(0, 10)
    const key = keyOf({ day, model })
    let entry = this.#entries.get(key)
    if (!entry) {
      const { id, agent, principal, metadata } = this.#session
      entry = {
        turnId: this.#turnId,
        model,
        day,
        sessionId: id,
        agentId: agent.id,
        principal,
        metadata,
        at,
        usage: NO_USAGE,
        guessedUsd: 0,
        modelRequests: 0,
      }
      this.#entries.set(key, entry)
    }
    return entry
  }
}
