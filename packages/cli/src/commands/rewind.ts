import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  to: { type: 'string', valueHint: 'event', description: 'An event of the turn to go back to the end of' },
  scope: { type: 'string', valueHint: 'what', description: 'conversation, files or both (default)' },
  'dry-run': { type: 'boolean', description: 'Only say what would change' },
  ...clientArgs,
} satisfies ArgsDef

const SCOPES = ['conversation', 'files', 'both'] as const

export const command = defineCommand({
  args,
  async run({ args: given }) {
    if (given.to === undefined)
      throw new UsageError('--to is missing: the id of an event, as troupe logs --json shows it.')
    const scope = SCOPES.find((each) => each === (given.scope ?? 'both'))
    if (!scope) throw new UsageError(`--scope takes ${SCOPES.join(', ')}; received ${JSON.stringify(given.scope)}.`)
    const dry = given['dry-run'] === true
    const done = await clientOf(given).sessions.rewind(given.id, { to_event_id: given.to, scope, dry_run: dry })
    if (given.json) printJson(done)
    else {
      const { files } = done
      const turns = `${done.turns_undone.length} ${done.turns_undone.length === 1 ? 'turn' : 'turns'}`
      process.stdout.write(`${dry ? 'would undo' : 'undid'} ${turns}\n`)
      const lists = files && {
        restored: [...files.written, ...files.modes],
        removed: files.removed,
        lost: files.not_restored,
      }
      for (const [name, paths] of Object.entries(lists ?? {}))
        for (const path of paths) process.stdout.write(`${name} ${cleanLine(path)}\n`)
      if (files?.truncated) process.stdout.write('and more\n')
    }
    return EXIT.done
  },
})
