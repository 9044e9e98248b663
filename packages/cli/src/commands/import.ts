import { type ArgsDef, defineCommand } from 'citty'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { claudeProjects, findTranscript, readTranscript } from '../claude-folder.ts'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  transcript: { type: 'positional', required: true, description: 'A file, or the id of a conversation of Claude Code' },
  cwd: { type: 'string', valueHint: 'dir', description: "The workdir on the server's machine; default: a fresh one" },
  title: { type: 'string', valueHint: 'text', description: 'Shown in lists' },
  force: { type: 'boolean', description: 'Also one that somebody seems to be writing to' },
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const named = (await stat(given.transcript).catch(() => null))?.isFile() ? given.transcript : null
    const file = named ?? (await findTranscript(claudeProjects(process.env), given.transcript))
    if (file === null) throw new UsageError(`There is no file and no conversation ${JSON.stringify(given.transcript)}.`)
    const { text, lively } = await readTranscript(file)
    if (lively && !given.force)
      throw new UsageError(`${file} was written a moment ago; end that conversation first, or use --force.`)
    const session = await clientOf(given).sessions.import({
      transcript: text,
      ...(given.cwd !== undefined && { cwd: resolve(given.cwd) }),
      ...(given.title !== undefined && { title: given.title }),
    })
    if (given.json) printJson(session)
    else process.stdout.write(`${session.id}\n`)
    return EXIT.done
  },
})
