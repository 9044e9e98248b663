import type { ArgsDef } from 'citty'
import { parseArgs } from 'node:util'
import { UsageError } from './exit.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8000'

/** Options that every command has. */
export const jsonArg = {
  json: { type: 'boolean', description: 'One JSON document, or a line of JSON for each event' },
} as const satisfies ArgsDef

/** Options of the commands that talk to a server. */
export const clientArgs = {
  ...jsonArg,
  url: { type: 'string', valueHint: 'url', description: `The server; default TROUPE_URL or ${DEFAULT_URL}` },
  'api-key': { type: 'string', valueHint: 'key', description: 'Sent as bearer token; default TROUPE_API_KEY' },
} as const satisfies ArgsDef

interface Given {
  /** Every value of every option, by name, in the order given. */
  values: Map<string, string[]>
  positionals: string[]
}

/**
 * Reads the arguments strictly: an option that is not known or lacks its value, and an argument too few or too many,
 * are usage errors. `rest`: any number of arguments.
 */
export function readArgs(rawArgs: string[], args: ArgsDef, rest = false): Given {
  const options: Record<string, { type: 'string' | 'boolean'; multiple: true; short?: string }> = {}
  for (const [name, arg] of Object.entries(args)) {
    if (arg.type === 'positional') continue
    const alias = 'alias' in arg && arg.alias !== undefined ? [arg.alias].flat() : []
    const short = alias.find((text) => text.length === 1)
    options[name] = { type: arg.type === 'boolean' ? 'boolean' : 'string', multiple: true, ...(short && { short }) }
  }
  const { tokens, positionals } = parseArgs({ args: rawArgs, options, strict: false, tokens: true })
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = options[token.name]
    if (!option) throw new UsageError(`There is no option ${token.rawName}.`)
    if (option.type === 'boolean') continue
    // An option where a value should be is a value forgotten; one that does begin with a dash is given after "=".
    if (token.value === undefined || (!token.inlineValue && /^-./.test(token.value)))
      throw new UsageError(`${token.rawName} needs a value.`)
    values.set(token.name, [...(values.get(token.name) ?? []), token.value])
  }
  const places = Object.entries(args).filter(([, arg]) => arg.type === 'positional')
  const missing = places.findIndex(([, arg], index) => arg.required === true && positionals[index] === undefined)
  if (missing >= 0) throw new UsageError(`An argument is missing: <${places[missing]![0]}>.`)
  const surplus = rest ? undefined : positionals[places.length]
  if (surplus !== undefined) throw new UsageError(`${JSON.stringify(surplus)} is one argument too many.`)
  return { values, positionals }
}

/** A whole number from an option's text. */
export function wholeNumber(flag: string, text: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
  throw new UsageError(`${flag} takes a whole number ${range}; received ${JSON.stringify(text)}.`)
}
