import type { Client } from '@troupe/client/client'
import { blocksOf, textOf } from '@troupe/client/content'
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

/** First words cost a request for each session; a longer list shows titles only. */
const MAX_FIRST_WORDS = 200

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
    else await printTable(client, sessions)
    return EXIT.done
  },
})

async function printTable(client: Client, sessions: Session[]): Promise<void> {
  if (sessions.length === 0) {
    process.stderr.write('There are no sessions. "troupe run" makes one.\n')
    return
  }
  const paint = paintFor(process.stdout)
  const few = sessions.length <= MAX_FIRST_WORDS
  const titles = await inGroups(
    sessions,
    8,
    async (session) => session.title ?? (few ? await firstWords(client, session.id) : ''),
  )
  const head: Cell[] = ['ID', 'STATUS', 'AGE', 'COST', 'TITLE'].map((text, index) => ({
    text,
    paint: paint.dim,
    ...((index === 2 || index === 3) && { align: 'right' as const }),
  }))
  const rows = sessions.map((session, index): Cell[] => {
    const { mark, words, tone } = statusWords(session)
    return [
      { text: session.id },
      { text: cleanLine(`${mark} ${words}`), paint: paint[tone] },
      { text: age(session.created_at), align: 'right' },
      { text: money(session.usage.cost_usd), align: 'right' },
      { text: cleanLine(titles[index]!) },
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

/** What the session was first asked; nothing when it is gone meanwhile. */
async function firstWords(client: Client, id: string): Promise<string> {
  const { data } = await client.events
    .list(id, { types: ['user.message'], limit: 1 })
    .catch(() => ({ data: [] as { content?: unknown }[] }))
  return textOf(blocksOf(data[0]?.content)).slice(0, 500)
}

async function inGroups<T, R>(items: T[], size: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < items.length; start += size)
    results.push(...(await Promise.all(items.slice(start, start + size).map(work))))
  return results
}
