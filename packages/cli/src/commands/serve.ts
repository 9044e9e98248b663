import { ConfigError, loadConfig } from '@troupe/server/config'
import { defineCommand } from 'citty'
import { EXIT, Failure } from '../exit.ts'
import { jsonArg } from '../flags.ts'
import { serverArgs, serverFlags } from '../server-flags.ts'

const args = { ...serverArgs(), ...jsonArg }

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const config = readConfig(serverFlags(given))
    // The server writes lines of JSON unless it believes to be in a terminal.
    if (given.json) process.stdout.isTTY = false
    const { serve } = await import('@troupe/server/main')
    try {
      return await serve(config)
    } catch (error) {
      throw startFailure(error, config.host, config.port)
    }
  },
})

/** The configuration; everything that is wrong with it is one usage error. */
export function readConfig(flags: Record<string, unknown>) {
  try {
    return loadConfig({ flags })
  } catch (error) {
    if (error instanceof ConfigError) throw new Failure(error.message, EXIT.usage)
    throw error
  }
}

function startFailure(error: unknown, host: string, port: number): Failure {
  const { code, name, message } = error as NodeJS.ErrnoException
  if (name === 'NoKeys' || name === 'NothingToKeep' || name === 'NoAgentUser' || name === 'NoLimits')
    return new Failure(message, EXIT.usage)
  if (name === 'DataFolderInUse') return new Failure(message)
  if (code === 'EADDRINUSE')
    return new Failure(
      `Port ${port} of ${host} is taken. Choose another with --port, or see who has it: troupe doctor.`,
    )
  if (code === 'EACCES')
    return new Failure(`The server may not listen on port ${port} of ${host} or write its data: ${message}`)
  return new Failure(`The server could not start: ${message}`)
}
