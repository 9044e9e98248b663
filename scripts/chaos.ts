import { parseArgs } from 'node:util'
import { runChaos } from '../packages/server/test/support/chaos/run.ts'

/** `node scripts/chaos.ts [--kills N] [--seed S]`: kills a working server N times and says what did not hold. */
const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } })
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const kills = Number(values.kills ?? 100)
process.stdout.write(`seed ${seed}, ${kills} kills\n`)
const started = performance.now()
const report = await runChaos({ seed, kills, log: (line) => process.stdout.write(`${line}\n`) })
process.stdout.write(
  `${Math.round((performance.now() - started) / 1000)} s ${JSON.stringify(report.counts, null, 2)}\n`,
)
for (const problem of report.problems) process.stdout.write(`PROBLEM ${problem}\n`)
process.stdout.write(report.problems.length === 0 ? 'everything held\n' : `seed ${seed}: not everything held\n`)
process.exit(report.problems.length === 0 ? 0 : 1)
