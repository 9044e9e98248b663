import { parseArgs } from 'node:util'
import { admission } from './cases/admission.ts'
import { control } from './cases/control.ts'
import { creates } from './cases/creates.ts'
import { delivery } from './cases/delivery.ts'
import { firstRequest } from './cases/first-request.ts'
import { fork } from './cases/fork.ts'
import { list } from './cases/list.ts'
import { start } from './cases/start.ts'
import { status } from './cases/status.ts'
import { warm } from './cases/warm.ts'
import { header, line } from './lib/table.ts'

/**
 * `npm run bench [-- --only name] [--quick]`: measures against the bare thing in the same run and prints medians. Writes
 * nothing; aims are printed and never asserted. On a busy machine the ratios mean more than the figures.
 */
const CASES = [start, firstRequest, warm, status, list, creates, delivery, admission, control, fork]
const { values } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean', default: false } } })
const chosen = CASES.filter(({ name }) => values.only === undefined || name === values.only)
if (chosen.length === 0) {
  process.stderr.write(`There is no case ${values.only}; there are ${CASES.map(({ name }) => name).join(', ')}.\n`)
  process.exit(2)
}
process.stdout.write(`${header()}\n`)
for (const { run } of chosen)
  for await (const figure of run({ quick: values.quick })) process.stdout.write(`${line(figure)}\n`)
