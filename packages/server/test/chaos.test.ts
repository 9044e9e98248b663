import { expect, test } from 'vitest'
import { runChaos } from './support/chaos/run.ts'

test('D6 twenty kill -9 at random moments lose nothing, double nothing and leave nothing running', async () => {
  const report = await runChaos({ seed: Date.now() % 1_000_000, kills: 20 })
  // The report names its seed: `node scripts/chaos.ts --kills 20 --seed …` tries the same again.
  expect(report, JSON.stringify(report, null, 2)).toMatchObject({ kills: 20, problems: [] })
}, 300_000)
