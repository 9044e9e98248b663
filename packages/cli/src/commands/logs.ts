import type { StreamFrame } from '@troupe/protocol/event'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT } from '../exit.ts'
import { clientArgs, wholeNumber } from '../flags.ts'
import { MAX_RECONNECTS, tellLost } from '../follow-turn.ts'
import { jsonLine, printJson } from '../json.ts'
import { type Paint, paintFor } from '../paint.ts'
import { Screen } from '../screen.ts'
import { TurnPrinter } from '../turn-printer.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  follow: { type: 'boolean', alias: 'f', description: 'Go on as the log grows, until Ctrl+C' },
  after: { type: 'string', valueHint: 'seq', description: 'Begin after this event' },
  raw: { type: 'boolean', description: 'Every event on a line: number, time, type, content' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const client = clientOf(given)
    const after = given.after === undefined ? 0 : wholeNumber('--after', given.after, 0)
    const session = await client.sessions.retrieve(given.id)
    const paint = paintFor(process.stdout)
    const printer = new TurnPrinter(new Screen(process.stdout, process.stdout), {
      cwd: session.cwd,
      inputs: true,
      ends: true,
    })
    const plain = given.json || given.raw
    const print = (frame: StreamFrame) => {
      if (given.json) printJson(frame)
      else if (given.raw) process.stdout.write(`${rawLine(frame, paint)}\n`)
      else printer.print(frame)
    }
    if (!given.follow) {
      for await (const event of client.events.all(session.id, { after_seq: after })) print(event)
      printer.end()
      return EXIT.done
    }
    const stream = client.events.stream(session.id, {
      after,
      deltas: plain ? [] : ['agent.message', 'agent.thinking'],
      maxReconnects: MAX_RECONNECTS,
      onReconnect: tellLost((message) =>
        process.stderr.write(`${message}
`),
      ),
    })
    for await (const frame of stream) print(frame)
    printer.end()
    process.stderr.write('The session was deleted.\n')
    return EXIT.done
  },
})

/** The envelope's fields that every event has say nothing new on a line. */
const ENVELOPE = new Set(['id', 'seq', 'type', 'session_id', 'created_at', 'processed_at'])

function rawLine(frame: StreamFrame, paint: Paint): string {
  if (!('seq' in frame)) return jsonLine(frame)
  const rest = Object.entries(frame).filter(([name, value]) => !ENVELOPE.has(name) && value !== null)
  const time = frame.created_at.slice(11, 23)
  const body = rest.length === 0 ? '' : `  ${jsonLine(Object.fromEntries(rest))}`
  return `${paint.dim(`${String(frame.seq).padStart(5)}  ${cleanLine(time)}`)}  ${paint.cyan(cleanLine(frame.type))}${body}`
}
