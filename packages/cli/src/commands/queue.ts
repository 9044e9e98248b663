import type { Queue } from '@troupe/protocol/queue'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT } from '../exit.ts'
import { clientArgs, wholeNumber } from '../flags.ts'
import { printJson } from '../json.ts'
import { type Paint, paintFor } from '../paint.ts'
import { type Cell, table } from '../table.ts'
import { age } from '../words.ts'

const args = {
  limit: { type: 'string', alias: 'n', valueHint: 'n', description: 'The first so many in line; default 20' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const limit = given.limit === undefined ? 20 : wholeNumber('--limit', given.limit, 1)
    const queue = await clientOf(given).queue({ limit: Math.min(limit, 1000) })
    if (given.json) printJson(queue)
    else process.stdout.write(`${describeQueue(queue, paintFor(process.stdout)).join('\n')}\n`)
    return EXIT.done
  },
})

const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MiB`

/** What there is and what is taken, then the first in line. */
function describeQueue(queue: Queue, paint: Paint): string[] {
  const { slots, memory, depth, oldest_queued_at: oldest, backoff_until: backoff, data } = queue
  const lines = [
    `${slots.used} of ${slots.max} slots, ${mib(memory.used_bytes)} of ${mib(memory.budget_bytes)}`,
    depth === 0 ? 'nobody waits' : `${depth} waiting, the longest for ${age(oldest!)}`,
    ...(backoff === null ? [] : [`the model refuses; nothing is started before ${backoff}`]),
  ]
  if (data.length === 0) return lines
  const head = ['', 'ID', 'PRIORITY', 'KEY', 'FOR', 'REASON'].map((text): Cell => ({ text, paint: paint.dim }))
  const rows = data.map((entry): Cell[] => [
    { text: String(entry.position), align: 'right' },
    { text: entry.session_id },
    { text: String(entry.priority), align: 'right' },
    { text: cleanLine(entry.concurrency_key ?? '') },
    { text: age(entry.enqueued_at), align: 'right' },
    { text: cleanLine(entry.reason) },
  ])
  return [...lines, '', ...table([head, ...rows])]
}
