import type { Session } from '@troupe/protocol/session'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, type ExitCode } from '../exit.ts'
import { clientArgs, wholeNumber } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { money, paintedStatus } from '../words.ts'

/** About thirty years: without `--timeout` a wait has no end. */
const FOR_EVER = 1e9

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  timeout: { type: 'string', valueHint: 'seconds', description: 'Give up after; default never' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const client = clientOf(given)
    const seconds = given.timeout === undefined ? FOR_EVER : wholeNumber('--timeout', given.timeout, 0)
    const session = await client.sessions.retrieve(given.id, { wait: seconds })
    if (given.json) printJson(session)
    else process.stdout.write(`${summary(session)}\n`)
    return exitCodeOfSession(session)
  },
})

function summary(session: Session): string {
  const paint = paintFor(process.stdout)
  const error = session.last_error ? `  ${cleanLine(session.last_error.message)}` : ''
  return `${paintedStatus(session, paint)}${paint.dim(`  ${money(session.usage.cost_usd)}  ${session.id}`)}${error}`
}

/** The outcome of the session's last turn. One that still runs has not done what was waited for. */
function exitCodeOfSession({ status, stop_reason: reason, last_error: error }: Session): ExitCode {
  if (status === 'running' || status === 'rescheduling') return EXIT.failed
  if (reason?.type === 'requires_action') return EXIT.needsApproval
  return error || reason?.type === 'interrupted' ? EXIT.failed : EXIT.done
}
