import type { Session } from '@troupe/protocol/session'
import { type ArgsDef, defineCommand } from 'citty'
import { clean, cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'
import { type Paint, paintFor } from '../paint.ts'
import { age, duration, money, paintedStatus, tokens } from '../words.ts'

const args = { id: { type: 'positional', required: true, description: 'The session' }, ...clientArgs } satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const session = await clientOf(given).sessions.retrieve(given.id)
    if (given.json) printJson(session)
    else process.stdout.write(`${describeSession(session, paintFor(process.stdout)).join('\n')}\n`)
    return EXIT.done
  },
})

/** A session in lines of name and value; what it does not have is left out. */
export function describeSession(session: Session, paint: Paint): string[] {
  const { agent, usage, budget, queue, last_error: error, result } = session
  const metadata = Object.entries(session.metadata).map(([key, value]) => `${key}=${value}`)
  const facts: [string, string | null][] = [
    ['id', session.id],
    ['uuid', session.uuid],
    ['title', session.title],
    ['status', null],
    ['queue', queue && `position ${queue.position}, for ${age(queue.enqueued_at)} (${queue.reason})`],
    ['model', `${agent.model.id}${session.model_source === 'demo' ? ' (demo model: a script answers)' : ''}`],
    ['permissions', [agent.permission_mode, ...agent.allowed_tools].join(', ')],
    ['workdir', session.cwd],
    ['created', `${session.created_at} (${age(session.created_at)} ago)`],
    ['archived', session.archived_at],
    ['worked', duration(session.stats.active_seconds * 1000)],
    ['tokens', tokens(usage)],
    ['cost', money(usage.cost_usd) + (usage.unreported_requests > 0 ? ' and what a killed agent did not report' : '')],
    ['budget', budget && `${money(Number(budget.max_list_cost.amount) / 100)} at list price`],
    ['metadata', metadata.length > 0 ? metadata.join(', ') : null],
    ['external id', session.external_id],
    ['events', String(session.last_seq)],
    ['error', error && `${error.code}: ${error.message}`],
  ]
  const lines = facts.flatMap(([name, value]) => {
    const shown = name === 'status' ? paintedStatus(session, paint) : value === null ? null : cleanLine(value)
    return shown === null ? [] : [`${paint.dim(name.padEnd(12))}${shown}`]
  })
  // The text of a failed turn says the error again.
  return result?.text && !result.is_error ? [...lines, '', clean(result.text).trimEnd()] : lines
}
