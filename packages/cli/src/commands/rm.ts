import { type ArgsDef, defineCommand } from 'citty'
import { clientOf } from '../connect.ts'
import { EXIT, type ExitCode, explain } from '../exit.ts'
import { clientArgs, readArgs } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  id: {
    type: 'positional',
    required: true,
    description: 'The sessions; their log, transcript and own workdir are erased',
  },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }) {
    const client = clientOf(given)
    const ids = readArgs(rawArgs, args, true).positionals
    const deleted: string[] = []
    const failed: { id: string; error: Record<string, unknown> }[] = []
    let exitCode: ExitCode = EXIT.done
    for (const id of ids)
      try {
        deleted.push((await client.sessions.delete(id)).id)
        if (!given.json) process.stdout.write(`deleted ${deleted.at(-1)}\n`)
      } catch (error) {
        // With one session it is the command's own failure; among several the others are still deleted.
        if (ids.length === 1) throw error
        const told = explain(error)
        exitCode ||= told.exitCode
        failed.push({ id, error: told.json })
        if (!given.json) process.stderr.write(`✗ ${told.message}\n`)
      }
    if (given.json) printJson({ deleted, failed })
    return exitCode
  },
})
