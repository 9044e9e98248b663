/**
 * Validation in the words of FastAPI (pydantic 2), which clients of the origin API read. Each check answers the value
 * as pydantic's lax mode would take it, or an issue.
 */
export interface Issue {
  type: string
  loc: (string | number)[]
  msg: string
  input: unknown
  ctx?: Record<string, unknown>
}

export type Check<T> = (value: unknown, loc: (string | number)[]) => { value: T } | { issues: Issue[] }

const issue = (type: string, loc: (string | number)[], msg: string, input: unknown, ctx?: Record<string, unknown>) => ({
  issues: [{ type, loc, msg, input, ...(ctx && { ctx }) }],
})

export const string: Check<string> = (value, loc) =>
  typeof value === 'string' ? { value } : issue('string_type', loc, 'Input should be a valid string', value)

/** The prompt: trimmed by the origin's validator, and not empty after it. */
export const prompt: Check<string> = (value, loc) => {
  if (typeof value !== 'string') return string(value, loc)
  if (value === '')
    return issue('string_too_short', loc, 'String should have at least 1 character', value, { min_length: 1 })
  const trimmed = value.trim()
  if (trimmed === '')
    return issue('value_error', loc, 'Value error, Prompt cannot be empty or whitespace only', value, { error: {} })
  return { value: trimmed }
}

export function integer(min: number, max: number | null): Check<number> {
  return (given, loc) => {
    let value = given
    if (typeof value === 'boolean') value = Number(value)
    if (typeof value === 'string') {
      if (!/^\s*[+-]?\d+(\.0*)?\s*$/.test(value))
        return issue('int_parsing', loc, 'Input should be a valid integer, unable to parse string as an integer', given)
      value = Number(value)
    }
    if (typeof value !== 'number') return issue('int_type', loc, 'Input should be a valid integer', given)
    if (!Number.isInteger(value))
      return issue('int_from_float', loc, 'Input should be a valid integer, got a number with a fractional part', given)
    if (value < min)
      return issue('greater_than_equal', loc, `Input should be greater than or equal to ${min}`, given, { ge: min })
    if (max !== null && value > max)
      return issue('less_than_equal', loc, `Input should be less than or equal to ${max}`, given, { le: max })
    return { value }
  }
}

export function oneOf<T extends string>(values: readonly T[]): Check<T> {
  const quoted = values.map((value) => `'${value}'`)
  const expected = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
  return (value, loc) =>
    values.includes(value as T)
      ? { value: value as T }
      : issue('enum', loc, `Input should be ${expected}`, value, { expected })
}

export const strings: Check<string[]> = (value, loc) => {
  if (!Array.isArray(value)) return issue('list_type', loc, 'Input should be a valid list', value)
  return all(value.map((entry, index) => string(entry, [...loc, index])))
}

export const object: Check<Record<string, unknown>> = (value, loc) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? { value: value as Record<string, unknown> }
    : issue('dict_type', loc, 'Input should be a valid dictionary', value)

export const stringMap: Check<Record<string, string>> = (value, loc) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return issue('dict_type', loc, 'Input should be a valid dictionary', value)
  const entries = Object.entries(value)
  const checked = all(entries.map(([key, entry]) => string(entry, [...loc, key])))
  if ('issues' in checked) return checked
  return { value: Object.fromEntries(entries.map(([key], index) => [key, checked.value[index]!])) }
}

function all<T>(results: ({ value: T } | { issues: Issue[] })[]): { value: T[] } | { issues: Issue[] } {
  const issues = results.flatMap((result) => ('issues' in result ? result.issues : []))
  if (issues.length > 0) return { issues }
  return { value: results.flatMap((result) => ('value' in result ? [result.value] : [])) }
}

export const missing = (loc: (string | number)[], input: unknown): Issue => ({
  type: 'missing',
  loc,
  msg: 'Field required',
  input,
})

/** Mistakes that are told of one request, at most: each repeats what was given. */
const MAX_TOLD = 100

/** A request that FastAPI would answer with 422. */
export class Unprocessable extends Error {
  override readonly name = 'Unprocessable'
  readonly issues: Issue[]
  constructor(all: Issue[]) {
    const issues = all.slice(0, MAX_TOLD)
    super(issues.map((entry) => `${entry.loc.join('.')}: ${entry.msg}`).join('; '))
    this.issues = issues
  }
}
