import { loadConfig } from '@troupe/server/config'
import { defineCommand } from 'citty'
import { EXIT, Failure } from '../exit.ts'
import { jsonArg } from '../flags.ts'
import { printJson } from '../json.ts'

const args = {
  folder: { type: 'positional', required: true, description: 'A backup that `troupe backup` made' },
  'data-dir': {
    type: 'string',
    valueHint: 'folder',
    description: 'The data folder to make; it must not be there yet; default as `serve`',
  },
  ...jsonArg,
} as const

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const { BackupProblem, restore } = await import('@troupe/server/backup')
    const { data_dir } = loadConfig({ flags: { data_dir: given['data-dir'] } })
    const report = await restore(given.folder, data_dir).catch((error: unknown) => {
      throw error instanceof BackupProblem ? new Failure(error.message, EXIT.failed) : error
    })
    if (given.json) printJson(report)
    else process.stdout.write(`${report.sessions} sessions, ${report.files} files → ${report.folder}\n`)
    return EXIT.done
  },
})
