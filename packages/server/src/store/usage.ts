/** Sums over a session or a turn. Tokens are whole numbers; `costUsd` is the SDK's estimate at list price. */
export interface UsageTotals {
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheCreationTokens: number
  /** Of these, written to live for an hour; the others live for five minutes. */
  cacheCreation1hTokens: number
  costUsd: number
  /**
   * Requests whose usage the agent never reported, because it was killed: what they used is in none of the other
   * figures. Never too few: where it cannot be known whether a request was on its way, there was one.
   */
  unreportedRequests: number
}

export const NO_USAGE: UsageTotals = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  cacheCreation1hTokens: 0,
  costUsd: 0,
  unreportedRequests: 0,
}

/** Running totals of one model as the SDK reports them; `guessed`: it knows no price for the model. */
export interface ModelTotals {
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheCreationTokens: number
  cacheCreation1hTokens: number
  costUsd: number
  guessed: boolean
}

/** The SDK's running totals, by model. */
export type SdkTotals = Record<string, ModelTotals>
