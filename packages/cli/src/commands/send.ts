import { type ArgsDef, defineCommand } from 'citty'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs, readArgs } from '../flags.ts'
import { InterruptKey } from '../interrupt.ts'
import { printJson } from '../json.ts'
import { Screen } from '../screen.ts'
import { promptOf } from '../stdin.ts'
import { watchTurn } from '../watch-turn.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  text: { type: 'positional', required: false, description: 'The message; what is piped in follows it' },
  wait: { type: 'boolean', description: 'Watch the turn until it has ended; its outcome is the exit code' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }) {
    const client = clientOf(given)
    const text = await promptOf(readArgs(rawArgs, args, true).positionals.slice(1))
    if (text === '') throw new UsageError('A message is missing: troupe send <id> "Go on."')
    const json = given.json === true
    const session = given.wait ? await client.sessions.retrieve(given.id) : null
    const sent = await client.events.send(given.id, [{ type: 'user.message', content: text }])
    const [event] = sent
    if (!session) {
      if (json) printJson({ data: sent })
      else process.stdout.write(`${event!.turn_id}\n`)
      return EXIT.done
    }
    const screen = new Screen()
    using key = new InterruptKey((message) => screen.note(screen.paint.yellow(`  ${message}`)))
    return await watchTurn(client, screen, key, { session, turnId: event!.turn_id, after: event!.seq - 1, json })
  },
})
