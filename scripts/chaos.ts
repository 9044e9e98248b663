import { parseArgs } from 'node:util'
import { runChaos } from '../packages/server/test/support/chaos/run.ts'
import { runRounds } from '../packages/server/test/support/rounds/run.ts'

/**
 * `node scripts/chaos.ts [--kills N] [--seed S]` kills a server with scripted agents N times, under mixed work.
 * `node scripts/chaos.ts --rounds N [--seed S]` does N things to sessions of the genuine agent, kills among them.
 * Both say what did not hold.
 */
const { values } = parseArgs({
  options: { kills: { type: 'string' }, rounds: { type: 'string' }, seed: { type: 'string' } },
})
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const kills = Number(values.kills ?? 100)
const rounds = Number(values.rounds ?? 0)
process.stdout.write(`seed ${seed}, ${rounds > 0 ? `${rounds} rounds` : `${kills} kills`}\n`)
const started = performance.now()
const log = (line: string) => void process.stdout.write(`${line}\n`)
const report = await (rounds > 0 ? runRounds({ seed, rounds, log }) : runChaos({ seed, kills, log }))
process.stdout.write(
  `${Math.round((performance.now() - started) / 1000)} s ${JSON.stringify(report.counts, null, 2)}\n`,
)
for (const problem of report.problems) process.stdout.write(`PROBLEM ${problem}\n`)
process.stdout.write(report.problems.length === 0 ? 'everything held\n' : `seed ${seed}: not everything held\n`)
process.exit(report.problems.length === 0 ? 0 : 1)
