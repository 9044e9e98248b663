import type { Client } from '@troupe/client/client'
import type { Turn } from '@troupe/protocol/turn'
import { type ArgsDef, defineCommand } from 'citty'
import { clientOf } from '../connect.ts'
import { EXIT, Failure } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { alreadyEnded } from '../follow-turn.ts'
import { printJson } from '../json.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  now: { type: 'boolean', description: 'Kill the agent instead of letting it end its turn' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const client = clientOf(given)
    const open = await openTurns(client, given.id)
    const [turn, ...waiting] = open
    const ended = turn && (await cancel(client, given.id, turn.id, given.now ? 'now' : 'graceful'))
    if (given.json) {
      printJson(ended ?? null)
      return EXIT.done
    }
    if (!ended) process.stdout.write('Nothing was running.\n')
    else if (ended.ended_at === null)
      throw new Failure('The turn has been told to stop and still runs; --now kills it.')
    else process.stdout.write(`${ended.status} ${ended.id}\n`)
    if (ended && waiting.length > 0)
      process.stderr.write(
        `${waiting.length} more ${waiting.length === 1 ? 'turn waits' : 'turns wait'} and will run.\n`,
      )
    return EXIT.done
  },
})

/** Turns that run or wait, the one that is next first. Between them may be some that were cancelled. */
async function openTurns(client: Client, sessionId: string): Promise<Turn[]> {
  const open: Turn[] = []
  for await (const turn of client.turns.all(sessionId)) if (turn.ended_at === null) open.push(turn)
  return open
}

/** Null when it ended by itself just now. */
async function cancel(
  client: Client,
  sessionId: string,
  turnId: string,
  mode: 'graceful' | 'now',
): Promise<Turn | null> {
  try {
    return await client.turns.cancel(sessionId, turnId, { mode })
  } catch (error) {
    if (alreadyEnded(error)) return null
    throw error
  }
}
