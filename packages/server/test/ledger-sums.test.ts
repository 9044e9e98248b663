import type { SDKMessage, SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import { describe, expect, test } from 'vitest'
import { baselineOf, growth } from '../src/runner/sdk-totals.ts'
import { TurnAccount } from '../src/runner/turn-account.ts'
import { TurnLimits } from '../src/runner/turn-limits.ts'
import { judgeCache, prefixOf } from '../src/sessions/prompt-cache.ts'
import { addUsage, usageToWire } from '../src/sessions/usage-totals.ts'
import { type ModelTotals, NO_USAGE, type SdkTotals } from '../src/store/usage.ts'
import { sessionRow, turnRow } from './support/rows.ts'

const total = (costUsd: number, inputTokens = Math.round(costUsd * 1000), more: Partial<ModelTotals> = {}) => ({
  inputTokens,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  cacheCreation1hTokens: 0,
  costUsd,
  guessed: false,
  ...more,
})
const of = (totals: SdkTotals) => Object.fromEntries(Object.entries(totals).map(([model, t]) => [model, t.costUsd]))

const message = (fields: object) => fields as SDKMessage
const init = message({
  type: 'system',
  subtype: 'init',
  model: 'big',
  tools: ['Bash'],
  mcp_servers: [],
  cwd: '/w',
  claude_code_version: '1',
})
const stream = (type: string, usage = {}) =>
  message({ type: 'stream_event', parent_tool_use_id: null, event: { type, message: { model: 'big', usage } } })
const assistant = (id: string, tools: string[], parent: string | null = null) =>
  message({
    type: 'assistant',
    parent_tool_use_id: parent,
    message: { id, model: parent ? 'small' : 'big', content: tools.map((tool) => ({ type: 'tool_use', id: tool })) },
  })
const answered = (tool: string, parent: string | null = null) =>
  message({
    type: 'user',
    parent_tool_use_id: parent,
    message: { content: [{ type: 'tool_result', tool_use_id: tool }] },
  })
const task = (subtype: string, tool_use_id: string) =>
  message({ type: 'system', subtype, tool_use_id, subagent_type: 'general-purpose', status: 'completed' })
const result = (models: Record<string, number>, more = {}) => {
  const modelUsage = Object.fromEntries(
    Object.entries(models).map(([model, costUSD]) => [
      model,
      {
        inputTokens: Math.round(costUSD * 1000),
        outputTokens: 0,
        cacheReadInputTokens: 0,
        cacheCreationInputTokens: 0,
        costUSD,
      },
    ]),
  )
  return { num_turns: 1, is_error: false, modelUsage, ...more } as unknown as SDKResultMessage
}
const DAY = Date.parse('2026-11-23T00:00:00Z')
const account = (totals: SdkTotals = {}) => new TurnAccount(sessionRow(), 'turn_1', totals, [])
const seeAll = (turn: TurnAccount, messages: SDKMessage[]) => messages.map((one) => turn.see(one, DAY))
const costs = (entries: readonly { model: string; usage: { costUsd: number } }[]) =>
  entries.map(({ model, usage }) => [model, usage.costUsd])

describe('the sums of the ledger', () => {
  test('M10 what was used is the growth of each model by itself; a total that fell began anew', () => {
    const grown = growth({ a: total(1), b: total(2) }, { a: total(1.5), b: total(0.5), c: total(0.25) })
    expect(of(grown)).toEqual({ a: 0.5, b: 0.5, c: 0.25 })
  })

  test('M10 a process counts from what its transcript says, and what nobody had booked is booked', () => {
    // Left politely; killed, so that the transcript is older; grew after its last result; a model the transcript forgot.
    expect(of(baselineOf({ a: total(1) }, { a: total(1) }))).toEqual({ a: 1 })
    expect(of(baselineOf({ a: total(1) }, { a: total(0.4) }))).toEqual({ a: 0.4 })
    expect(of(baselineOf({ a: total(1) }, { a: total(1.2) }))).toEqual({ a: 1 })
    expect(of(baselineOf({ a: total(1), b: total(1) }, { a: total(1) }))).toEqual({ a: 1 })
    // A fork begins with what its parent used; an agent that says nothing goes on where it was.
    expect(of(baselineOf({}, { a: total(3) }))).toEqual({ a: 3 })
    expect(of(baselineOf({ a: total(1) }, null))).toEqual({ a: 1 })
  })

  test('M10 a second result is booked as growth, and so is what comes between two turns', () => {
    const first = account()
    expect(costs(first.close(result({ big: 0.3 }), DAY).ledger!)).toEqual([['big', 0.3]])
    const second = account({ big: total(0.3) })
    second.see(init, DAY)
    expect(costs(second.close(result({ big: 0.3, small: 0.1 }), DAY).ledger!)).toEqual([
      ['small', 0.1],
      ['big', 0],
    ])
  })

  test('M10 a result without figures takes nothing back', () => {
    const turn = account({ big: total(1) })
    turn.book({ big: total(1.5) }, new Map([['big', 1]]), DAY)
    const closed = turn.close(result({}, { is_error: true }), DAY)
    expect(closed).toMatchObject({ usage: { costUsd: 0.5 }, sdkTotals: { models: { big: { costUsd: 1.5 } } } })
  })

  test('M10 requests are counted for main agent and subagents, and each is marked until it is reported', () => {
    const turn = account()
    const ends = seeAll(turn, [
      init,
      stream('message_start'),
      assistant('m1', ['t1', 't2']),
      stream('message_stop'),
      task('task_started', 't1'),
      task('task_started', 't2'),
      assistant('s1', ['u1'], 't1'),
      assistant('s1', ['u2'], 't1'),
      answered('u1', 't1'),
    ])
    expect(ends).toEqual([false, false, false, true, false, false, true, false, false])
    // The first subagent is at a tool still, the second asks: one of three requests is on its way.
    turn.book({ big: total(1), small: total(1) }, turn.mark(), DAY)
    const cut = turn.breakOff(DAY)
    expect(cut.usage).toMatchObject({ costUsd: 2, unreportedRequests: 1 })
    expect(cut.modelRequests).toBe(3)
  })

  test('M10 a request whose end was seen but not reported is marked; one that failed is not', () => {
    const unreported = account()
    seeAll(unreported, [init, stream('message_start'), assistant('m1', ['t1']), stream('message_stop')])
    expect(unreported.breakOff(DAY).usage).toMatchObject({ unreportedRequests: 1 })
    const failed = account()
    seeAll(failed, [
      init,
      message({ type: 'assistant', parent_tool_use_id: null, error: 'overloaded', message: { content: [] } }),
    ])
    expect(failed.breakOff(DAY)).toMatchObject({ usage: { unreportedRequests: 0 }, modelRequests: 0 })
    const ended = account()
    seeAll(ended, [init, task('task_started', 't1'), task('task_notification', 't1')])
    ended.book({ small: total(1) }, ended.mark(), DAY)
    expect(ended.breakOff(DAY).usage).toMatchObject({ unreportedRequests: 1 })
  })

  test('M6 at a budget no request of a subagent is overlooked, though the agent tells of its tool results no more', () => {
    const turn = account()
    seeAll(turn, [init, stream('message_start'), assistant('m1', ['t1', 't2']), stream('message_stop')])
    seeAll(turn, [task('task_started', 't1'), task('task_started', 't2')])
    // One is done; the other was last heard of when it called a tool.
    seeAll(turn, [assistant('m2', [], 't1'), task('task_notification', 't1'), assistant('m3', ['b'], 't2')])
    const at = { is_error: true, terminal_reason: 'budget_exhausted' }
    const ended = turn.close(result({ big: 1, small: 0.5 }, at), DAY)
    expect([ended.modelRequests, ended.usage!.unreportedRequests]).toEqual([4, 1])
  })

  test('M10 a turn that goes over midnight is booked on both days', () => {
    const turn = account()
    turn.book({ big: total(1) }, new Map([['big', 1]]), DAY - 1)
    turn.book({ big: total(3) }, new Map([['big', 2]]), DAY + 1)
    expect(turn.entries().map(({ day, usage, modelRequests }) => [day, usage.costUsd, modelRequests])).toEqual([
      ['2026-11-22', 1, 1],
      ['2026-11-23', 2, 1],
    ])
  })

  test('M10 a turn that goes on after a pause adds to what it has', () => {
    const turn = account()
    turn.book({ big: total(1) }, new Map([['big', 1]]), DAY)
    const next = new TurnAccount(sessionRow(), 'turn_1', { big: total(1) }, turn.entries())
    expect(next.close(result({ big: 1.5 }), DAY)).toMatchObject({ usage: { costUsd: 1.5 }, modelRequests: 2 })
  })

  test('M10 a cost that the agent only guesses is marked as a guess', () => {
    const turn = account()
    turn.book({ odd: total(1, 10, { guessed: true }), big: total(2) }, new Map(), DAY)
    expect(turn.entries().map(({ model, guessedUsd }) => [model, guessedUsd])).toEqual([
      ['odd', 1],
      ['big', 0],
    ])
  })

  test('M10 sums of money are exact, and both lifetimes of cache writes are told', () => {
    const dime = { ...NO_USAGE, costUsd: 0.1, cacheCreationTokens: 7, cacheCreation1hTokens: 5 }
    const sum = Array.from({ length: 3 }, () => dime).reduce(addUsage, NO_USAGE)
    expect(sum.costUsd).toBe(0.3)
    expect(usageToWire(sum, 0)).toMatchObject({
      cost_usd: 0.3,
      list_cost: { amount: '30' },
      cache_creation_input_tokens: 21,
      cache_creation: { ephemeral_1h_input_tokens: 15, ephemeral_5m_input_tokens: 6 },
    })
  })
})

describe('how a turn met the prompt cache', () => {
  const words = { model: 'big', tools: ['Bash'], mcp_servers: [], cwd: '/w', claude_code_version: '1' }
  const use = (readTokens: number, createdTokens: number, at = DAY, created1hTokens = 0) => ({
    readTokens,
    createdTokens,
    created1hTokens,
    at,
  })
  const session = sessionRow()
  const before = prefixOf(session, words, use(9_000, 1_000))
  const judge = (readTokens: number, changed = {}, at = DAY + 1000, row = session) =>
    judgeCache(before, prefixOf(row, { ...words, ...changed }, use(readTokens, 500, at)), use(readTokens, 500, at))

  test('M8 what the turn before had cached was read, in part, or not at all; and why not', () => {
    expect(judge(10_000)).toEqual({ status: 'hit', reason: null })
    expect(judge(4_000)).toEqual({ status: 'partial', reason: 'unknown' })
    expect(judge(0, { model: 'other' })).toEqual({ status: 'miss', reason: 'model_changed' })
    expect(judge(0, { tools: [] })).toEqual({ status: 'miss', reason: 'tools_changed' })
    expect(judge(0, { mcp_servers: [{ name: 'm' }] })).toEqual({ status: 'miss', reason: 'tools_changed' })
    expect(judge(0, { claude_code_version: '2' })).toEqual({ status: 'miss', reason: 'system_changed' })
    expect(judge(0, { cwd: '/x' })).toEqual({ status: 'miss', reason: 'cwd_changed' })
    const told = sessionRow({ agent: { ...session.agent, system: 'Be brief.' } })
    expect(judge(0, {}, DAY + 1000, told)).toEqual({ status: 'miss', reason: 'system_changed' })
  })

  test('M8 a cache is too old after five minutes, or after an hour where it was written for one', () => {
    expect(judge(0, {}, DAY + 299_000)).toEqual({ status: 'miss', reason: 'unknown' })
    expect(judge(0, {}, DAY + 301_000)).toEqual({ status: 'miss', reason: 'expired' })
    const long = prefixOf(session, words, use(0, 1_000, DAY, 1_000))
    const late = (at: number) => judgeCache(long, prefixOf(session, words, use(0, 500, at)), use(0, 500, at))
    expect(late(DAY + 301_000)).toEqual({ status: 'miss', reason: 'unknown' })
    expect(late(DAY + 3_601_000)).toEqual({ status: 'miss', reason: 'expired' })
  })

  test('M8 a first turn has nothing to read; an endpoint without a cache is no miss', () => {
    const now = prefixOf(session, words, use(0, 500))
    expect(judgeCache(null, now, use(0, 500))).toEqual({ status: 'miss', reason: 'first_turn' })
    expect(judgeCache(null, now, use(200, 300))).toEqual({ status: 'partial', reason: 'first_turn' })
    expect(judgeCache(before, now, use(0, 0))).toEqual({ status: 'none', reason: null })
  })
})

describe('what a limit makes of a turn', () => {
  const stopped = {
    status: 'cancelled',
    stopReason: { type: 'interrupted' },
    error: null,
    text: null,
    structured: null,
    usage: null,
    modelRequests: 0,
  } as const
  const limited = (limit: 'timeout' | 'budget') => {
    const agent = { interrupt: async () => {}, kill: () => {} } as never
    const session = sessionRow()
    session.options.turnTimeoutSeconds = 60
    const limits = new TurnLimits(agent, session, turnRow(session.id), () => DAY)
    limits.reach(limit)
    limits.end()
    return limits
  }

  test('M7 a turn that was stopped says which limit it reached', () => {
    expect(limited('timeout').overrule(stopped, false)).toMatchObject({
      status: 'failed',
      stopReason: { type: 'timeout' },
      error: { code: 'turn_timeout' },
    })
    expect(limited('budget').overrule(stopped, false)).toMatchObject({
      status: 'completed',
      stopReason: { type: 'budget_reached' },
    })
  })

  test('M7 a turn that was done, waits for a person, or was stopped by somebody stays so', () => {
    const asks = { ...stopped, status: 'completed', stopReason: { type: 'requires_action' } } as const
    expect(limited('budget').overrule(asks, false)).toBe(asks)
    expect(limited('timeout').overrule(stopped, true)).toBe(stopped)
  })
})
