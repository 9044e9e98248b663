import { expect, test } from 'vitest'
import { leftOut } from './support/rounds/bill.ts'
import { runRounds } from './support/rounds/run.ts'

test('D10 rounds of sends, steers, interrupts, verdicts and kills with the genuine agent: all consumed once, decided once, billed once', async () => {
  const report = await runRounds({ seed: Date.now() % 1_000_000, rounds: 30 })
  // The report names its seed: `node scripts/chaos.ts --rounds 30 --seed …` tries the same again.
  expect(report, JSON.stringify(report, null, 2)).toMatchObject({ problems: [] })
  expect(report.counts['requests billed']).toBeGreaterThan(0)
}, 300_000)

test('D10 a bill is matched by leaving out whole requests, and no more than are marked', () => {
  const requests = [
    [10, 1, 0, 0],
    [20, 2, 5, 0],
    [30, 3, 0, 7],
  ]
  expect(leftOut(requests, [0, 0, 0, 0], 0, 0)).toBe(0)
  expect(leftOut(requests, [40, 4, 0, 7], 2, 0)).toBe(2)
  expect(leftOut(requests, [40, 4, 0, 7], 1, 0)).toBe(null)
  expect(leftOut(requests, [15, 1, 0, 0], 3, 0)).toBe(null)
  // The agent counted two tokens of an answer that was cut off; it cannot have counted input.
  expect(leftOut(requests, [0, -2, 0, 0], 0, 2)).toBe(0)
  expect(leftOut(requests, [0, -3, 0, 0], 0, 2)).toBe(null)
  expect(leftOut(requests, [-1, 0, 0, 0], 0, 2)).toBe(null)
})
