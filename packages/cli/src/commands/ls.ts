import type { Session, SessionStatus } from '@troupe/protocol/session'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs, readArgs, wholeNumber } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { type Cell, columns, shorten, table } from '../table.ts'
import { age, money, statusWords } from '../words.ts'

const STATUSES = ['idle', 'running', 'rescheduling', 'terminated'] satisfies SessionStatus[]

const args = {
  status: { type: 'string', valueHint: STATUSES.join('|'), description: 'Only these; comma separated or repeated' },
  limit: { type: 'string', alias: 'n', valueHint: 'n', description: 'At most so many; default 20' },
  all: { type: 'boolean', alias: 'a', description: 'All of them, archived ones too' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }) {
    const client = clientOf(given)
    const { values } = readArgs(rawArgs, args)
    const statuses = values.get('status')?.flatMap((text) => text.split(',')) as SessionStatus[] | undefined
    const wrong = statuses?.find((status) => !STATUSES.includes(status))
    if (wrong !== undefined) throw new UsageError(`--status takes ${STATUSES.join(', ')}; received "${wrong}".`)
    const limit = given.limit === undefined ? (given.all ? Infinity : 20) : wholeNumber('--limit', given.limit, 1)
    const filter = {
      statuses,
      // An archived session is terminated: who asks for those means them.
      include_archived: given.all || statuses?.includes('terminated') || undefined,
      limit: Math.min(limit, 1000),
    }
    const sessions: Session[] = []
    for await (const session of client.sessions.all(filter)) {
      sessions.push(session)
      if (sessions.length >= limit) break
    }
    if (given.json) printJson({ data: sessions })
    else printTable(sessions)
    return EXIT.done
  },
})

function printTable(sessions: Session[]): void {
  if (sessions.length === 0) {
    process.stderr.write('There are no sessions. "troupe run" makes one.\n')
    return
  }
  const paint = paintFor(process.stdout)
  const head: Cell[] = ['ID', 'STATUS', 'AGE', 'COST', 'TITLE'].map((text, index) => ({
    text,
    paint: paint.dim,
    ...((index === 2 || index === 3) && { align: 'right' as const }),
  }))
  const rows = sessions.map((session): Cell[] => {
    const { mark, words, tone } = statusWords(session)
    return [
      { text: session.id },
      { text: cleanLine(`${mark} ${words}`), paint: paint[tone] },
      { text: age(session.created_at), align: 'right' },
      { text: money(session.usage.cost_usd), align: 'right' },
      { text: cleanLine(session.title ?? session.prompt ?? '') },
    ]
  })
  const taken = [head, ...rows].map(
    (row) =>
      columns(
        row
          .slice(0, 4)
          .map((cell) => cell.text)
          .join('  '),
      ) + 4,
  )
  const room = process.stdout.isTTY ? Math.max(20, (process.stdout.columns || 80) - Math.max(...taken) - 4) : 80
  for (const row of rows) row[4]!.text = shorten(row[4]!.text, room)
  process.stdout.write(`${table([head, ...rows]).join('\n')}\n`)
}
