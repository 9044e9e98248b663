import type { ArgDef, ArgsDef } from 'citty'
import { type CommandEntry, COMMANDS } from './commands.ts'
import { EXIT_HELP } from './exit.ts'
import { DEFAULT_URL } from './flags.ts'
import type { Paint } from './paint.ts'

type Row = readonly [left: string, right: string]

const rows = (pairs: readonly Row[], paint: Paint) => {
  const width = Math.max(...pairs.map(([left]) => left.length)) + 3
  return pairs.map(([left, right]) => `  ${paint.cyan(left.padEnd(width))}${right}`)
}

/** What `troupe <command> --help` says. */
export function commandHelp(name: string, { summary, rest }: CommandEntry, args: ArgsDef, paint: Paint): string {
  const entries = Object.entries(args)
  const places = entries.filter(([, arg]) => arg.type === 'positional')
  const options = entries.filter(([, arg]) => arg.type !== 'positional')
  const placed = places.map(([place, arg], index) => {
    const more = rest && index === places.length - 1 ? '…' : ''
    return arg.required === true ? `<${place}>${more}` : `[${place}]${more}`
  })
  const lines = (title: string, pairs: readonly Row[]) =>
    pairs.length > 0 ? ['', paint.bold(title), ...rows(pairs, paint)] : []
  return [
    `${paint.bold(`troupe ${name}`)}   ${summary}`,
    '',
    `${paint.bold('Usage')}  ${['troupe', name, ...placed, '[options]'].join(' ')}`,
    ...lines(
      'Arguments',
      places.map(([place, arg]) => [place, arg.description ?? '']),
    ),
    ...lines('Options', options.map(optionRow)),
  ].join('\n')
}

function optionRow([name, arg]: [string, ArgDef]): Row {
  const short = 'alias' in arg && arg.alias !== undefined ? `-${[arg.alias].flat()[0]}, ` : ''
  const value =
    arg.type === 'boolean' ? '' : ` <${('options' in arg && arg.options?.join('|')) || arg.valueHint || 'value'}>`
  return [`${short}--${name}${value}`, arg.description ?? '']
}

/** What `troupe --help` says. */
export function mainHelp(version: string, paint: Paint): string {
  return [
    `${paint.bold('troupe')} ${version}   the Claude Agent SDK, as a server`,
    '',
    `${paint.bold('Usage')}  troupe <command> [options]`,
    '',
    ...rows(
      [...COMMANDS].map(([name, { summary }]) => [name, summary]),
      paint,
    ),
    '',
    paint.bold('Options of every command'),
    ...rows(
      [
        ['--url <url>', `the server; default TROUPE_URL or ${DEFAULT_URL}`],
        ['--api-key <key>', 'default TROUPE_API_KEY'],
        ['--json', 'one JSON document, or a line of JSON for each event'],
        ['--help', 'also after a command'],
      ],
      paint,
    ),
    '',
    paint.bold('Exit codes'),
    ...rows(
      EXIT_HELP.map(([code, meaning]) => [String(code), meaning]),
      paint,
    ),
    '',
    `${paint.bold('Example')}  troupe serve, and in another terminal: troupe run "What is in this folder?" --cwd .`,
  ].join('\n')
}
