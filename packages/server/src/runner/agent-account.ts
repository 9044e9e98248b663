import type { SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { LedgerEntry } from '../store/ledger.ts'
import { NO_USAGE, type SdkTotals } from '../store/usage.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { AgentProcess } from './agent-process.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { baselineOf, totalsOf } from './sdk-totals.ts'
import { type AccountOfTurn, TurnAccount } from './turn-account.ts'

export interface AccountKeeper {
  now(): number
  /** Writes the entries of the running turn as they stand. May fail: the turn's end writes them again. */
  write(entries: LedgerEntry[], totals: SdkTotals): Promise<void>
  /** Called after each report with what the running turn has cost so far. */
  spent(costUsd: number): Promise<void>
  failed(error: unknown): void
}

export const NOTHING_USED: AccountOfTurn = { usage: NO_USAGE, modelRequests: 0 }

/** An agent that signed in with a plan asks the plan's server each time it is asked; then it is asked this seldom, in ms. */
const PLAN_PAUSE_MS = 60_000
/** How long a result waits for the first answer, in ms: an agent that answers does so before its first request. */
const START_PATIENCE_MS = 1_000

/**
 * Keeps the accounts of one agent process: asks it for its running totals when it starts and after each request, so that
 * an agent that is killed, or a server that dies, loses only what was on its way. Never rejects.
 */
export class AgentAccount {
  readonly #agent: AgentProcess
  readonly #keeper: AccountKeeper
  readonly #start: Promise<SdkTotals | null>
  #totals: SdkTotals
  #turn: TurnAccount | null = null
  #begun = false
  #asking = false
  #again = false
  #pauseMs = 0
  #asked = 0

  constructor(agent: AgentProcess, session: SessionRow, keeper: AccountKeeper) {
    this.#agent = agent
    this.#keeper = keeper
    const booked = session.sdkTotals.models ?? {}
    this.#totals = booked
    this.#start = this.#learnStart(booked)
  }

  async #learnStart(booked: SdkTotals): Promise<SdkTotals | null> {
    const said = await this.#agent.usage()
    if (!said) return null
    if (said.plan) this.#pauseMs = PLAN_PAUSE_MS
    const totals = baselineOf(booked, totalsOf(said.models))
    if (!this.#begun) {
      this.#totals = totals
      this.#turn?.begin(totals)
    }
    return totals
  }

  /** `entries`: what the turn has in the ledger already, where it goes on after a pause. */
  beginTurn(session: SessionRow, turnId: string, entries: LedgerEntry[]): void {
    this.#turn = new TurnAccount(session, turnId, this.#totals, entries)
  }

  see(message: SDKMessage): void {
    if (this.#turn?.see(message, this.#keeper.now())) void this.#ask()
  }

  /** What the turn used, by the agent's own word, or, where it gave none, by what it had reported before. */
  async endTurn(result: SDKResultMessage | null): Promise<AccountOfTurn> {
    const turn = this.#turn
    if (!turn) return NOTHING_USED
    // The answer to the first question comes before the first result, where there is an answer at all.
    if (result) await Promise.race([this.#start, delay(START_PATIENCE_MS, null, { ref: false })])
    this.#turn = null
    this.#begun = true
    const at = this.#keeper.now()
    const account = result ? turn.close(result, at) : turn.breakOff(at)
    this.#totals = account.sdkTotals?.models ?? this.#totals
    return account
  }

  async #ask(): Promise<void> {
    if (this.#asking) {
      this.#again = true
      return
    }
    if (performance.now() - this.#asked < this.#pauseMs) return
    this.#asking = true
    try {
      do {
        this.#again = false
        this.#asked = performance.now()
        const turn = this.#turn
        if (!turn || !(await this.#start)) return
        const contained = turn.mark()
        const said = await this.#agent.usage()
        if (!said || this.#turn !== turn) return
        turn.book(totalsOf(said.models), contained, this.#keeper.now())
        await this.#keeper.spent(turn.costUsd)
        if (this.#turn === turn) await this.#keeper.write(turn.entries(), turn.totals)
      } while (this.#again)
    } catch (error) {
      this.#keeper.failed(error)
    } finally {
      this.#asking = false
    }
  }
}
