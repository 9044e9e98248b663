import { runCommand } from 'citty'
import { debuglog } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { COMMANDS } from './commands.ts'
import { EXIT, explain, UsageError } from './exit.ts'
import { readArgs } from './flags.ts'
import { commandHelp, mainHelp } from './help.ts'
import { cleanLine } from './clean.ts'
import { paintFor } from './paint.ts'

/** Runs one command line and answers the exit code. Never rejects: what goes wrong is said on stderr. */
export async function main(argv: string[]): Promise<number> {
  // A reader that has had enough (`troupe logs … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done)
    throw error
  })
  const { name, args } = split(argv)
  try {
    return await dispatch(name, args)
  } catch (error) {
    const { message, exitCode, json } = explain(error)
    debuglog('troupe')('%O', error)
    if (args.includes('--json')) process.stderr.write(`${JSON.stringify({ error: json })}\n`)
    else {
      const mark = paintFor(process.stderr).red('✗')
      const words = message.split('\n').map(cleanLine)
      if (json.code === 'usage')
        words.push(`See ${['troupe', COMMANDS.has(name ?? '') ? name : '', '--help'].filter(Boolean).join(' ')}.`)
      process.stderr.write(`${mark} ${words.join(words.length > 2 ? '\n' : ' ')}\n`)
    }
    return exitCode
  }
}

async function dispatch(name: string | null, args: string[]): Promise<number> {
  const options = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined)
  const wantsHelp = options.some((arg) => arg === '--help' || arg === '-h')
  if (name === null && options.some((arg) => arg === '--version' || arg === '-v')) return print(manifest.version)
  if (name === null || (name === 'help' && args.length === 0)) {
    if (wantsHelp || name === 'help') return print(mainHelp(manifest.version, paintFor(process.stdout)))
    const [first] = args
    if (first !== undefined) throw new UsageError(`There is no option ${first} without a command.`)
    process.stderr.write(`${mainHelp(manifest.version, paintFor(process.stderr))}\n`)
    return EXIT.usage
  }
  const asked = name === 'help' ? args[0]! : name
  const entry = COMMANDS.get(asked)
  if (!entry) throw new UsageError(`There is no command ${JSON.stringify(asked)}.`)
  const { command } = await entry.load()
  const argsDef = (await (typeof command.args === 'function' ? command.args() : command.args)) ?? {}
  if (wantsHelp || name === 'help') return print(commandHelp(asked, entry, argsDef, paintFor(process.stdout)))
  readArgs(args, argsDef, entry.rest)
  const { result } = await runCommand({ ...command, args: argsDef }, { rawArgs: args })
  return typeof result === 'number' ? result : EXIT.done
}

function print(text: string): number {
  process.stdout.write(`${text.trimEnd()}\n`)
  return EXIT.done
}

/** The command's name and its arguments; options of every command may stand before the name. */
function split(argv: string[]): { name: string | null; args: string[] } {
  for (let index = 0; index < argv.length; index++) {
    const arg = argv[index]!
    if (arg === '--') break
    if (!arg.startsWith('-')) return { name: arg, args: [...argv.slice(0, index), ...argv.slice(index + 1)] }
    if (arg === '--url' || arg === '--api-key') index++
  }
  return { name: null, args: argv }
}
