import { type ArgsDef, defineCommand } from 'citty'
import { clean, cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  turn: { type: 'string', valueHint: 'id', description: 'What this turn changed; default: the whole session' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const diff = await clientOf(given).sessions.diff(given.id, { turn_id: given.turn })
    if (given.json) printJson(diff)
    else {
      const paint = paintFor(process.stdout)
      for (const file of diff.files) {
        const from = file.previous_path === null ? '' : `${cleanLine(file.previous_path)} → `
        const lines = file.additions === null ? 'binary' : `+${file.additions} -${file.deletions}`
        process.stdout.write(`${paint.bold(`${file.status} ${from}${cleanLine(file.path)}`)}  ${lines}\n`)
        if (file.patch !== null) process.stdout.write(`${clean(file.patch).trimEnd()}\n`)
      }
      const left = diff.truncated ? ', and not all of it is shown' : ''
      const what = `${diff.files_changed} ${diff.files_changed === 1 ? 'file' : 'files'} changed`
      process.stdout.write(`${what}, +${diff.additions} -${diff.deletions}${left}\n`)
    }
    return EXIT.done
  },
})
