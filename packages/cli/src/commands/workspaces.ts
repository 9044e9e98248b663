import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, type ExitCode, UsageError } from '../exit.ts'
import { clientArgs, readArgs } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { type Cell, table } from '../table.ts'
import { age } from '../words.ts'

const args = {
  action: { type: 'positional', required: true, description: 'list, create' },
  name: { type: 'positional', required: false, description: 'create: its name' },
  all: { type: 'boolean', alias: 'a', description: 'list: archived ones too' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }): Promise<ExitCode> {
    readArgs(rawArgs, args)
    const { action, name } = given
    if (action !== 'list' && action !== 'create')
      throw new UsageError(`troupe workspaces takes list, create; received ${JSON.stringify(action)}.`)
    const { workspaces } = clientOf(given)
    if (action === 'create') {
      if (name === undefined) throw new UsageError('troupe workspaces create needs a name.')
      if (given.all) throw new UsageError('--all is an option of "troupe workspaces list".')
      const made = await workspaces.create({ name })
      if (given.json) printJson(made)
      else process.stdout.write(`${made.id}\n`)
      return EXIT.done
    }
    if (name !== undefined) throw new UsageError('troupe workspaces list takes no name.')
    const data = []
    for await (const workspace of workspaces.all({ include_archived: given.all || undefined })) data.push(workspace)
    if (given.json) printJson({ data })
    else {
      const paint = paintFor(process.stdout)
      const head: Cell[] = ['ID', 'AGE', 'NAME'].map((text) => ({ text, paint: paint.dim }))
      const rows = data.map((one): Cell[] => [
        { text: one.id },
        { text: age(one.created_at) },
        { text: cleanLine(one.name) },
      ])
      process.stdout.write(`${table([head, ...rows]).join('\n')}\n`)
    }
    return EXIT.done
  },
})
