import { showConfig } from '@troupe/server/redact'
import { defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { EXIT, UsageError } from '../exit.ts'
import { jsonArg } from '../flags.ts'
import { printJson } from '../json.ts'
import { serverArgs, serverFlags } from '../server-flags.ts'
import { readConfig } from './serve.ts'

const args = {
  action: { type: 'positional' as const, required: true, description: '`print`: the settings as they hold here' },
  redact: { type: 'boolean' as const, description: 'Hide what may be a secret, to show it to others' },
  ...serverArgs(),
  ...jsonArg,
}

export const command = defineCommand({
  args,
  run({ args: given }) {
    if (given.action !== 'print')
      throw new UsageError(`There is only \`config print\`; received ${JSON.stringify(given.action)}.`)
    const shown = showConfig(readConfig(serverFlags(given)), given.redact === true)
    if (given.json) printJson(shown)
    else
      for (const [name, value] of Object.entries({ ...shown.settings, ...shown.environment }))
        process.stdout.write(
          `${name.padEnd(24)} ${cleanLine(Array.isArray(value) ? value.join(',') : String(value ?? ''))}`.trimEnd() +
            '\n',
        )
    return EXIT.done
  },
})
