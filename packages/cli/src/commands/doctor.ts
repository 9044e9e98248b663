import { ConfigError, loadConfig } from '@troupe/server/config'
import { defineCommand } from 'citty'
import { resolve } from 'node:path'
import { cleanLine } from '../clean.ts'
import type { Check } from '../doctor-checks.ts'
import { EXIT } from '../exit.ts'
import { jsonArg } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { serverArgs, serverFlags } from '../server-flags.ts'

const args = { ...serverArgs(), ...jsonArg }

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const checks = await check(serverFlags(given))
    const failed = checks.some(({ status }) => status === 'fail')
    if (given.json) printJson({ ok: !failed, checks })
    else process.stdout.write(`${checks.map(line).join('\n')}\n`)
    return failed ? EXIT.failed : EXIT.done
  },
})

/** With a configuration that cannot be used, its problems, and the other checks with the defaults. */
async function check(flags: Record<string, unknown>): Promise<Check[]> {
  const { runChecks } = await import('../doctor-checks.ts')
  try {
    const config = loadConfig({ flags })
    return [{ name: 'configuration', status: 'ok', message: 'valid' }, ...(await runChecks(config))]
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const problems = error.problems.map((message): Check => ({ name: 'configuration', status: 'fail', message }))
    const defaults = loadConfig({
      env: withoutOurs(process.env),
      cwd: '/nowhere',
      flags: { data_dir: resolve('.troupe') },
    })
    return [...problems, ...(await runChecks(defaults))]
  }
}

const withoutOurs = (env: NodeJS.ProcessEnv) =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TROUPE_')))

function line({ name, status, message }: Check): string {
  const paint = paintFor(process.stdout)
  const mark = { ok: paint.green('✓'), warn: paint.yellow('!'), fail: paint.red('✗') }[status]
  return `${mark} ${name.padEnd(14)}${cleanLine(message)}`
}
