import { type ArgsDef, defineCommand } from 'citty'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  at: { type: 'string', valueHint: 'event', description: 'An event of the turn to go on after; default: the newest' },
  files: { type: 'string', valueHint: 'copy|share', description: 'A workdir of its own (default), or the same one' },
  title: { type: 'string', valueHint: 'text', description: "Default: the other session's" },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    if (given.files !== undefined && given.files !== 'copy' && given.files !== 'share')
      throw new UsageError(`--files takes copy or share; received ${JSON.stringify(given.files)}.`)
    const session = await clientOf(given).sessions.fork(given.id, {
      ...(given.at !== undefined && { at_event_id: given.at }),
      ...(given.files !== undefined && { files: given.files }),
      ...(given.title !== undefined && { title: given.title }),
    })
    if (given.json) printJson(session)
    else process.stdout.write(`${session.id}\n`)
    return EXIT.done
  },
})
