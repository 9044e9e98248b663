import { type ArgsDef, defineCommand } from 'citty'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createWriteStream } from 'node:fs'
import { claudeProjects, entryIds, transcriptPath } from '../claude-folder.ts'
import { clientOf } from '../connect.ts'
import { EXIT, UsageError } from '../exit.ts'
import { clientArgs } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The session' },
  format: { type: 'string', valueHint: 'name', description: 'jsonl (default), markdown, html or claude' },
  output: { type: 'string', alias: 'o', valueHint: 'file', description: 'Default: standard output' },
  install: { type: 'boolean', description: 'Put the transcript where claude --resume finds it, on this machine' },
  ...clientArgs,
} satisfies ArgsDef

const FORMATS = ['jsonl', 'markdown', 'html', 'claude'] as const

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const { sessions } = clientOf(given)
    if (given.install) {
      const session = await sessions.retrieve(given.id)
      const response = await sessions.export(given.id, { format: 'claude' })
      const file = await install(session, await response.text())
      if (given.json) printJson({ file, cwd: session.cwd, uuid: session.uuid })
      else process.stdout.write(`${file}\ncd ${quoted(session.cwd)} && claude --resume ${session.uuid}\n`)
      return EXIT.done
    }
    const format = FORMATS.find((each) => each === (given.format ?? 'jsonl'))
    if (!format) throw new UsageError(`--format takes ${FORMATS.join(', ')}; received ${JSON.stringify(given.format)}.`)
    const response = await sessions.export(given.id, { format })
    const body = Readable.fromWeb(response.body as never)
    if (given.output === undefined) for await (const chunk of body) process.stdout.write(chunk as Buffer)
    else await pipeline(body, createWriteStream(given.output, { mode: 0o600 }))
    return EXIT.done
  },
})

/** Whole or not at all; never over a conversation that somebody has gone on with there. */
async function install({ cwd, uuid }: { cwd: string; uuid: string }, text: string): Promise<string> {
  if (text === '') throw new UsageError('The session has no conversation yet.')
  const file = transcriptPath(claudeProjects(process.env), cwd, uuid)
  const there = await readFile(file, 'utf8').catch(() => '')
  const ours = entryIds(text)
  if ([...entryIds(there)].some((id) => !ours.has(id)))
    throw new UsageError(`${file} has gone on by itself; two writers would spoil it. Import it, or remove it first.`)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
  return file
}

const quoted = (path: string): string => `'${path.replaceAll("'", String.raw`'\''`)}'`
